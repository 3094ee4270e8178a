//! The list of calls against the running server.

use super::lab::Lab;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use protocol::calls::{self, Who};

#[tokio::test]
async fn every_call_of_the_list_is_answered_and_refused_to_a_stranger_by_it() {
    let lab = Lab::open();
    for call in calls::ALL {
        let path = call.path.replace("{name}", "x").replace("{cluster}", "x").replace("{session}", "x");
        let path = path.replace("{sha256}", &"0".repeat(64));
        let method = match call.method {
            calls::Method::Get => Method::GET,
            calls::Method::Post => Method::POST,
            calls::Method::Delete => Method::DELETE,
        };
        let answer = lab.nobody().send(method, &path, &[], Bytes::new()).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(!body.contains("there is none") || call.name == "Artefact", "{}: no route: {body}", call.name);
        assert!(!body.contains("other methods"), "{}: another method: {body}", call.name);
        match call.who {
            Who::Viewer | Who::Approver | Who::Operator | Who::Admin | Who::Node | Who::FormerNode => {
                assert_eq!(status, StatusCode::FORBIDDEN, "{}", call.name);
            }
            Who::Anyone | Who::Machine => assert_ne!(status, StatusCode::FORBIDDEN, "{}", call.name),
        }
    }
}
