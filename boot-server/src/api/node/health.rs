//! POST /v1/node/health

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::report::HealthReport;
use std::sync::Arc;

/// The heartbeat of an installed node.
pub async fn post(
    State(server): State<Arc<Server>>,
    node: Identity,
    Body(request): Body<HealthReport>,
) -> Answer<serde_json::Value> {
    server.heard(&node.name, &node.key, request).await?;
    Ok(Json(serde_json::json!({})))
}
