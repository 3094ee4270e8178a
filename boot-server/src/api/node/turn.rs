//! POST /v1/node/turn

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::arbiter::{Turn, TurnRequest};
use std::sync::Arc;

/// Whether the node founds its cluster, joins now, or waits.
pub async fn post(State(server): State<Arc<Server>>, node: Identity, Body(request): Body<TurnRequest>) -> Answer<Turn> {
    Ok(Json(server.turn(&node.name, &node.key, request).await?))
}
