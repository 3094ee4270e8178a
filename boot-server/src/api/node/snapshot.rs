//! GET /v1/node/snapshot?service=S&generation=N

use crate::{
    api::{answer::Refused, request::Identity},
    http,
    server::Server,
};
use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use protocol::arbiter::TurnRequest;
use std::sync::Arc;

/// What the node founds its cluster from, where it was told to found from a snapshot.
pub async fn get(
    State(server): State<Arc<Server>>,
    node: Identity,
    Query(wanted): Query<TurnRequest>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (file, snapshot) = server.founding_snapshot(&node.name, &node.key, &wanted).await?;
    Ok(http::serve_file(&headers, file, snapshot.size, &snapshot.sha256))
}
