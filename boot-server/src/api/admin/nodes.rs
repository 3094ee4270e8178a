//! GET /v1/nodes and /v1/nodes/NAME

use crate::{
    api::{answer::Answer, request::Admin},
    server::Server,
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::admin::{NodeDetail, NodeSummary};
use std::sync::Arc;

/// Every node and every machine that waits.
pub async fn list(State(server): State<Arc<Server>>, _: Admin) -> Answer<Vec<NodeSummary>> {
    Ok(Json(server.summaries().await?))
}

/// One of them, with its events.
pub async fn detail(State(server): State<Arc<Server>>, _: Admin, Path(name): Path<String>) -> Answer<NodeDetail> {
    Ok(Json(server.detail(&name).await?))
}
