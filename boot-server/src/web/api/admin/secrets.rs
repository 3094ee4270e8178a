//! /v1/nodes/NAME/secrets: what a node gets beside its spec.

use crate::{
    server::Services,
    web::api::{
        answer::Answer,
        request::{Admin, In, node_name},
    },
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::{
    calls::{self, Nothing},
    secrets::SealedAnew,
};
use std::sync::Arc;

/// Lists them.
pub async fn list(
    State(services): State<Arc<Services>>,
    _: Admin,
    Path(name): Path<String>,
) -> Answer<calls::ListSecrets> {
    Ok(Json(services.secrets.list(&node_name(&name)?).await?))
}

/// Sets one.
pub async fn set(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::SetSecret>,
) -> Answer<calls::SetSecret> {
    Ok(Json(services.secrets.set(&node_name(&name)?, request, &actor).await?))
}

/// Deletes one.
pub async fn delete(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path((name, path)): Path<(String, String)>,
) -> Answer<calls::DeleteSecret> {
    services.secrets.delete(&node_name(&name)?, &path, &actor).await?;
    Ok(Json(Nothing {}))
}

/// Seals all of them with a new key.
pub async fn rekey(State(services): State<Arc<Services>>, Admin(actor): Admin) -> Answer<calls::SealAnew> {
    Ok(Json(SealedAnew { nodes: services.secrets.rekey(&actor).await? }))
}
