//! POST /v1/node/wiped

use crate::{
    api::{answer::Answer, request::Body},
    https::Peer,
    server::Server,
};
use axum::{Json, extract::State};
use protocol::report::WipedReport;
use std::sync::Arc;

/// The disks of a node that is decommissioned are wiped: it is retired. The key that says so is revoked by it, and
/// may say it again.
pub async fn post(
    State(server): State<Arc<Server>>,
    peer: Peer,
    Body(request): Body<WipedReport>,
) -> Answer<serde_json::Value> {
    server.wiped(peer.key, request).await?;
    Ok(Json(serde_json::json!({})))
}
