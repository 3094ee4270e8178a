//! GET /v1/events

use crate::{
    server::Services,
    web::api::{answer::Answer, request::Admin},
};
use axum::{Json, extract::State};
use protocol::calls;
use std::sync::Arc;

/// What the legs noticed on the boot network: a second DHCP server, an empty pool, an unknown architecture.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Events> {
    Ok(Json(services.state.noticed().await?))
}
