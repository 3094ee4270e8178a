//! Who is behind a proxy.

use super::{lab::Lab, machine::Machine};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

const FORWARDED: &str = "x-forwarded-for";

fn behind(proxies: &str) -> Lab {
    let mut lab = Lab::made("", &[]);
    lab.configure("", "");
    let config = lab.dir().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let listed = format!("[https]\ntrusted_proxies = {proxies}");
    std::fs::write(&config, text.replacen("[https]", &listed, 1)).unwrap();
    lab.serve();
    lab
}

async fn makes_a_token(lab: &Lab, name: &str, headers: &[(&str, &str)]) {
    let body = json!({"name": name, "scope": "view", "life_seconds": 3600}).to_string();
    let headers = [&[("content-type", "application/json")], headers].concat();
    let answer = lab.admin().send(Method::POST, "/v1/tokens", &headers, body.into()).await;
    assert!(answer.status().is_success(), "{answer:?}");
}

fn made_from(lab: &Lab) -> Vec<String> {
    let audit = lab.says(&["audit", "export"]);
    let entries = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let made = entries.filter(|entry| entry["action"] == "token-made" && entry["kind"] == "token");
    made.map(|entry| entry["from"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_proxy_that_is_configured_says_for_whom_it_asks() {
    let lab = behind("['127.0.0.0/8', '10.9.0.1']");
    makes_a_token(&lab, "one", &[(FORWARDED, "198.51.100.1, 192.0.2.7, 10.9.0.1")]).await;
    makes_a_token(&lab, "two", &[(FORWARDED, "192.0.2.7"), (FORWARDED, "[2001:db8::7]:443")]).await;
    makes_a_token(&lab, "three", &[(FORWARDED, "nonsense, \u{1F600}")]).await;
    makes_a_token(&lab, "four", &[]).await;
    assert_eq!(made_from(&lab), ["192.0.2.7", "2001:db8::7", "127.0.0.1", "127.0.0.1"]);

    let machine = Machine::new("52:54:00:00:00:01", "run-1");
    let greeted = machine.greet(&lab).await;
    let body = serde_json::to_vec(&machine.request(&greeted.session)).unwrap();
    let headers = [("content-type", "application/json"), (FORWARDED, "192.0.2.9")];
    let asked = lab.nobody().send(Method::POST, "/v1/enrol", &headers, body.into()).await;
    assert!(asked.status().is_success());
    assert!(lab.says(&["get", "nodes", "-o", "wide"]).contains("192.0.2.9"));
}

#[tokio::test]
async fn nobody_else_is_believed_whom_he_claims_to_ask_for() {
    for lab in [behind("[]"), behind("['10.0.0.0/8', '::/0']")] {
        makes_a_token(&lab, "one", &[(FORWARDED, "192.0.2.7")]).await;
        assert_eq!(made_from(&lab), ["127.0.0.1"]);
    }
}

#[tokio::test]
async fn wrong_tokens_of_one_who_is_behind_a_proxy_are_noted_as_his() {
    let lab = behind("['127.0.0.1']");
    let wrong = lab.caller(None, Some("wrong".to_owned()));
    for from in ["192.0.2.7", "192.0.2.8"] {
        let answer = wrong.send(Method::GET, "/v1/nodes", &[(FORWARDED, from)], Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let (_, noticed) = lab.admin().get("/v1/events").await;
    let from: Vec<&Value> = noticed.as_array().unwrap().iter().map(|entry| &entry["from"]).collect();
    assert!(from.contains(&&json!("192.0.2.7")) && from.contains(&&json!("192.0.2.8")), "{noticed:#}");
}
