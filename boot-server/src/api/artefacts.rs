//! GET /v1/artefacts/SHA256

use crate::{http, server::Server};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use std::sync::Arc;

/// A file of a deployed image. Whoever trusts this server may read it, with or without a certificate: nothing in an image
/// is secret, and kernel and initrd go out in the clear on the other port.
pub async fn get(State(server): State<Arc<Server>>, Path(hash): Path<String>, headers: HeaderMap) -> Response {
    http::serve_artefact(server.config.images.dir.clone(), headers, hash).await
}
