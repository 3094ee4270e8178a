//! GET /v1/clusters and what is done to one of them.

use crate::{
    domain::audit::Action,
    server::Services,
    web::api::{
        answer::Answer,
        request::{Admin, In},
    },
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::calls;
use std::sync::Arc;

/// Every cluster that a spec names or the arbiter remembers.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Clusters> {
    Ok(Json(services.arbiter.summaries().await?))
}

/// The members of each service, asked now.
pub async fn members(
    State(services): State<Arc<Services>>,
    _: Admin,
    Path(cluster): Path<String>,
) -> Answer<calls::Members> {
    Ok(Json(services.members.list(&cluster).await?))
}

/// Every check; a key is written.
pub async fn verify(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(cluster): Path<String>,
) -> Answer<calls::VerifyCluster> {
    let verified = services.members.verify(&cluster).await?;
    let deed = Action::ClusterVerified.says(format!("checked cluster {cluster}"));
    services.state.note(&actor, None, deed).await?;
    Ok(Json(verified))
}

/// Has the founding set fixed anew.
pub async fn forget(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(cluster): Path<String>,
    In(request): In<calls::ForgetCluster>,
) -> Answer<calls::ForgetCluster> {
    Ok(Json(services.arbiter.forget(&cluster, request.force, &actor).await?))
}
