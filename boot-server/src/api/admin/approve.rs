//! POST /v1/approve and /v1/nodes/NAME/plan/approve

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
    admin::{ApprovePlan, ApproveRequest, Approved},
    names::NodeName,
};
use std::sync::Arc;

/// A machine becomes a node: the admin has compared the code.
pub async fn code(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Body(request): Body<ApproveRequest>,
) -> Answer<Approved> {
    Ok(Json(Approved { node: server.approve(&request.code, request.node, &actor).await? }))
}

/// The plan that is held may be carried out.
pub async fn plan(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    Body(request): Body<ApprovePlan>,
) -> Answer<Approved> {
    let node: NodeName =
        name.parse().map_err(|error| Failure::new(Code::NotFound, format!("looking for the node: {error}")))?;
    server.approve_plan(&node, &request.plan, &actor).await?;
    Ok(Json(Approved { node }))
}
