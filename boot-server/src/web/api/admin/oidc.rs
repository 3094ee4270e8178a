//! GET /v1/login/oidc and /v1/login/oidc/callback: a browser is led to the OIDC provider, and comes back. What goes wrong is a page,
//! for nobody else than a browser asks.

use super::login::session_cookie;
use crate::{
    server::Services,
    trust::oidc::{LIFE, NotLoggedIn, Oidc},
    web::{
        api::{answer::shown, request::cookie_named},
        peer::Peer,
        ui,
    },
};
use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use protocol::{
    Code, Failure,
    calls::{Call, Elsewhere, LogInElsewhere, Returned},
};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What ties a login to the browser that began it. A provider leads the browser back from elsewhere, so that it is Lax; it is good
/// for nothing but to finish that login.
const COOKIE: &str = "__Host-centra-login";

/// Leads the browser to the provider.
pub async fn begin(
    State(services): State<Arc<Services>>,
    peer: Peer,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, FailurePage> {
    let oidc = configured(&services)?;
    let elsewhere: Elsewhere = asked(&uri)?;
    // The cookie has to be of the host that the provider leads back to.
    if !elsewhere.moved && !is_at(oidc.origin(), &uri, &headers) {
        return Ok(led_to(&format!("{}{}?moved=true", oidc.origin(), LogInElsewhere::PATH), &[]));
    }
    let began = oidc.begin(peer.address).await?;
    Ok(led_to(&began.location, &[format!("{COOKIE}={}; {ATTRIBUTES}; Max-Age={}", began.cookie, LIFE.as_secs())]))
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// Begins the session of who comes back.
pub async fn finish(
    State(services): State<Arc<Services>>,
    peer: Peer,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, FailurePage> {
    let oidc = configured(&services)?;
    let (returned, from): (Returned, _) = (asked(&uri)?, peer.address);
    let person = match oidc.finish(&returned, cookie_named(&headers, COOKIE), from).await {
        Ok(person) => person,
        Err(NotLoggedIn::Failed(failure)) => {
            services.tokens.note_not_logged_in(from, &failure).await;
            return Err(failure.into());
        }
        Err(NotLoggedIn::Nobody(nobody)) => {
            services.tokens.note_nobody(from, &nobody).await;
            let cause = format!("logging in: {} may do nothing here", nobody.name);
            return Err(Failure::new(Code::Forbidden, cause)
                .with_remedy(
                    "have the provider put the account into a group to which [oidc.grants] of the server gives a scope",
                )
                .into());
        }
    };
    let session = services.tokens.begin_session_of(&person, from).await?;
    Ok(led_to("/", &[session_cookie(&session), format!("{COOKIE}=; {ATTRIBUTES}; Max-Age=0")]))
}

fn configured(services: &Services) -> Result<&Oidc, FailurePage> {
    let none = || {
        Failure::new(Code::NotFound, "logging in by OIDC: this server has no provider")
            .with_remedy("log in with a token, or write [oidc] into config.toml")
    };
    services.oidc.as_deref().ok_or_else(|| none().into())
}

fn asked<T: DeserializeOwned>(uri: &Uri) -> Result<T, FailurePage> {
    let odd = |_| Failure::new(Code::Input, "logging in by OIDC: the address cannot be read");
    Ok(Query::try_from_uri(uri).map_err(odd)?.0)
}

/// Whether the browser has asked this server by this origin: HTTP/2 says so in the address, HTTP/1 in a header.
fn is_at(origin: &str, uri: &Uri, headers: &HeaderMap) -> bool {
    let asked = match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()),
    };
    let host = origin.strip_prefix("https://").unwrap_or(origin);
    asked.is_some_and(|asked| asked.eq_ignore_ascii_case(host))
}

fn led_to(location: &str, cookies: &[String]) -> Response {
    let mut response = (StatusCode::SEE_OTHER, ui::GUARDED).into_response();
    let pairs = cookies.iter().map(|cookie| (header::SET_COOKIE, cookie.as_str()));
    for (name, value) in pairs.chain([(header::LOCATION, location)]) {
        add(&mut response, name, value);
    }
    response
}

fn add(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().append(name, value);
    }
}

/// A failure as a page.
pub struct FailurePage(Failure);

impl From<Failure> for FailurePage {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for FailurePage {
    fn into_response(self) -> Response {
        let (status, failure) = shown(&self.0);
        (status, ui::word("Not logged in", &[&failure.cause, &failure.remedy])).into_response()
    }
}

/// The cookie of a login that was begun, for [`crate::web::properties`].
#[cfg(any(test, fuzzing))]
pub fn cookie_of_login(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE)
}

/// Whatever comes back, a page that says it has the tags of one that says nothing; likewise.
#[cfg(any(test, fuzzing))]
pub fn read_callback(query: &str) {
    use protocol::calls::LogInReturned;

    let Ok(uri) = format!("{}?{query}", LogInReturned::PATH).parse::<Uri>() else { return };
    let _ = asked::<Elsewhere>(&uri).map(|elsewhere| elsewhere.moved);
    let Ok(Returned { state, code, iss, error, error_description }) = asked(&uri) else { return };
    let said: String = [state, code, iss, error, error_description].into_iter().flatten().collect();
    let tags =
        |page: String| page.split('<').skip(1).map(|tag| tag.split('>').next().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(tags(ui::page_of("Not logged in", &[&said, ""])), tags(ui::page_of("Not logged in", &["", ""])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_at_the_origin_by_host_and_port() {
        let by = |uri: &str, host: Option<&str>| {
            let headers = host.map(|host| (header::HOST, host.parse().unwrap())).into_iter().collect();
            is_at("https://boot.lan:8443", &uri.parse().unwrap(), &headers)
        };
        assert!(by("/v1/login/oidc", Some("BOOT.lan:8443")) && by("https://boot.lan:8443/v1/login/oidc", None));
        for (uri, host) in
            [("/", Some("boot.lan")), ("/", Some("10.0.0.1:8443")), ("https://10.0.0.1:8443/", None), ("/", None)]
        {
            assert!(!by(uri, host), "{uri} {host:?}");
        }
    }
}
