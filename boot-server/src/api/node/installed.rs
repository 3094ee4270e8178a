//! POST /v1/node/installed

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::report::{InstalledReply, InstalledReport};
use std::sync::Arc;

/// The generation is used up once this has been answered.
pub async fn post(
    State(server): State<Arc<Server>>,
    node: Identity,
    Body(request): Body<InstalledReport>,
) -> Answer<InstalledReply> {
    server.installed(&node.name, &node.key, request).await?;
    Ok(Json(InstalledReply { recorded: true }))
}
