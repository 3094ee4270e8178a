//! POST /v1/node/ready

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::report::ReadyReport;
use std::sync::Arc;

/// The node is a healthy member.
pub async fn post(
    State(server): State<Arc<Server>>,
    node: Identity,
    Body(request): Body<ReadyReport>,
) -> Answer<serde_json::Value> {
    server.ready(&node.name, &node.key, request).await?;
    Ok(Json(serde_json::json!({})))
}
