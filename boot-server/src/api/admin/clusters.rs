//! GET /v1/clusters and what is done to one of them.

use crate::{
    api::{
        answer::Answer,
        request::{Admin, Body},
    },
    server::Server,
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::operations::{ClusterMembers, ClusterSummary, ForgetRequest, Forgotten, Verification};
use std::sync::Arc;

/// Every cluster that a spec names or the arbiter remembers.
pub async fn list(State(server): State<Arc<Server>>, _: Admin) -> Answer<Vec<ClusterSummary>> {
    Ok(Json(server.cluster_summaries().await?))
}

/// The members of each service, asked now.
pub async fn members(
    State(server): State<Arc<Server>>,
    _: Admin,
    Path(cluster): Path<String>,
) -> Answer<ClusterMembers> {
    Ok(Json(server.cluster_members(&cluster).await?))
}

/// Every check; a key is written.
pub async fn verify(State(server): State<Arc<Server>>, _: Admin, Path(cluster): Path<String>) -> Answer<Verification> {
    Ok(Json(server.verify_cluster(&cluster).await?))
}

/// Has the founding set fixed anew.
pub async fn forget(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(cluster): Path<String>,
    Body(request): Body<ForgetRequest>,
) -> Answer<Forgotten> {
    Ok(Json(server.forget_cluster(&cluster, request.force, &actor).await?))
}
