//! POST /v1/approve and /v1/nodes/NAME/plan/approve

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
use protocol::{admin::Approved, calls};
use std::sync::Arc;

/// A machine becomes a node: the admin has compared the code.
pub async fn code(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    In(request): In<calls::Approve>,
) -> Answer<calls::Approve> {
    Ok(Json(Approved { node: services.admission.approve(&request.code, request.node, &actor).await? }))
}

/// The plan that is held may be carried out.
pub async fn plan(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::ApproveHeldPlan>,
) -> Answer<calls::ApproveHeldPlan> {
    let node = node_name(&name)?;
    services.installs.approve_plan(&node, &request.plan, &actor).await?;
    Ok(Json(Approved { node }))
}
