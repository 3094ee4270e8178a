//! The way of an admin with a real provider.

use super::{Browser, GRANTS, Lab, browser::query, configured, glewlwyd::Glewlwyd, noted, without, write};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

const USERS: &[(&str, &[&str])] = &[("alice", &["staff", "ops", "look"]), ("bob", &["staff"])];

async fn world() -> (Lab, String, Glewlwyd) {
    let lab = Lab::made("", &[]);
    let origin = format!("https://127.0.0.1:{}", super::free_port());
    let provider = Glewlwyd::start(&origin, USERS).await;
    write(&lab, &origin, &provider.issuer(), &provider.ca(), GRANTS);
    (lab, origin, provider)
}

async fn led_back(lab: &Lab, origin: &str, provider: &Glewlwyd, user: &str) -> (Browser, String) {
    let mut browser = Browser::new(&[&lab.ca_pem(), &provider.ca_pem()]);
    let page = browser.get(&format!("{origin}/")).await;
    let link =
        page.text.split_once("<a class=\"button\" href=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
    let led = browser.get(&format!("{origin}{link}")).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER, "{}\n{}", led.text, lab.log());
    let back = provider.log_in(&mut browser, &led.location(), user).await;
    assert!(back.starts_with(&format!("{origin}/v1/login/oidc/callback?")), "{back}");
    (browser, back)
}

#[tokio::test]
async fn an_admin_logs_in_at_a_real_provider_and_may_what_his_group_is_granted_until_he_logs_out() {
    let (mut lab, origin, provider) = world().await;
    lab.serve();
    let (mut browser, back) = led_back(&lab, &origin, &provider, "alice").await;
    let done = browser.arrive(&back).await;
    assert_eq!((done.status, done.location().as_str()), (StatusCode::SEE_OTHER, "/"), "{}\n{}", done.text, lab.log());
    let cookie = done.sets("__Host-centra").unwrap();
    for word in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let ask = async |browser: &mut Browser, path: &str| browser.get(&format!("{origin}{path}")).await.status;
    assert_eq!(
        (ask(&mut browser, "/v1/nodes").await, ask(&mut browser, "/v1/tokens").await),
        (StatusCode::OK, StatusCode::FORBIDDEN)
    );
    let applied = browser
        .send(
            Method::POST,
            &format!("{origin}/v1/nodes"),
            &json!({"nodes": [super::super::lab::spec("n1", "52:54:00:00:00:01")]}),
        )
        .await;
    assert_eq!(applied.status, StatusCode::OK, "operate: {}", applied.text);

    let login = noted(&lab, "logged-in").pop().unwrap();
    let subject = &login["subject"];
    assert!(
        subject["issuer"] == provider.issuer() && subject["sub"].as_str().is_some_and(|sub| !sub.is_empty()),
        "{login}"
    );
    assert_eq!(
        (&login["actor"], &login["kind"], &login["from"]),
        (&json!("oidc:alice"), &json!("oidc"), &json!("127.0.0.1"))
    );
    assert_eq!(
        login["after"],
        json!({"name": "oidc:alice", "scope": "operate", "claim": "groups", "values": ["ops", "look"]})
    );
    assert_eq!(
        noted(&lab, "spec-applied").pop().unwrap()["subject"],
        *subject,
        "what he does is his, whatever he is called"
    );
    let listed: Vec<Value> = serde_json::from_str(&lab.says(&["token", "list", "--json"])).unwrap();
    let alice = listed.iter().find(|token| token["name"] == "oidc:alice").unwrap();
    assert_eq!((&alice["kind"], &alice["scope"], &alice["subject"]), (&json!("oidc"), &json!("operate"), subject));

    assert!(lab.stop());
    lab.serve();
    assert_eq!(ask(&mut browser, "/v1/nodes").await, StatusCode::OK, "a session outlives a restart");
    let out = browser.send(Method::DELETE, &format!("{origin}/v1/login"), &Value::Null).await;
    assert_eq!(out.status, StatusCode::OK);
    assert_eq!(ask(&mut browser, "/v1/nodes").await, StatusCode::FORBIDDEN);
    browser.set_cookie(&origin, "__Host-centra", cookie.split([';', '=']).nth(1).unwrap());
    assert_eq!(ask(&mut browser, "/v1/nodes").await, StatusCode::FORBIDDEN, "it has ended on the server");
    assert!(!lab.says(&["token", "list"]).contains("oidc:"));
    assert_eq!(noted(&lab, "logged-out").pop().unwrap()["subject"], *subject);
    let log = lab.log();
    for secret in [super::SECRET, &query(&back)["code"], &query(&back)["state"]] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn who_has_no_group_that_is_granted_something_and_who_brings_another_s_code_is_refused_at_a_real_provider() {
    let (mut lab, origin, provider) = world().await;
    lab.serve();
    let (mut bob, back) = led_back(&lab, &origin, &provider, "bob").await;
    let refused = bob.arrive(&back).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("bob may do nothing here"), "{}", refused.text);
    assert_eq!(refused.sets("__Host-centra"), None);
    let entry = noted(&lab, "login-refused").pop().unwrap();
    assert!(
        entry["text"].as_str().unwrap().contains("bob has none of the values") && entry["subject"]["sub"].is_string(),
        "{entry}"
    );
    // Mallory has logged in nowhere, and has found alice's code on its way: it is of another challenge.
    let (_, back) = led_back(&lab, &origin, &provider, "alice").await;
    let mut mallory = Browser::new(&[&lab.ca_pem(), &provider.ca_pem()]);
    let led = mallory.get(&format!("{origin}/v1/login/oidc")).await;
    let (state, code) = (&query(&led.location())["state"], &query(&back)["code"]);
    let refused = mallory.arrive(&format!("{origin}/v1/login/oidc/callback?state={state}&code={code}")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    assert!(refused.text.contains("the OIDC provider answered 4"), "{}", refused.text);
    assert!(!lab.says(&["token", "list"]).contains("oidc:"));
}

#[tokio::test]
async fn a_check_of_the_configuration_asks_a_real_provider_and_names_the_redirect_url() {
    let (lab, origin, mut provider) = world().await;
    let check = |lab: &Lab| {
        let config = lab.dir().join("config.toml");
        std::process::Command::new(super::super::lab::BINARY)
            .args(["serve", "--check", "--config"])
            .arg(config)
            .output()
            .unwrap()
    };
    let good = check(&lab);
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && said.contains(&format!("{origin}/v1/login/oidc/callback")), "{said}");
    assert!(said.contains("the OIDC provider answers"), "{said} {:?}", String::from_utf8_lossy(&good.stderr));
    provider.stop();
    let away = check(&lab);
    let said = String::from_utf8(away.stderr).unwrap();
    assert!(away.status.success() && said.contains("the OIDC provider cannot be used now: E-OIDC"), "{said}");
    let (other, origin) = configured("https://127.0.0.1:1/", std::path::Path::new("nothing.pem"), GRANTS);
    let refused = check(&other);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("E-CONFIG") && said.contains("oidc.ca"), "{said}");
    without(&other, &origin, "");
    assert!(check(&other).status.success());
}
