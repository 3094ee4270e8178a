//! /v1/enrol-tokens: one-time tokens that admit machines.

use crate::{
    server::Services,
    web::api::{
        answer::Answer,
        request::{Admin, In},
    },
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::calls::{self, Nothing};
use std::sync::Arc;

/// Lists them.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::EnrolTokens> {
    Ok(Json(services.admission.tokens().await?))
}

/// Makes one.
pub async fn make(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::MakeEnrolToken>,
) -> Answer<calls::MakeEnrolToken> {
    Ok(Json(services.admission.make_token(&request, &actor).await?))
}

/// Revokes one.
pub async fn revoke(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(id): Path<String>,
) -> Answer<calls::RevokeEnrolToken> {
    services.admission.revoke_token(&id, &actor).await?;
    Ok(Json(Nothing {}))
}
