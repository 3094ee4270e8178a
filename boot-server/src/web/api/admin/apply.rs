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

/// Opens the node's next generation.
pub async fn reinstall(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
) -> Answer<calls::Reinstall> {
    let node = node_name(&name)?;
    let generation = services.specs.reinstall(&node, &actor).await?;
    Ok(Json(Reinstalling { node, generation }))
}
