//! The routes of the HTTPS port. One route, one file; what they do is in the server's own modules.

mod admin;
mod answer;
mod artefacts;
mod cache;
mod enrol;
mod lines;
mod node;
mod request;
mod telemetry;

use crate::server::Server;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use protocol::{Code, Failure};
use std::sync::Arc;

/// No body is larger than this.
const MAX_BODY: usize = 4 << 20;

/// Every route.
pub fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/enrol/hello", post(enrol::hello::post))
        .route("/v1/enrol", post(enrol::request::post))
        .route("/v1/enrol/{session}", get(enrol::poll::get))
        .route("/v1/artefacts/{sha256}", get(artefacts::get))
        .route("/v1/telemetry", post(telemetry::post))
        .route("/v1/node/manifest", post(node::manifest::post))
        .route("/v1/node/secrets", get(node::secrets::get))
        .route("/v1/node/plan", post(node::plan::post))
        .route("/v1/node/installed", post(node::installed::post))
        .route("/v1/node/ready", post(node::ready::post))
        .route("/v1/node/health", post(node::health::post))
        .route("/v1/node/wiped", post(node::wiped::post))
        .route("/v1/node/turn", post(node::turn::post))
        .route("/v1/node/snapshot", get(node::snapshot::get))
        .merge(cache::router())
        .merge(admin::router())
        .merge(crate::ui::router())
        .fallback(|| async { answer::failed(&Failure::new(Code::NotFound, "looking for this address: there is none")) })
        .method_not_allowed_fallback(|| async {
            answer::failed(&Failure::new(Code::Input, "reading the request: this address has other methods"))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(server)
}

/// What a key hears that was revoked, whatever it asks.
pub fn revoked() -> axum::response::Response {
    let failure = Failure::new(Code::Forbidden, "reading the request: the key of this certificate was revoked")
        .with_remedy("the node was replaced or retired: this machine is it no more");
    answer::failed(&failure)
}

async fn health(axum::extract::State(server): axum::extract::State<Arc<Server>>) -> axum::Json<crate::health::Report> {
    axum::Json(server.health.report())
}
