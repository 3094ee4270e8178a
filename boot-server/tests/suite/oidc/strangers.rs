//! Who may begin logins: anybody, within bounds; and how refusals are written down.

use super::{Browser, Served};
use hyper::StatusCode;

#[tokio::test]
async fn a_stranger_begins_so_many_logins_and_is_told_to_wait_while_tokens_go_on() {
    let served = Served::new();
    let url = format!("{}/v1/login/oidc", served.origin);
    let one = async |mut browser: Browser| browser.get(&url).await;
    let mut refused = None;
    // One a second is made up for: many at once are more.
    for _ in 0..100 {
        let [a, b, c, d] = [(); 4].map(|()| served.browser());
        let (a, b, c, d) = tokio::join!(one(a), one(b), one(c), one(d));
        let answers = [a, b, c, d].into_iter();
        refused = answers.filter(|answer| answer.status != StatusCode::SEE_OTHER).last();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("some are too many");
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("too many logins come from there"), "{}", refused.text);
    // What they begin costs the provider nothing.
    assert_eq!(served.provider.asked("GET /.well-known"), 1);
    assert!(served.lab.admin().get("/v1/nodes").await.0.is_success());
}

#[tokio::test]
async fn refused_logins_are_noted_once_a_minute_of_each_source() {
    let served = Served::new();
    let mut entries = 0;
    for _ in 0..12 {
        let answer = served.back(&mut served.browser(), "state=x&code=y").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        entries = served.noted("login-refused").len();
    }
    // A minute may begin meanwhile.
    assert!((1..=2).contains(&entries), "{entries}");
    let entry = served.noted("login-refused").remove(0);
    assert_eq!((entry["kind"].as_str(), entry["from"].as_str()), (Some("stranger"), Some("127.0.0.1")));
}

#[tokio::test]
async fn a_browser_that_comes_by_another_name_is_led_to_where_its_login_ends() {
    let served = Served::new();
    let port = served.origin.rsplit_once(':').unwrap().1;
    let by_name = format!("https://localhost:{port}/v1/login/oidc");
    let mut browser = served.browser();
    let led = browser.get(&by_name).await;
    assert_eq!(led.location(), format!("{}/v1/login/oidc?moved=true", served.origin));
    assert_eq!(led.sets("__Host-centra-login"), None);
    let led = browser.arrive(&led.location()).await;
    assert!(led.location().starts_with(&served.provider.issuer()), "{led:?}");
    // A proxy may hide by which name it came: it is led once, and not in a circle.
    let led = browser.get(&format!("{by_name}?moved=true")).await;
    assert!(led.location().starts_with(&served.provider.issuer()), "{led:?}");
    let cookie = led.sets("__Host-centra-login").unwrap();
    for word in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(word), "{cookie}");
    }
}
