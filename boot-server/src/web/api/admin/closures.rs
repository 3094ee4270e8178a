//! GET /v1/closures, POST /v1/closures/verify and /v1/closures/gc

use crate::{
    server::Services,
    web::api::{
        answer::Answer,
        lines,
        request::{Admin, In},
    },
};
use axum::{Json, extract::State, response::Response};
use protocol::calls;
use std::sync::Arc;

/// What the cache holds, and which nodes need it.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Closures> {
    Ok(Json(services.closures.list().await?))
}

/// Reads everything and compares.
pub async fn verify(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::VerifyClosures>,
) -> Response {
    lines::answer(move |progress| async move { services.closures.verify(request, &actor, progress).await })
}

/// Removes what no node needs.
pub async fn gc(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::CollectGarbage>,
) -> Response {
    lines::answer(move |progress| async move { services.closures.collect(request, &actor, progress).await })
}
