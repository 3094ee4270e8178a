//! GET /v1/events

use crate::{
    api::{answer::Answer, request::Admin},
    server::Server,
};
use axum::{Json, extract::State};
use protocol::admin::AuditEntry;
use std::sync::Arc;

/// What the legs noticed on the boot network: a second DHCP server, an empty pool, an unknown architecture.
pub async fn list(State(server): State<Arc<Server>>, _: Admin) -> Answer<Vec<AuditEntry>> {
    Ok(Json(server.state.audit(None).await?))
}
