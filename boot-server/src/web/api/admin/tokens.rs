//! /v1/tokens: who else is an admin.

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
use host::{certificate, http::pem};
use protocol::calls::{self, Nothing};
use std::sync::Arc;

/// Lists them.
pub async fn list(State(services): State<Arc<Services>>, _: Admin) -> Answer<calls::Tokens> {
    Ok(Json(services.tokens.list().await?))
}

/// Makes one.
pub async fn make(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::MakeToken>,
) -> Answer<calls::MakeToken> {
    Ok(Json(services.tokens.make(&request, &actor).await?))
}

/// Takes a certificate.
pub async fn take(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::TakeCertificate>,
) -> Answer<calls::TakeCertificate> {
    let page = services.config.https.certificate.as_deref().and_then(|path| pem::certificates(path).ok());
    let page = page.and_then(|chain| certificate::spki(chain.first()?));
    Ok(Json(services.tokens.take(&request, &services.ca, page, &actor).await?))
}

/// Revokes one.
pub async fn revoke(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
) -> Answer<calls::RevokeToken> {
    services.tokens.revoke(&name, &actor).await?;
    Ok(Json(Nothing {}))
}
