//! What is tried beside the token: with codes, states, browsers, and by the provider itself.

use super::{Served, browser::Browser};
use hyper::{Method, StatusCode};
use qemu_tests::cluster_peer::Reply;
use serde_json::{Value, json};
use std::time::Duration;

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn a_login_is_finished_once_and_by_the_browser_that_began_it() {
    let served = Served::new();
    let (mut alice, login) = served.begun().await;
    let code = served.provider.gives(&login, served.provider.token(&login.claims("1", &["ops"])));
    let back = format!("state={}&code={code}", login.state);
    // Another browser: without a login of its own, and with one. The victim of a login that somebody else began is such a one.
    let (mut other, _) = served.begun().await;
    for browser in [&mut served.browser(), &mut other] {
        let answer = served.back(browser, &back).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("this browser has begun no such login"), "{}", answer.text);
    }
    assert_eq!(served.provider.asked("POST /token"), 0, "nobody was asked for a code of who did not begin");
    let cookie = alice.cookie(&served.origin, "__Host-centra-login").unwrap().to_owned();
    assert_eq!(served.back(&mut alice, &back).await.status, StatusCode::SEE_OTHER);
    assert_eq!(alice.cookie(&served.origin, "__Host-centra-login"), None);
    alice.set_cookie(&served.origin, "__Host-centra-login", &cookie);
    assert_eq!(served.back(&mut alice, &back).await.status, StatusCode::FORBIDDEN, "again");
    assert_eq!(served.provider.asked("POST /token"), 1);
}

#[tokio::test]
async fn another_s_code_is_refused_for_its_challenge_and_a_provider_that_does_not_look_for_its_nonce() {
    let served = Served::new();
    let (_, login) = served.begun().await;
    let code = served.provider.gives(&login, served.provider.token(&login.claims("1", &["root"])));
    let (mut mallory, own) = served.begun().await;
    let answer = served.back(&mut mallory, &format!("state={}&code={code}", own.state)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("(invalid_grant: no such &lt;b&gt;code&lt;/b&gt;)"), "{}", answer.text);
    let token = served.provider.token(&login.claims("1", &["root"]));
    served.provider.answers("/token", Reply::Json(200, json!({"id_token": token})));
    let (mut mallory, own) = served.begun().await;
    let answer = served.back(&mut mallory, &format!("state={}&code=x", own.state)).await;
    assert!(answer.text.contains("it is for another login"), "{}", answer.text);
}

#[tokio::test]
async fn what_a_provider_says_of_its_refusal_is_shown_as_short_text() {
    let served = Served::new();
    let (mut browser, login) = served.begun().await;
    let evil = format!("%3Cscript%3Ealert(1)%3C/script%3E%1B[2J{}", "x".repeat(3000));
    let answer =
        served.back(&mut browser, &format!("state={}&error=access_denied&error_description={evil}", login.state)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(
        answer.text.contains("(access_denied: &lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}[2J"),
        "{}",
        answer.text
    );
    assert!(answer.text.len() < 2000 && !answer.text.contains("<script"), "{}", answer.text);
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let noted = served.noted("login-refused");
    assert!(noted[0]["text"].as_str().unwrap().len() < 400, "{noted:?}");
    // Nothing of it is shown to who has begun nothing.
    let answer = served.back(&mut served.browser(), "state=x&error=%3Cb%3E").await;
    assert!(answer.text.contains("this browser has begun no such login"), "{}", answer.text);
}

#[tokio::test]
async fn another_provider_s_answer_is_not_taken_for_this_one_s() {
    let served = Served::new();
    let (mut browser, login) = served.begun().await;
    let answer =
        served.back(&mut browser, &format!("state={}&code=x&iss=https%3A%2F%2Fevil.example.org", login.state)).await;
    assert!(answer.text.contains("another OIDC provider has answered"), "{}", answer.text);
    assert_eq!(served.provider.asked("POST /token"), 0);
}

/// A server whose provider has answered so from the beginning.
async fn with_a_provider_that(answers: impl FnOnce(&super::Hostile)) -> (Served, super::browser::Answer) {
    let provider = super::Hostile::start();
    answers(&provider);
    let (mut lab, origin) = super::configured(&provider.issuer(), &provider.ca(), super::GRANTS);
    lab.serve();
    let served = Served { lab, origin, provider };
    let answer = served.browser().get(&format!("{}/v1/login/oidc", served.origin)).await;
    (served, answer)
}

#[tokio::test]
async fn a_provider_leads_the_server_to_nobody_else() {
    let (_elsewhere, target) = {
        let elsewhere = super::Hostile::start();
        let target = elsewhere.issuer();
        (elsewhere, target)
    };
    for (name, value, why) in [
        ("jwks_uri", json!(format!("{target}/keys")), "is not at the issuer&#39;s host"),
        ("token_endpoint", json!("http://127.0.0.1:8080/latest/meta-data"), "is not at the issuer&#39;s host"),
        ("authorization_endpoint", json!("https://evil.example.org/authorize"), "is not at the issuer&#39;s host"),
        ("issuer", json!(target), "oidc.issuer exactly as the provider calls itself"),
    ] {
        let (_served, answer) = with_a_provider_that(|provider| {
            provider.answers(DISCOVERY, provider.document_with(name, value));
        })
        .await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{name}: {}", answer.text);
        assert!(answer.text.contains(why), "{name}: {}", answer.text);
    }
    for path in [DISCOVERY, "/keys"] {
        let (_served, answer) =
            with_a_provider_that(|provider| provider.answers(path, Reply::Moved(format!("{target}{path}")))).await;
        assert!(
            answer.status == StatusCode::BAD_GATEWAY && answer.text.contains("the answer was 302"),
            "{}",
            answer.text
        );
    }
    assert_eq!(_elsewhere.asked("GET"), 0);
}

#[tokio::test]
async fn a_provider_fills_no_memory_and_what_is_no_document_is_none() {
    let huge = || Reply::File(vec![b' '; 8 << 20]);
    for (path, reply) in [
        (DISCOVERY, huge()),
        ("/keys", huge()),
        ("/keys", Reply::Json(200, json!({"keys": 5}))),
        (DISCOVERY, Reply::Half),
        (DISCOVERY, Reply::File(b"<html>".to_vec())),
    ] {
        let (served, answer) = with_a_provider_that(|provider| provider.answers(path, reply)).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{path}: {}", answer.text);
        assert!(answer.text.contains("E-OIDC") || answer.text.contains("log in with a token"), "{}", answer.text);
        assert!(served.lab.admin().get("/v1/nodes").await.0.is_success());
    }
    let served = Served::new();
    for reply in [huge(), Reply::Json(200, json!({"id_token": 7})), Reply::Json(500, json!({})), Reply::Half] {
        served.provider.answers("/token", reply);
        let (mut browser, login) = served.begun().await;
        let answer = served.back(&mut browser, &format!("state={}&code=x", login.state)).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text);
    }
    served.provider.answers_as_usual("/token");
    served.logged_in("1", &["look"]).await;
}

#[tokio::test]
async fn a_slow_provider_holds_up_no_token_and_is_given_up() {
    let served = Served::new();
    served.provider.answers("/token", Reply::Slow(Duration::from_secs(30)));
    let (mut browser, login) = served.begun().await;
    let back = format!("state={}&code=x", login.state);
    let (answer, ()) = tokio::join!(served.back(&mut browser, &back), async {
        let token = json!({"token": served.lab.token()});
        let mut page: Browser = served.browser();
        let login = page.send(Method::POST, &format!("{}/v1/login", served.origin), &token).await;
        assert_eq!(login.status, StatusCode::OK);
        assert_eq!(served.looks(&mut page).await, StatusCode::OK);
    });
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(answer.text.contains("no answer within 10 s"), "{}", answer.text);
}

#[tokio::test]
async fn the_session_s_cookie_is_good_from_the_page_alone() {
    let served = Served::new();
    let mut browser = served.logged_in("1", &["ops"]).await;
    assert_eq!(served.looks(&mut browser).await, StatusCode::OK);
    let url = format!("{}/v1/nodes", served.origin);
    assert_eq!(
        browser.arrive(&url).await.status,
        StatusCode::FORBIDDEN,
        "Strict: another site's request has no cookie"
    );
    let own = browser.send(Method::POST, &url, &json!({"nodes": []})).await;
    assert_eq!(own.status, StatusCode::OK);
    let value = browser.cookie(&served.origin, "__Host-centra").unwrap().to_owned();
    let headers = [
        ("cookie", &*format!("__Host-centra={value}")),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "application/json"),
    ];
    let foreign = served.lab.nobody().send(Method::POST, "/v1/nodes", &headers, Value::Null.to_string().into()).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let bearer = served.lab.caller(None, Some(value));
    assert_eq!(bearer.get("/v1/nodes").await.0, StatusCode::FORBIDDEN, "a cookie is no token");
}
