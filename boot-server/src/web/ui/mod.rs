//! The admin's page: static files inside the binary, which speak the same API as the command line.

use crate::{server::Services, trust::oidc::Oidc};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use protocol::{
    calls::{self, Call, Description, Method},
    step::Step,
};
use std::sync::Arc;

/// Nothing from elsewhere, nothing inline: a log line that is HTML stays text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and its files.
pub fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/", get(page))
        .route("/app.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("app.js")) }))
        .route("/view.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("view.js")) }))
        .route("/protocol.js", get(|| async { file("text/javascript; charset=utf-8", protocol_module()) }))
        .route("/style.css", get(|| async { file("text/css; charset=utf-8", include_str!("style.css")) }))
        .route("/icon.svg", get(|| async { file("image/svg+xml", include_str!("icon.svg")) }))
}

async fn page(State(services): State<Arc<Services>>) -> Response {
    file("text/html; charset=utf-8", index(services.oidc.as_deref().map(Oidc::name)))
}

/// The page, with the way to the OIDC provider where there is one: the script makes a button of it, and a browser without
/// scripts has a link.
fn index(provider: Option<&str>) -> String {
    let (name, link) = match provider {
        Some(name) => {
            let (name, path) = (escaped(name), calls::LogInElsewhere::PATH);
            (
                format!(" data-provider=\"{name}\""),
                format!(" <a class=\"button\" href=\"{path}\">Sign in with {name}</a>"),
            )
        }
        None => (String::new(), String::new()),
    };
    include_str!("index.html").replace("{provider}", &name).replace("{sign-in}", &link)
}

/// A page with some words, and the way back to the login.
pub fn word(title: &str, words: &[&str]) -> Response {
    file("text/html; charset=utf-8", page_of(title, words))
}

/// The HTML of it.
pub fn page_of(title: &str, words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("<p>{}</p>", escaped(word))).collect();
    include_str!("word.html").replace("{title}", &escaped(title)).replace("{words}", &words)
}

/// Text in HTML, between tags and in attributes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, one| {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            one => escaped.push(one),
        }
        escaped
    })
}

/// What the page shares with everybody else, as a module: `address("ApproveHeldPlan", name)` is the method and path of a
/// call ([`protocol::calls`]), `STEPS` the names of the steps in the order of the way.
fn protocol_module() -> String {
    let entry = |call: &Description| format!("  {}: [{:?}, {:?}],\n", call.name, method(call.method), call.path);
    let entries: String = calls::ALL.iter().map(entry).collect();
    let steps = Step::ALL.map(Step::name);
    format!(
        "export const STEPS = {steps:?};\n\nconst calls = {{\n{entries}}};\n\nexport function address(name, ...args) {{\n  const [method, pattern] = calls[name];\n  \
         return [method, pattern.replace(/{{\\w+}}/g, () => encodeURIComponent(args.shift()))];\n}}\n"
    )
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

/// What an answer to a browser has that is no file: nobody keeps it, and where it leads is not told where it came from.
pub const GUARDED: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

fn file(kind: &'static str, content: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_way_to_the_provider_where_there_is_one_and_what_others_write_stays_text() {
        let without = index(None);
        assert!(!without.contains("Sign in") && !without.contains('{'), "{without}");
        let with = index(Some("<b>\"A&B's"));
        assert!(with.contains(r#"href="/v1/login/oidc">Sign in with &lt;b&gt;&quot;A&amp;B&#39;s</a>"#), "{with}");
        assert!(with.contains(r#"<body data-provider="&lt;b&gt;&quot;A&amp;B&#39;s">"#), "{with}");
    }
}
