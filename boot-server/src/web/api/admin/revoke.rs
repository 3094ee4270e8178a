//! /v1/nodes/NAME/revoke and /v1/certificates/SERIAL/revoke.

use crate::{
    server::Services,
    web::api::{
        answer::Answer,
        request::{Admin, node_name},
    },
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::calls::{self, Nothing};
use std::sync::Arc;

/// The key of a node.
pub async fn key(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
) -> Answer<calls::RevokeKey> {
    Ok(Json(services.operations.revoke(&node_name(&name)?, &actor).await?))
}

/// A certificate of a member that is no node.
pub async fn certificate(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(serial): Path<String>,
) -> Answer<calls::RevokeCertificate> {
    services.certificates.revoke_of_member(&serial, &actor).await?;
    Ok(Json(Nothing {}))
}
