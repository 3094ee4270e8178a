//! POST /v1/nodes and /v1/nodes/NAME/reinstall

use crate::{
    api::{
        answer::Answer,
        request::{Admin, Body},
    },
    server::Server,
};
use axum::{
    Json,
    extract::{Path, State},
};
use protocol::{
    Code, Failure,
    admin::{Applied, ApplyRequest, Reinstalling},
    names::NodeName,
};
use std::sync::Arc;

/// Stores what an operator wants of some nodes.
pub async fn post(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Body(request): Body<ApplyRequest>,
) -> Answer<Vec<Applied>> {
    Ok(Json(server.apply(request, &actor).await?))
}

/// Opens the node's next generation.
pub async fn reinstall(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
) -> Answer<Reinstalling> {
    let node: NodeName =
        name.parse().map_err(|error| Failure::new(Code::NotFound, format!("looking for the node: {error}")))?;
    let generation = server.reinstall(&node, &actor).await?;
    Ok(Json(Reinstalling { node, generation }))
}
