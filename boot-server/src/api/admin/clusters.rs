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
use protocol::operations::{ClusterSummary, ForgetRequest, Forgotten};
use std::sync::Arc;

/// Every cluster that a spec names or the arbiter remembers.
pub async fn list(State(server): State<Arc<Server>>, _: Admin) -> Answer<Vec<ClusterSummary>> {
    Ok(Json(server.cluster_summaries().await?))
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
