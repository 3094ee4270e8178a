//! GET /v1/closures, POST /v1/closures/verify and /v1/closures/gc

use crate::{
    api::{
        answer::Answer,
        lines,
        request::{Admin, Body},
    },
    server::Server,
};
use axum::{Json, extract::State, response::Response};
use protocol::closures::{ClosureList, GcRequest, VerifyRequest};
use std::sync::Arc;

/// What the cache holds, and which nodes need it.
pub async fn list(State(server): State<Arc<Server>>, _: Admin) -> Answer<ClosureList> {
    Ok(Json(server.closures().await?))
}

/// Reads everything and compares.
pub async fn verify(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Body(request): Body<VerifyRequest>,
) -> Response {
    lines::answer(move |progress| async move { server.verify_closures(request, &actor, progress).await })
}

/// Removes what no node needs.
pub async fn gc(State(server): State<Arc<Server>>, Admin(actor): Admin, Body(request): Body<GcRequest>) -> Response {
    lines::answer(move |progress| async move { server.collect_closures(request, &actor, progress).await })
}
