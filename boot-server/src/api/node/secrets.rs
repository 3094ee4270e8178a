//! GET /v1/node/secrets?generation=N

use crate::{
    api::{answer::Answer, request::Identity},
    server::Server,
};
use axum::{
    Json,
    extract::{Query, State},
};
use protocol::manifest::SecretBundle;
use serde::Deserialize;
use std::sync::Arc;

/// The query.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    generation: u64,
}

/// The node's own secrets, while the generation is under way.
pub async fn get(
    State(server): State<Arc<Server>>,
    node: Identity,
    Query(wanted): Query<Wanted>,
) -> Answer<SecretBundle> {
    Ok(Json(server.secrets(&node.name, &node.key, wanted.generation).await?))
}
