//! POST /v1/nodes and /v1/nodes/NAME/reinstall

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
use protocol::{admin::Reinstalling, calls};
use std::sync::Arc;

/// Stores what an operator wants of some nodes.
pub async fn apply(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::Apply>,
) -> Answer<calls::Apply> {
    Ok(Json(services.specs.apply(request, &actor).await?))
}

/// Takes the node out of its services and opens its next generation.
pub async fn reinstall(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::Reinstall>,
) -> Answer<calls::Reinstall> {
    let node = node_name(&name)?;
    let (generation, steps) = services.operations.reinstall(&node, request.force, &actor).await?;
    Ok(Json(Reinstalling { node, generation, steps }))
}
