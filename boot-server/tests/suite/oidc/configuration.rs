//! What the configuration says, and what becomes of sessions when it says something else.

use super::{GRANTS, Hostile, Lab, Served, configured, noted, without, write};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::process::Command;

/// What the server says that does not start.
fn refused(lab: &Lab) -> String {
    let config = lab.dir().join("config.toml");
    let output = Command::new(super::super::lab::BINARY).args(["serve", "--config"]).arg(config).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("E-CONFIG"), "{said}");
    said
}

#[test]
fn a_server_with_a_configuration_that_cannot_work_does_not_start_and_says_what_to_do() {
    let provider = Hostile::start();
    for (issuer, more, why) in [
        ("http://127.0.0.1:1", GRANTS, "oidc.issuer"),
        ("https://127.0.0.1:1", "", "grants"),
        ("https://127.0.0.1:1", "grants.ops = 'root'", "oidc.grants.ops"),
        ("https://127.0.0.1:1", "client_secret = 'in the clear'\ngrants.ops = 'view'", "client_secret"),
        ("https://127.0.0.1:1", "person = 'nickname'\ngrants.ops = 'view'", "oidc.person"),
    ] {
        let (lab, _) = configured(issuer, &provider.ca(), more);
        let said = refused(&lab);
        assert!(said.contains(why) && !said.contains("in the clear"), "{said}");
    }
    let (lab, _) = configured("https://127.0.0.1:1", &provider.ca(), GRANTS);
    std::fs::remove_file(lab.dir().join("oidc.secret")).unwrap();
    let said = refused(&lab);
    assert!(said.contains("oidc.secret") && said.contains("oidc.client_secret_file"), "{said}");
}

#[tokio::test]
async fn without_a_provider_the_page_has_no_way_to_one() {
    let lab = Lab::strict();
    let page = lab.nobody().send(Method::GET, "/", &[], Bytes::new()).await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = http_body_util::BodyExt::collect(page.into_body()).await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&page).contains("Sign in with"));
    for path in ["/v1/login/oidc", "/v1/login/oidc/callback?state=x&code=y"] {
        assert_eq!(lab.nobody().get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_server_starts_without_its_provider_says_so_and_takes_tokens() {
    let provider = Hostile::start();
    let nobody = super::free_port();
    let (mut lab, origin) = configured(&format!("https://127.0.0.1:{nobody}"), &provider.ca(), GRANTS);
    lab.serve();
    let health = async || lab.nobody().get("/health").await.1;
    let mut said = health().await;
    while said["services"]["oidc"] == "starting" || said["services"]["oidc"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        said = health().await;
    }
    assert!(said["status"] == "healthy" && said["services"]["oidc"].as_str().unwrap().contains("E-OIDC"), "{said}");
    assert!(lab.admin().get("/v1/nodes").await.0.is_success());
    let mut browser = super::Browser::new(&[&lab.ca_pem()]);
    let page = browser.get(&format!("{origin}/")).await;
    assert!(page.text.contains("Sign in with Test &amp; Co"), "{}", page.text);
    let answer = browser.get(&format!("{origin}/v1/login/oidc")).await;
    assert!(answer.status == StatusCode::BAD_GATEWAY && answer.text.contains("log in with a token"), "{}", answer.text);
    assert!(lab.stop(), "and ends at once");
}

#[tokio::test]
async fn what_the_configuration_grants_no_more_ends_the_sessions_that_came_by_it_and_what_it_grants_less_narrows_them()
{
    let mut served = Served::new();
    let (mut ops, mut root) = (served.logged_in("1", &["ops"]).await, served.logged_in("2", &["root"]).await);
    let restart = |served: &mut Served, more: &str| {
        assert!(served.lab.stop());
        write(&served.lab, &served.origin, &served.provider.issuer(), &served.provider.ca(), more);
        served.lab.serve();
    };
    restart(&mut served, "grants.root = 'view'\n");
    assert_eq!((served.looks(&mut ops).await, served.looks(&mut root).await), (StatusCode::FORBIDDEN, StatusCode::OK));
    let url = format!("{}/v1/tokens", served.origin);
    assert_eq!(root.get(&url).await.status, StatusCode::FORBIDDEN, "it was admin, and is view");
    let ended = served.noted("sessions-ended");
    let texts: Vec<&str> = ended.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert!(
        texts.len() == 2 && texts.iter().any(|text| text.contains("ended the sessions of oidc:name-of-1")),
        "{texts:?}"
    );
    assert!(ended.iter().any(|entry| entry["before"]["subject"]["sub"] == "1"), "{ended:?}");
    served.lab.stop();
    without(&served.lab, &served.origin, "");
    served.lab.serve();
    assert_eq!(served.looks(&mut root).await, StatusCode::FORBIDDEN, "there is no provider any more");
    assert!(!served.lab.says(&["token", "list"]).contains("oidc:"));
}

#[tokio::test]
async fn sessions_of_a_person_are_listed_and_ended_by_name_and_another_of_the_same_name_goes_on() {
    let served = Served::new();
    let named = async |sub: &str| {
        let token = |login: &super::Login| {
            let mut claims = login.claims(sub, &["ops"]);
            claims["preferred_username"] = "alice".into();
            served.provider.token(&claims)
        };
        served.logs_in(token).await.0
    };
    let (mut one, mut again, mut other) = (named("1").await, named("1").await, named("2").await);
    let listed: Vec<Value> = serde_json::from_str(&served.lab.says(&["token", "list", "--json"])).unwrap();
    let names: Vec<&str> =
        listed.iter().filter(|token| token["kind"] == "oidc").map(|token| token["name"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names[0] == "oidc:alice" && names[1].starts_with("oidc:alice ("), "{names:?}");
    served.lab.says(&["token", "revoke", "oidc:alice"]);
    for (browser, status) in
        [(&mut one, StatusCode::FORBIDDEN), (&mut again, StatusCode::FORBIDDEN), (&mut other, StatusCode::OK)]
    {
        assert_eq!(served.looks(browser).await, status);
    }
    served.lab.says(&["token", "revoke", names[1]]);
    assert_eq!(served.looks(&mut other).await, StatusCode::FORBIDDEN);
    let ended = noted(&served.lab, "sessions-ended");
    assert_eq!((ended.len(), &ended[0]["actor"]), (2, &"admin".into()), "{ended:?}");
}
