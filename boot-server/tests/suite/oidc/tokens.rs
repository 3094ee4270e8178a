//! ID tokens that are not to be believed, each given for a code that is good. More of them are tried without a server:
//! `boot-server/src/trust/oidc/token/tests.rs`.

use super::{
    Served,
    hostile::{Hostile, Login, encode},
};
use hyper::StatusCode;
use serde_json::{Value, json};

/// Nobody is in, and the page and the audit say why.
async fn refused(token: impl FnOnce(&Hostile, &Login) -> String, why: &str) {
    let served = Served::new();
    let (mut browser, answer) = served.logs_in(|login| token(&served.provider, login)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
    assert!(answer.text.contains(why) && answer.sets("__Host-centra").is_none(), "{}", answer.text);
    assert_eq!(served.looks(&mut browser).await, StatusCode::FORBIDDEN);
    let noted = served.noted("login-refused");
    assert!(noted.len() == 1 && noted[0]["text"].as_str().unwrap().contains(why), "{noted:?}");
    assert!(served.noted("logged-in").is_empty());
}

async fn refused_with(name: &str, value: Value, why: &str) {
    let token = |provider: &Hostile, login: &Login| {
        let mut claims = login.claims("1", &["root"]);
        claims[name] = value;
        provider.token(&claims)
    };
    refused(token, why).await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    refused_with("iss", json!("https://127.0.0.1:1"), "of another issuer").await;
}

#[tokio::test]
async fn a_token_for_another_client_is_refused() {
    refused_with("aud", json!("another-client"), "for another client").await;
}

#[tokio::test]
async fn a_token_that_was_given_to_another_client_is_refused() {
    refused_with("azp", json!("another-client"), "given to another client").await;
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused() {
    refused_with("exp", json!(1_700_000_000), "it has ended").await;
}

#[tokio::test]
async fn a_token_of_another_login_is_refused() {
    refused_with("nonce", json!("another-nonce"), "for another login").await;
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let token = |_: &Hostile, login: &Login| Hostile::signed(&json!({"alg": "none"}), &login.claims("1", &["root"]));
    refused(token, "it is no signed token").await;
}

#[tokio::test]
async fn a_token_that_is_signed_with_the_public_key_as_a_secret_is_refused() {
    let header = json!({"alg": "HS256", "kid": "first"});
    let token = |_: &Hostile, login: &Login| Hostile::signed(&header, &login.claims("1", &["root"]));
    refused(token, "signed by none of RS256, ES256 and EdDSA").await;
}

#[tokio::test]
async fn a_token_whose_claims_were_changed_is_refused() {
    let token = |provider: &Hostile, login: &Login| {
        let token = provider.token(&login.claims("1", &["look"]));
        let parts: Vec<&str> = token.split('.').collect();
        format!("{}.{}.{}", parts[0], encode(login.claims("1", &["root"]).to_string()), parts[2])
    };
    refused(token, "its signature does not hold").await;
}

#[tokio::test]
async fn tokens_with_unknown_keys_have_the_provider_asked_at_a_bounded_pace_and_a_new_key_is_found() {
    let start = std::time::Instant::now();
    let served = Served::new();
    let other = json!({"alg": "RS256", "kid": "nobody's"});
    for _ in 0..8 {
        let (_, answer) = served.logs_in(|login| Hostile::signed(&other, &login.claims("1", &["root"]))).await;
        assert!(answer.text.contains("it names no key of the provider"), "{}", answer.text);
    }
    // One when the server began, and at most one every five seconds since.
    let (asked, most) = (served.provider.asked("GET /keys"), start.elapsed().as_secs() / 5 + 2);
    assert!(asked as u64 <= most, "{asked} of {most}");
    served.provider.renames_its_key("second");
    for round in 0.. {
        let (_, answer) = served.logs_in(|login| served.provider.token(&login.claims("1", &["look"]))).await;
        if answer.status == StatusCode::SEE_OTHER {
            break;
        }
        assert!(round < 100, "{}", answer.text);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}
