//! POST /v1/nodes

use crate::{
    api::{
        answer::Answer,
        request::{Admin, Body},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::admin::{Applied, ApplyRequest};
use std::sync::Arc;

/// Stores what an operator wants of some nodes.
pub async fn post(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Body(request): Body<ApplyRequest>,
) -> Answer<Vec<Applied>> {
    Ok(Json(server.apply(request, &actor).await?))
}
