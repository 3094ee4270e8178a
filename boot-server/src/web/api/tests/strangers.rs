//! How often a source is heard that shows nothing of who it is. This host's own is always heard, so no socket shows it.

use super::{super::router, World};
use crate::web::{
    peer::Peer,
    seat::{Asks, Rooms, Seat},
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
    response::Response,
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use protocol::{
    calls::{Call, Hello, Nodes},
    encoding::Sha256,
};

#[tokio::test]
async fn a_source_that_calls_far_too_often_is_to_come_later_and_others_and_nodes_are_answered() {
    let world = World::new().await;
    let routes = TowerToHyperService::new(router(world.services.clone()));
    let call = async |from: &str, key: Option<Sha256>, path: &str| -> Response {
        let address = from.parse().unwrap();
        let seat = Seat::take(&Rooms::default(), address, Asks::ForItself).unwrap();
        let mut request = Request::post(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer { address, key, admin: None, certificate_ends: None, seat });
        routes.call(request).await.unwrap()
    };
    let mut answered = 0;
    let refused = loop {
        let answer = call("10.0.0.1", None, Hello::PATH).await;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "there is no body");
        answered += 1;
    };
    assert!((2_000..10_000).contains(&answered), "{answered}");
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(call("10.0.0.2", None, Hello::PATH).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(call("10.0.0.1", Some(Sha256::of(b"a node's")), Hello::PATH).await.status(), StatusCode::BAD_REQUEST);
    assert_ne!(call("10.0.0.1", None, Nodes::PATH).await.status(), StatusCode::SERVICE_UNAVAILABLE, "an admin's call");
}
