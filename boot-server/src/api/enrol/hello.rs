//! POST /v1/enrol/hello

use crate::{
    api::{answer::Answer, request::Body},
    server::Server,
};
use axum::{Json, extract::State};
use protocol::enrol::{HelloReply, HelloRequest};
use std::sync::Arc;

/// The machine commits to its key; the server answers with its nonce and signed time.
pub async fn post(State(server): State<Arc<Server>>, Body(request): Body<HelloRequest>) -> Answer<HelloReply> {
    Ok(Json(server.hello(request)?))
}
