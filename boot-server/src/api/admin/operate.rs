//! POST /v1/nodes/NAME/power, remove, replace and decommission: answered in lines, a line for each step.

use crate::{
    api::{
        answer::Refused,
        lines,
        request::{Admin, Body},
    },
    operation::Teller,
    server::Server,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use protocol::{
    Code, Failure,
    names::NodeName,
    operations::{OperateRequest, PowerRequest},
};
use std::sync::Arc;

fn name_of(text: &str) -> Result<NodeName, Refused> {
    let unknown = |error| Refused(Failure::new(Code::NotFound, format!("looking for the node: {error}")));
    text.parse().map_err(unknown)
}

/// The hook powers its machine.
pub async fn power(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    Body(request): Body<PowerRequest>,
) -> Result<Response, Refused> {
    let node = name_of(&name)?;
    Ok(lines::steps(
        move |teller| async move { server.power_node(&node, request.power, &actor, &Teller(teller)).await },
    ))
}

/// The node leaves the services of its cluster.
pub async fn remove(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    Body(request): Body<OperateRequest>,
) -> Result<Response, Refused> {
    let node = name_of(&name)?;
    Ok(lines::steps(
        move |teller| async move { server.remove_node(&node, request.force, &actor, &Teller(teller)).await },
    ))
}

/// Another machine takes its place.
pub async fn replace(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    Body(request): Body<OperateRequest>,
) -> Result<Response, Refused> {
    let node = name_of(&name)?;
    Ok(lines::steps(
        move |teller| async move { server.replace_node(&node, request.force, &actor, &Teller(teller)).await },
    ))
}

/// It goes for good.
pub async fn decommission(
    State(server): State<Arc<Server>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    Body(request): Body<OperateRequest>,
) -> Result<Response, Refused> {
    let node = name_of(&name)?;
    Ok(lines::steps(move |teller| async move {
        server.decommission_node(&node, request.keep_disks, request.force, &actor, &Teller(teller)).await
    }))
}
