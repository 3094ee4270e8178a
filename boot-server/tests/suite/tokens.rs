//! Tokens of admins: scopes, ends, revocation, and what becomes of who guesses.

use super::lab::{BINARY, Caller, Lab, path};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode, header};
use protocol::{
    calls::{self, ALL},
    tokens::Scope,
};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};

fn made(lab: &Lab, name: &str, more: &[&str]) -> String {
    lab.says(&[&["token", "create", name], more].concat()).trim().to_owned()
}

fn with(lab: &Lab, token: &str) -> Caller {
    lab.caller(None, Some(token.to_owned()))
}

fn events(lab: &Lab) -> String {
    std::fs::read_to_string(lab.dir().join("log")).unwrap()
}

#[tokio::test]
async fn a_token_may_what_its_scope_allows_and_no_more() {
    let lab = Lab::open();
    for scope in Scope::ALL {
        let caller = with(&lab, &made(&lab, &format!("for-{scope}"), &["--scope", scope.name()]));
        for call in ALL.iter().filter(|call| call.who.scope().is_some()) {
            let path = call.path.replace("{name}", "x").replace("{cluster}", "x");
            let method = match call.method {
                calls::Method::Get => Method::GET,
                calls::Method::Post => Method::POST,
                calls::Method::Delete => Method::DELETE,
            };
            let status = caller.send(method, &path, &[], Bytes::new()).await.status();
            let may = call.who.scope() <= Some(scope);
            assert_eq!(status != StatusCode::FORBIDDEN, may, "{scope}: {}: {status}", call.name);
        }
    }
    let push = async |token: &str| {
        let caller = with(&lab, token);
        caller.send(Method::PUT, "/cache/log/x", &[], Bytes::new()).await.status()
    };
    assert_eq!(push(&made(&lab, "looks", &["--scope", "approve"])).await, StatusCode::FORBIDDEN);
    assert_eq!(push(&made(&lab, "pushes", &["--scope", "operate"])).await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_token_is_shown_once_and_stands_in_the_history_by_its_name() {
    let lab = Lab::open();
    let token = made(&lab, "alice", &["--scope", "operate"]);
    assert!(token.len() >= 22, "at least 128 bit");
    let file = lab.file("alice.token", &token);
    let ports = format!("https://127.0.0.1:{}", lab.port("https"));
    let spec = lab.file("n1.json", &super::lab::spec("n1", "52:54:00:00:00:01").to_string());
    let ca = lab.dir().join("ca.crt");
    let by_alice = |words: &[&str]| {
        let target = ["--server", &ports, "--ca", path(&ca), "--token-file", path(&file)];
        Command::new(BINARY).args(words).args(target).output().unwrap()
    };
    let applied = by_alice(&["apply", "-f", path(&spec)]);
    assert!(applied.status.success(), "{applied:?}");
    assert!(lab.describe("n1")["history"].to_string().contains("alice"), "{}", lab.describe("n1"));
    let refused = by_alice(&["token", "list"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("token alice allows to operate, and this needs admin"),
        "{said}"
    );
    let noted = lab.says(&["audit", "export"]);
    assert_eq!(
        noted.matches(r#""actor":"alice","kind":"token","from":"127.0.0.1","action":"refused""#).count(),
        1,
        "{noted}"
    );
    let listed = lab.says(&["token", "list"]);
    assert!(listed.contains("alice") && listed.contains("operate") && !listed.contains(&token), "{listed}");
    let used: Value = serde_json::from_str(&lab.says(&["token", "list", "--json"])).unwrap();
    let alice = used.as_array().unwrap().iter().find(|token| token["name"] == "alice").unwrap().clone();
    assert!(alice["used"].is_string() && alice["expires"].is_null(), "{alice}");
    for entry in
        std::fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path()).filter(|entry| entry.is_file())
    {
        let bytes = std::fs::read(&entry).unwrap();
        let there = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!there, "{} has the token", entry.display());
    }
    let twice = lab.verb(&["token", "create", "alice"]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("there is one of this name"), "{twice:?}");
}

#[tokio::test]
async fn a_token_ends_when_it_was_made_to_and_when_it_is_revoked_with_its_sessions() {
    let mut lab = Lab::open();
    let short = with(&lab, &made(&lab, "short", &["--expires", "1s"]));
    let token = made(&lab, "bob", &[]);
    let json = (header::CONTENT_TYPE.as_str(), "application/json");
    let answer =
        lab.nobody().send(Method::POST, "/v1/login", &[json], json!({"token": token}).to_string().into()).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = async |lab: &Lab| {
        let with = (header::COOKIE.as_str(), cookie.as_str());
        lab.nobody().send(Method::GET, "/v1/nodes", &[with], Bytes::new()).await.status()
    };
    assert_eq!((page(&lab).await, with(&lab, &token).get("/v1/nodes").await.0), (StatusCode::OK, StatusCode::OK));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(short.get("/v1/nodes").await.0, StatusCode::FORBIDDEN);
    assert!(lab.stop());
    lab.serve();
    assert_eq!(page(&lab).await, StatusCode::OK, "a session outlives a restart");
    lab.apply("n1", "52:54:00:00:00:01");
    let stream = with(&lab, &token).send(Method::GET, "/v1/nodes/n1/stream", &[], Bytes::new()).await;
    assert_eq!(stream.status(), StatusCode::OK);
    lab.says(&["token", "revoke", "bob"]);
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.into_body().collect()).await;
    assert!(ended.expect("what he follows ends").is_ok());
    assert_eq!(
        (page(&lab).await, with(&lab, &token).get("/v1/nodes").await.0),
        (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN)
    );
    let gone = lab.verb(&["token", "revoke", "bob"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("E-NOT-FOUND"), "{gone:?}");
}

#[test]
fn the_last_token_that_may_make_others_is_not_revoked_and_a_lost_one_is_made_anew_with_the_folder() {
    let mut lab = Lab::open();
    let refused = lab.verb(&["token", "revoke", "admin"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("E-WRONG-STATE"), "{refused:?}");
    std::fs::remove_file(lab.dir().join("admin.token")).unwrap();
    for name in ["while-it-runs", "while-it-is-down"] {
        let token = made(&lab, name, &["--scope", "admin", "--offline"]);
        if name == "while-it-is-down" {
            lab.serve();
        }
        std::fs::write(lab.dir().join("admin.token"), token).unwrap();
        assert!(lab.says(&["token", "list"]).contains(name));
        if name == "while-it-runs" {
            lab.says(&["token", "revoke", "admin"]);
            assert!(lab.stop());
        }
    }
}

#[tokio::test]
async fn wrong_tokens_are_noted_and_answered_slowly_and_a_right_one_is_taken_all_the_same() {
    let lab = Lab::open();
    let wrong = with(&lab, "a-guess");
    for _ in 0..11 {
        assert_eq!(wrong.get("/v1/nodes").await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(lab.admin().get("/v1/nodes").await.0, StatusCode::OK);
    let (_, noted) = lab.admin().get("/v1/events").await;
    let noted = noted.to_string();
    assert!(noted.contains("a wrong admin token from 127.0.0.1") && noted.contains("10 wrong admin tokens"), "{noted}");
    assert!(!noted.contains("a-guess") && !events(&lab).contains("a-guess"));
}
