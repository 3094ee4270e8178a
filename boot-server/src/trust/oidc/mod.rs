//! Admins log in to the page at an OIDC provider: authorization code with PKCE, state and nonce, each login bound to the browser
//! that began it (OpenID Connect Core 1.0, section 3.1). What comes of it is a person with a scope; nothing of the provider's is
//! kept, neither token nor code.

pub mod grants;
mod logins;
mod provider;
mod signature;
mod token;

use crate::{
    base::{allowance::Allowances, bell::Stop, clock::now, health::Health, places::source_of},
    config::{
        Config,
        oidc::{self, redirect},
    },
    state::persons::Person,
};
use grants::Nobody;
use logins::{Finished, Logins};
use protocol::{Code, Failure, calls::Returned, failure::Result};
use provider::{Exchange, Metadata, Provider, query, words};
use std::{net::IpAddr, time::Instant};
use token::{Expected, Refused};

pub use logins::LIFE;

/// A source begins and ends so many logins at once, and one a second.
const AT_ONCE: u64 = 40;
/// No code and no state is longer.
const MOST_CODE: usize = 4096;

/// The logins of a server, and the provider.
pub struct Oidc {
    config: oidc::Oidc,
    /// Where browsers reach the page.
    origin: String,
    provider: Provider,
    logins: Logins,
    allowances: Allowances<IpAddr>,
}

/// Where a browser is led to, and what it brings back.
pub struct Began {
    /// The provider's address.
    pub location: String,
    /// The cookie's value.
    pub cookie: String,
}

/// Why nobody is logged in.
pub enum NotLoggedIn {
    /// Something failed.
    Failed(Failure),
    /// The provider has named somebody who may nothing here.
    Nobody(Nobody),
}

impl From<Failure> for NotLoggedIn {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Oidc {
    /// As configured; none where it is not.
    ///
    /// # Errors
    /// `E-CONFIG`.
    pub fn new(config: &Config, health: Health) -> Result<Option<Self>> {
        let Some(own) = &config.oidc else { return Ok(None) };
        let provider = Provider::new(own.clone(), health)?;
        let (origin, config, logins) = (config.page_origin(), own.clone(), Logins::default());
        Ok(Some(Self { config, origin, provider, logins, allowances: Allowances::new(AT_ONCE, 1) }))
    }

    /// What the page calls the provider.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Where browsers reach the page: a login ends there, and so it has to begin there.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where the provider sends browsers back to.
    pub fn redirect(&self) -> String {
        redirect(&self.origin)
    }

    /// Looks at the provider now and then, until the server stops.
    pub async fn keep_up(&self, stop: Stop) {
        self.provider.keep_up(stop).await;
    }

    /// Whether the provider can be used now.
    ///
    /// # Errors
    /// `E-OIDC`, `E-TLS`.
    pub async fn try_provider(&self) -> Result<()> {
        self.provider.metadata().await.map(drop)
    }

    /// Begins a login.
    ///
    /// # Errors
    /// `E-FORBIDDEN` for a source that has begun too many; `E-OIDC`, `E-TLS` where the provider cannot be used.
    pub async fn begin(&self, from: IpAddr) -> Result<Began> {
        self.hears(from)?;
        let known = self.provider.metadata().await?;
        let login = self.logins.begin(from, Instant::now())?;
        let mut scopes = vec!["openid"];
        scopes.extend(self.config.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let asked = query(&[
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", &self.redirect()),
            ("scope", &scopes.join(" ")),
            ("state", &login.state),
            ("nonce", &login.nonce),
            ("code_challenge", &login.challenge),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if known.authorization.contains('?') { '&' } else { '?' };
        Ok(Began { location: format!("{}{separator}{asked}", known.authorization), cookie: login.cookie })
    }

    /// Ends a login: who came back, with what the provider gave the browser and the cookie that it began with.
    ///
    /// # Errors
    /// `E-FORBIDDEN` for what is not to be believed; `E-OIDC`, `E-TLS` where the provider does not answer as it should.
    pub async fn finish(
        &self,
        returned: &Returned,
        cookie: Option<&str>,
        from: IpAddr,
    ) -> std::result::Result<Person, NotLoggedIn> {
        self.hears(from)?;
        let login = self.login_of(returned, cookie)?;
        if let Some(error) = &returned.error {
            let said = words(&[error, returned.error_description.as_deref().unwrap_or_default()]);
            return Err(refused(&format!("the OIDC provider has let nobody in {said}")).into());
        }
        if returned.iss.as_ref().is_some_and(|iss| *iss != self.config.issuer) {
            return Err(refused("another OIDC provider has answered").into());
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty() && code.len() <= MOST_CODE);
        let code = code.ok_or_else(|| refused("the OIDC provider has sent neither code nor error"))?;
        let known = self.provider.metadata().await?;
        let exchange = Exchange { code, verifier: &login.verifier, redirect: &self.redirect() };
        let id_token = self.provider.exchange(&known, exchange).await?;
        let claims = self.believed(&id_token, &known, &login.nonce).await?;
        grants::person(&claims, &self.config).map_err(NotLoggedIn::Nobody)
    }

    fn login_of(&self, returned: &Returned, cookie: Option<&str>) -> Result<Finished> {
        let state = returned.state.as_deref().filter(|state| state.len() <= MOST_CODE);
        let found = state.zip(cookie).and_then(|(state, cookie)| self.logins.finish(state, cookie, Instant::now()));
        found.ok_or_else(|| refused("this browser has begun no such login, or it took too long"))
    }

    async fn believed(&self, id_token: &str, known: &Metadata, nonce: &str) -> Result<token::Claims> {
        let expected = Expected { issuer: &self.config.issuer, client: &self.config.client_id, nonce };
        let mut verified = token::verify(id_token, &known.keys, expected, now());
        if verified == Err(Refused::UnknownKey) {
            let anew = self.provider.metadata_anew().await?;
            verified = token::verify(id_token, &anew.keys, expected, now());
        }
        verified.map_err(|why| {
            let why = match why {
                Refused::UnknownKey => "it names no key of the provider",
                Refused::Wrong(why) => why,
            };
            refused(&format!("the ID token is not to be believed: {why}"))
        })
    }

    fn hears(&self, from: IpAddr) -> Result<()> {
        let heard = self.allowances.hears(source_of(from), 1, Instant::now());
        heard.map_err(|_| refused("too many logins come from there").with_remedy("wait a minute, then log in again"))
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(Code::Forbidden, format!("logging in by OIDC: {}", why.trim()))
        .with_remedy("log in again, or with a token")
}
