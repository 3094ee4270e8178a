//! POST /v1/node/plan

use crate::{
    api::{
        answer::Answer,
        request::{Body, Identity},
    },
    server::Server,
};
use axum::{Json, extract::State};
use protocol::report::{PlanReply, PlanReport};
use std::sync::Arc;

/// Whether the plan may be carried out.
pub async fn post(
    State(server): State<Arc<Server>>,
    node: Identity,
    Body(request): Body<PlanReport>,
) -> Answer<PlanReply> {
    let decision = server.plan(&node.name, &node.key, request).await?;
    Ok(Json(PlanReply { decision }))
}
