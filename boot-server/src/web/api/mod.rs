//! The routes of the HTTPS port, by the list of calls ([`protocol::calls`]), one file a subject; what they do is in the
//! services.

mod admin;
mod answer;
mod authorise;
mod cache;
mod enrol;
mod lines;
mod node;
mod request;
mod routes;

use crate::server::Services;
use axum::{Router, extract::DefaultBodyLimit, response::IntoResponse, routing::get};
use protocol::{Code, Failure};
use routes::Routes;
use std::sync::Arc;

/// No body is larger than this.
const MAX_BODY: usize = 4 << 20;

/// Every route.
pub fn router(services: Arc<Services>) -> Router {
    let calls = admin::add(node::add(enrol::add(Routes::new(services.clone()))));
    Router::new()
        .route("/health", get(health))
        .merge(calls.router())
        .merge(cache::router())
        .merge(crate::web::ui::router())
        .fallback(|| async { nothing() })
        .method_not_allowed_fallback(|| async {
            answer::failed(&Failure::new(Code::Input, "reading the request: this address has other methods"))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(services)
}

/// There is nothing at this address.
pub fn nothing() -> axum::response::Response {
    answer::failed(&Failure::new(Code::NotFound, "looking for this address: there is none"))
}

/// What a key hears that was revoked, whatever it asks.
pub fn revoked() -> axum::response::Response {
    let failure = Failure::new(Code::Forbidden, "reading the request: the key of this certificate was revoked")
        .with_remedy("the node was replaced or retired: this machine is it no more");
    answer::failed(&failure)
}

/// What a source hears that asks too much.
pub fn busy(after: std::time::Duration) -> axum::response::Response {
    answer::Refused::later(after).into_response()
}

/// What a certificate hears that has ended, whatever it asks.
pub fn ended() -> axum::response::Response {
    let failure = Failure::new(Code::Forbidden, "reading the request: the certificate of this connection has ended")
        .with_remedy(
            "on a node: initrd-agent renew; for an admin: boot-server token create NAME --client-certificate FILE",
        );
    answer::failed(&failure)
}

async fn health(
    axum::extract::State(services): axum::extract::State<Arc<Services>>,
) -> axum::Json<crate::base::health::Report> {
    axum::Json(services.health.report())
}

/// Who says who he is in these headers, for [`super::properties`].
#[cfg(any(test, fuzzing))]
pub(super) fn read_headers(headers: &axum::http::HeaderMap) {
    let longest = headers.values().map(axum::http::HeaderValue::len).max().unwrap_or_default();
    let cookies = [request::cookie(headers), admin::cookie_of_login(headers)];
    assert!(cookies.into_iter().flatten().all(|cookie| cookie.len() < longest && !cookie.contains(';')));
    assert!(request::bearer(headers).is_none_or(|token| token.len() < longest && token.is_ascii()));
    assert!(authorise::password(headers).is_none_or(|password| password.len() < longest));
}

/// Who comes back from the OIDC provider with this query, likewise.
#[cfg(any(test, fuzzing))]
pub(super) fn read_callback(query: &str) {
    admin::read_callback(query);
}

#[cfg(test)]
mod tests;
