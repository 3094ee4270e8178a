//! POST /v1/node/manifest

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::manifest::{ManifestRequest, SignedManifest};
use std::sync::Arc;

/// The signed instructions for this node, this key and this request.
pub async fn post(
    State(server): State<Arc<Server>>,
    node: Identity,
    Body(request): Body<ManifestRequest>,
) -> Answer<SignedManifest> {
    Ok(Json(server.manifest(&node.name, &node.key, request).await?))
}
