//! What the HTTPS port answers to at all: the calls ([`protocol::calls`]), and what anybody may read. A route that stands in neither list
//! is not there, so that nothing is reached which the threat model does not name.

use super::api;
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use protocol::calls;

/// What anybody may read, beside the calls of [`calls::Who::Anyone`]: the page, the state of health, the binary cache, what
/// machines boot. Nothing of it is secret. Whoever writes to the cache shows a token.
pub const READ_BY_ANYBODY: &[&str] = &[
    "/",
    "/app.js",
    "/view.js",
    "/protocol.js",
    "/style.css",
    "/icon.svg",
    "/health",
    "/cache/{*path}",
    "/v1/closure/{hash}",
    "/boot/ipxe/boot.ipxe",
    "/boot/ipxe/{file}",
    "/boot/nixos/{profile}/{file}",
];

fn is_listed(path: &str) -> bool {
    READ_BY_ANYBODY.contains(&path) || calls::ALL.iter().any(|call| call.path == path)
}

/// Lets through what is listed.
pub async fn only_listed(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    match matched {
        Some(path) if !is_listed(path.as_str()) => api::nothing(),
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, http::StatusCode, middleware::from_fn, routing::get};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    #[tokio::test]
    async fn a_route_that_is_in_no_list_is_not_there() {
        let routes = Router::new().route("/health", get(|| async {})).route("/v1/more", get(|| async {}));
        let routes = TowerToHyperService::new(routes.layer(from_fn(only_listed)));
        let status = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            routes.call(request).await.unwrap().status()
        };
        assert_eq!((status("/health").await, status("/v1/more").await), (StatusCode::OK, StatusCode::NOT_FOUND));
    }

    #[test]
    fn the_threat_model_names_all_that_anybody_may_read() {
        let model = include_str!("../../../docs/threat-model.md");
        for path in READ_BY_ANYBODY {
            assert!(model.contains(&format!("`{path}`")), "{path}");
        }
    }
}
