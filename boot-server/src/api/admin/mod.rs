//! What an admin may: a bearer token, or the page's cookie.

mod apply;
mod approve;
mod closures;
mod clusters;
mod events;
mod login;
mod logs;
mod nodes;
mod operate;

use crate::server::Server;
use axum::{
    Router,
    routing::{get, post},
};
use std::sync::Arc;

/// The admin's routes.
pub fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/v1/nodes", get(nodes::list).post(apply::post))
        .route("/v1/nodes/{name}", get(nodes::detail))
        .route("/v1/nodes/{name}/logs", get(logs::page))
        .route("/v1/nodes/{name}/stream", get(logs::stream))
        .route("/v1/nodes/{name}/plan/approve", post(approve::plan))
        .route("/v1/nodes/{name}/reinstall", post(apply::reinstall))
        .route("/v1/nodes/{name}/power", post(operate::power))
        .route("/v1/nodes/{name}/remove", post(operate::remove))
        .route("/v1/nodes/{name}/replace", post(operate::replace))
        .route("/v1/nodes/{name}/decommission", post(operate::decommission))
        .route("/v1/approve", post(approve::code))
        .route("/v1/closures", get(closures::list))
        .route("/v1/closures/verify", post(closures::verify))
        .route("/v1/closures/gc", post(closures::gc))
        .route("/v1/clusters", get(clusters::list))
        .route("/v1/clusters/{cluster}/members", get(clusters::members))
        .route("/v1/clusters/{cluster}/verify", post(clusters::verify))
        .route("/v1/clusters/{cluster}/forget", post(clusters::forget))
        .route("/v1/events", get(events::list))
        .route("/v1/login", post(login::begin).delete(login::end))
}
