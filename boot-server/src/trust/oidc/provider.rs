//! The provider: its discovery document and keys, kept and looked at again, and what a code is worth. Every call is bounded in
//! bytes and time, goes by https to the issuer's own host or one that the operator has named, and follows no redirect.

use crate::{
    base::{bell::Stop, health::Health},
    config::oidc::{ClientSecret, Oidc, https_url},
};
use bytes::Bytes;
use data_encoding::BASE64;
use host::http::{Client, Trust};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use jsonwebtoken::jwk::JwkSet;
use protocol::{
    Code, Failure,
    calls::encoded,
    failure::Result,
    text::{cut, one_line},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::{Mutex, Semaphore};

/// What `/health` calls it.
const HEALTH: &str = "oidc";
/// No document of a provider is larger.
const MOST_BYTES: usize = 256 << 10;
/// What a provider has not answered by then it does not answer.
const CALL: Duration = Duration::from_secs(10);
/// It is looked at so often; sooner where it did not answer, and where a token names an unknown key.
const SELDOM: Duration = Duration::from_secs(900);
const SOON: Duration = Duration::from_secs(30);
/// Whatever is asked of us, it is asked no more often than that.
const PACE: Duration = Duration::from_secs(5);
/// Codes that are exchanged at once.
const EXCHANGES: usize = 16;
/// What a provider says for people is cut.
const MOST_SAID: usize = 200;

/// What is known of a provider.
pub struct Metadata {
    /// Where browsers log in.
    pub authorization: String,
    token: String,
    /// The client's secret goes into the head; else into the body.
    basic: bool,
    /// Whose signatures hold.
    pub keys: JwkSet,
}

/// The provider.
pub struct Provider {
    client: Client,
    config: Oidc,
    secret: ClientSecret,
    health: Health,
    known: RwLock<Option<Arc<Metadata>>>,
    /// When it was last asked, and what came of that.
    asked: Mutex<Option<(Instant, Result<()>)>>,
    exchanges: Semaphore,
}

/// Discovery (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What a code is exchanged for.
#[derive(Deserialize)]
struct Given {
    id_token: String,
}

/// Why it is not.
#[derive(Default, Deserialize)]
struct NotGiven {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A code, and what proves that it is ours.
pub struct Exchange<'a> {
    /// The code.
    pub code: &'a str,
    /// The original of the challenge.
    pub verifier: &'a str,
    /// Where it was sent to.
    pub redirect: &'a str,
}

impl Provider {
    /// One that was not asked yet.
    ///
    /// # Errors
    /// `E-CONFIG` where secret or CA cannot be read.
    pub fn new(config: Oidc, health: Health) -> Result<Self> {
        let secret = config.secret()?;
        let trust = config.roots()?.map_or(Trust::System, Trust::Roots);
        let client = Client::new(&trust, None, SystemTime::UNIX_EPOCH)
            .map_err(|failure| Failure { code: Code::Config, ..failure.context("reading oidc.ca") })?;
        let exchanges = Semaphore::new(EXCHANGES);
        Ok(Self { client, config, secret, health, known: RwLock::default(), asked: Mutex::default(), exchanges })
    }

    /// Looks at the provider now and then, until the server stops.
    pub async fn keep_up(&self, stop: Stop) {
        let mut stopping = stop.listen();
        self.health.set(HEALTH, "starting");
        loop {
            let look_and_pause = async {
                let pause = if self.look(Duration::ZERO).await.is_ok() { SELDOM } else { SOON };
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                () = look_and_pause => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// What is known; the provider is asked where nothing is.
    ///
    /// # Errors
    /// `E-OIDC`, `E-TLS`.
    pub async fn metadata(&self) -> Result<Arc<Metadata>> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        self.look(PACE).await?;
        self.known().ok_or_else(|| Failure::new(Code::Oidc, "asking the OIDC provider: nothing is known of it"))
    }

    /// The same asked anew, where that was not done just now: a token names a key that is not known.
    ///
    /// # Errors
    /// As [`Provider::metadata`].
    pub async fn metadata_anew(&self) -> Result<Arc<Metadata>> {
        self.look(PACE).await?;
        self.metadata().await
    }

    fn known(&self) -> Option<Arc<Metadata>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the provider, where it was not asked so shortly ago; what came of that then counts. One asks at a time.
    async fn look(&self, pace: Duration) -> Result<()> {
        let mut asked = self.asked.lock().await;
        if let Some((when, came)) = &*asked
            && when.elapsed() < pace
        {
            return came.clone();
        }
        let found = self.discover().await;
        let came = match found {
            Ok(found) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(found));
                self.health.set(HEALTH, "running");
                Ok(())
            }
            Err(failure) => {
                if !matches!(&*asked, Some((_, Err(before))) if *before == failure) {
                    tracing::warn!(%failure, "the OIDC provider cannot be used; tokens and certificates can");
                }
                self.health.set(HEALTH, format!("failed: {failure}"));
                Err(failure)
            }
        };
        *asked = Some((Instant::now(), came.clone()));
        came
    }

    async fn discover(&self) -> Result<Metadata> {
        let at = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let document: Document = self.get(&at).await?;
        let wrong = |why: String, remedy: &str| {
            Failure::new(Code::Oidc, format!("reading the discovery document of the OIDC provider: {why}"))
                .with_remedy(remedy)
        };
        if document.issuer != self.config.issuer {
            let said = one_line(&cut(document.issuer, MOST_SAID));
            let why = format!("it is of {said:?}, and not of {:?}", self.config.issuer);
            return Err(wrong(why, "write oidc.issuer exactly as the provider calls itself"));
        }
        for endpoint in [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri] {
            if !is_the_provider_s(endpoint, &self.config) {
                let why = format!("{:?} is not at the issuer's host", one_line(&cut(endpoint.clone(), MOST_SAID)));
                return Err(wrong(why, "name the host in oidc.hosts, where it is the provider's"));
            }
        }
        let keys = self.get(&document.jwks_uri).await?;
        // Basic is what a provider takes that does not say (section 3).
        let methods = &document.token_endpoint_auth_methods_supported;
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let Document { authorization_endpoint: authorization, token_endpoint: token, .. } = document;
        Ok(Metadata { authorization, token, basic, keys })
    }

    /// The ID token that a code is worth.
    ///
    /// # Errors
    /// `E-FORBIDDEN` where the provider refuses the code; `E-OIDC`, `E-TLS` where it does not answer as it should.
    pub async fn exchange(
        &self,
        known: &Metadata,
        Exchange { code, verifier, redirect }: Exchange<'_>,
    ) -> Result<String> {
        let busy =
            |_| Failure::new(Code::Oidc, format!("asking for an ID token: {EXCHANGES} logins are being finished"));
        let _one = self.exchanges.try_acquire().map_err(busy)?;
        let Self { config: Oidc { client_id, .. }, secret: ClientSecret(secret), .. } = self;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&known.token)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if known.basic {
            let pair = format!("{}:{}", encoded(client_id), encoded(secret));
            request = request.header(header::AUTHORIZATION, format!("Basic {}", BASE64.encode(pair.as_bytes())));
        } else {
            form.extend([("client_id", client_id.as_str()), ("client_secret", secret.as_str())]);
        }
        let request = request.body(Full::new(Bytes::from(query(&form))));
        let (status, body) = self.call("asking the OIDC provider for an ID token", request).await?;
        if status == StatusCode::OK {
            let given: Given = read("the OIDC provider's answer to a code", &body)?;
            return Ok(given.id_token);
        }
        let said: NotGiven = serde_json::from_slice(&body).unwrap_or_default();
        let said = words(&[&said.error, &said.error_description]);
        let cause = format!("logging in: the OIDC provider answered {status} to the code {said}");
        match said.is_empty() || status.is_server_error() {
            true => Err(Failure::new(Code::Oidc, cause.trim().to_owned())),
            false => Err(Failure::new(Code::Forbidden, cause).with_remedy(
                "log in again; where that does not help, compare oidc.client_id, its secret and the redirect URL with the provider",
            )),
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let activity = format!("GET {url}");
        let request = Request::get(url).header(header::ACCEPT, "application/json").body(Full::new(Bytes::new()));
        let (status, body) = self.call(&activity, request).await?;
        if status != StatusCode::OK {
            return Err(Failure::new(Code::Oidc, format!("{activity}: the answer was {status}")));
        }
        read(&activity, &body)
    }

    async fn call(
        &self,
        activity: &str,
        request: hyper::http::Result<Request<Full<Bytes>>>,
    ) -> Result<(StatusCode, Bytes)> {
        let wrong = |why: String| Failure::new(Code::Oidc, format!("{activity}: {why}"));
        let request = request.map_err(|error| wrong(error.to_string()))?;
        let exchange = async {
            let answer = self.client.send(request).await.map_err(of_the_provider)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
            let body =
                body.map_err(|error| wrong(format!("reading the answer, {MOST_BYTES} bytes at most: {error}")))?;
            Ok((status, body.to_bytes()))
        };
        let late = |_| wrong(format!("no answer within {} s", CALL.as_secs()));
        tokio::time::timeout(CALL, exchange).await.map_err(late)?
    }
}

/// The client speaks of the boot-server, which is not meant here.
fn of_the_provider(failure: Failure) -> Failure {
    match failure.code {
        Code::Tls => failure
            .with_remedy("name the CA of the provider's certificate in oidc.ca, and compare its names and the clocks"),
        _ => Failure::new(Code::Oidc, failure.cause),
    }
}

fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    // Why it cannot be read may hold what is secret.
    serde_json::from_slice(body)
        .map_err(|_| Failure::new(Code::Oidc, format!("{what}: it is not the JSON that it should be")))
}

/// What a provider says for people, on one line and cut.
pub fn words(said: &[&str]) -> String {
    let all: Vec<String> =
        said.iter().filter(|one| !one.is_empty()).map(|one| one_line(&cut((*one).to_owned(), MOST_SAID))).collect();
    if all.is_empty() { String::new() } else { format!("({})", all.join(": ")) }
}

/// Whether the server may be led there by the provider's word, or a browser by ours.
fn is_the_provider_s(endpoint: &str, config: &Oidc) -> bool {
    let authority = |uri: &Uri| uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    let plain = endpoint.split_once('?').map_or(endpoint, |(plain, _)| plain);
    if endpoint.contains('#') || endpoint.parse::<Uri>().is_err() {
        return false;
    }
    let Some(at) = https_url(plain).as_ref().and_then(authority) else { return false };
    let own = https_url(&config.issuer).as_ref().and_then(authority);
    own.as_deref() == Some(&at) || config.hosts.iter().any(|host| host.eq_ignore_ascii_case(&at))
}

/// Pairs as a form or a query.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Oidc {
        toml::from_str(&format!(
            "issuer = 'https://id.example.org/realms/ops'\nclient_id = 'c'\n{more}\ngrants.x = 'view'"
        ))
        .unwrap()
    }

    #[test]
    fn endpoints_are_the_issuer_s_own_unless_the_operator_names_another_host() {
        let own = config("");
        for endpoint in ["https://id.example.org/token", "https://ID.example.org/token?realm=ops"] {
            assert!(is_the_provider_s(endpoint, &own), "{endpoint}");
        }
        for elsewhere in [
            "https://10.0.0.1/latest/meta-data",
            "http://id.example.org/token",
            "https://id.example.org:8080/token",
            "https://id.example.org@10.0.0.1/",
            "https://id.example.org.evil.org/",
            "https://keys.example.org/certs",
            "https://id.example.org/token?a b",
            "https://id.example.org/token?a#b",
            "https://id.example.org/token?\r\nx: y",
            "file:///etc/passwd",
            "/token",
            "",
        ] {
            assert!(!is_the_provider_s(elsewhere, &own), "{elsewhere}");
        }
        assert!(is_the_provider_s("https://keys.example.org/certs", &config("hosts = ['keys.example.org']")));
    }

    #[test]
    fn what_a_provider_says_for_people_is_one_short_line() {
        assert_eq!(words(&["access_denied", ""]), "(access_denied)");
        assert_eq!(words(&["a\u{1b}[2J", "b\nc"]), "(a\u{fffd}[2J: b\u{fffd}c)");
        assert!(words(&["", &"x".repeat(10_000)]).len() < 300);
        assert_eq!(words(&["", ""]), "");
    }

    #[test]
    fn what_is_put_into_a_query_stays_in_its_place() {
        assert_eq!(query(&[("a", "x&b=y"), ("c", "ä /")]), "a=x%26b%3Dy&c=%C3%A4%20%2F");
    }
}
