//! POST /v1/nodes/NAME/power, remove, replace and decommission, and /v1/clusters/CLUSTER/remove: answered in lines, a line for each step.

use crate::{
    clusters::operations::Teller,
    server::Services,
    web::api::{
        answer::Refused,
        lines,
        request::{Admin, In, node_name},
    },
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use protocol::calls;
use std::sync::Arc;

/// The hook powers its machine.
pub async fn power(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::Power>,
) -> Result<Response, Refused> {
    let node = node_name(&name)?;
    Ok(lines::steps(move |teller| async move {
        services.operations.power(&node, request.power, &actor, &Teller(teller)).await
    }))
}

/// The node leaves the services of its cluster.
pub async fn remove(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::RemoveMember>,
) -> Result<Response, Refused> {
    let node = node_name(&name)?;
    Ok(lines::steps(move |teller| async move {
        services.operations.remove(&node, request.force, &actor, &Teller(teller)).await
    }))
}

/// A member that is no node leaves the services of its cluster.
pub async fn remove_foreign(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(cluster): Path<String>,
    In(request): In<calls::RemoveForeign>,
) -> Result<Response, Refused> {
    Ok(lines::steps(move |teller| async move {
        services.operations.remove_foreign(&cluster, &request, &actor, &Teller(teller)).await
    }))
}

/// Another machine takes its place.
pub async fn replace(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::Replace>,
) -> Result<Response, Refused> {
    let node = node_name(&name)?;
    Ok(lines::steps(move |teller| async move {
        services.operations.replace(&node, request.force, &actor, &Teller(teller)).await
    }))
}

/// It goes for good.
pub async fn decommission(
    State(services): State<Arc<Services>>,
    Admin(actor): Admin,
    Path(name): Path<String>,
    In(request): In<calls::Decommission>,
) -> Result<Response, Refused> {
    let node = node_name(&name)?;
    Ok(lines::steps(move |teller| async move {
        services.operations.decommission(&node, request.keep_disks, request.force, &actor, &Teller(teller)).await
    }))
}
