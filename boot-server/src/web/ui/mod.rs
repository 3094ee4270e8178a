//! The admin's page: static files inside the binary, which speak the same API as the command line.

use crate::server::Services;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use protocol::{
    calls::{self, Description, Method},
    step::Step,
};
use std::sync::Arc;

/// Nothing from elsewhere, nothing inline: a log line that is HTML stays text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and its files.
pub fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", include_str!("index.html")) }))
        .route("/app.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("app.js")) }))
        .route("/view.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("view.js")) }))
        .route("/protocol.js", get(|| async { file("text/javascript; charset=utf-8", protocol_module()) }))
        .route("/style.css", get(|| async { file("text/css; charset=utf-8", include_str!("style.css")) }))
        .route("/icon.svg", get(|| async { file("image/svg+xml", include_str!("icon.svg")) }))
}

/// What the page shares with everybody else, as a module: `address("ApproveHeldPlan", name)` is the method and path of a
/// call ([`protocol::calls`]), `STEPS` the names of the steps in the order of the way.
fn protocol_module() -> String {
    let entry = |call: &Description| format!("  {}: [{:?}, {:?}],\n", call.name, method(call.method), call.path);
    let entries: String = calls::ALL.iter().map(entry).collect();
    let steps = Step::ALL.map(Step::name);
    format!(
        "export const STEPS = {steps:?};\n\nconst calls = {{\n{entries}}};\n\nexport function address(name, ...args) {{\n  const [method, pattern] = calls[name];\n  \
         return [method, pattern.replace(/{{\\w+}}/g, () => encodeURIComponent(args.shift()))];\n}}\n"
    )
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

fn file(kind: &'static str, content: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content.into()).into_response()
}
