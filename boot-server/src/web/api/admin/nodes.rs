//! GET /v1/nodes and /v1/nodes/NAME

use crate::{
    server::Services,
    web::api::{answer::Answer, request::Admin},
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::calls;
use std::sync::Arc;

/// Every node and every machine that waits.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Nodes> {
    Ok(Json(services.view.summaries().await?))
}

/// One of them, with its events.
pub async fn detail(State(services): State<Arc<Services>>, _: Admin, Path(name): Path<String>) -> Answer<calls::Node> {
    Ok(Json(services.view.detail(&name).await?))
}
