//! Who an admin is: tokens with a scope, sessions of the page, and what becomes of who guesses.

mod minute;
mod persons;

use super::{admins, ca::Ca, sessions::Ends};
use crate::{
    base::{clock::now, places::source_of, random},
    domain::audit::{Action, Actor, Deed},
    state::{
        State,
        tokens::{Credential, Token},
    },
};
use minute::Minute;
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    tokens::{CertificateRequest, Kind, Scope, TokenMade, TokenRequest, TokenSummary},
    trust::SERVER_ROLE,
};
use serde_json::json;
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use time::Duration;

/// A session of the page lasts so long.
pub const SESSION: Duration = Duration::hours(12);
/// Wrong tokens of one source a minute before more of them are answered slowly for the rest of it.
const WRONG: u32 = 10;
const SLOWLY: std::time::Duration = std::time::Duration::from_secs(1);
/// That a token is used is written down so often.
const NOTED: Duration = Duration::minutes(10);

/// The tokens of a server.
#[derive(Debug)]
pub struct Tokens {
    state: State,
    /// Wrong tokens, by source.
    wrong: Mutex<Minute<IpAddr>>,
    /// Requests for more than a scope allows, by the hash of what was shown.
    refused: Mutex<Minute<Sha256>>,
    /// Logins at the OIDC provider that gave no session, by source.
    strangers: Mutex<Minute<IpAddr>>,
    ends: Ends,
}

impl Tokens {
    /// Of the parts it uses.
    pub fn new(state: State) -> Self {
        Self {
            state,
            wrong: Mutex::default(),
            refused: Mutex::default(),
            strangers: Mutex::default(),
            ends: Ends::default(),
        }
    }

    /// Who shows this token; none where it is no token of this server. Wrong ones are noted, and answered slowly where one
    /// source shows many; a right one is taken all the same, so that nobody is shut out by his neighbour.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn by_token(&self, token: &str, from: IpAddr) -> Result<Option<Token>> {
        let found = self.state.token(Credential::Token(token), now()).await?;
        match &found {
            Some(token) => self.note_use(token).await,
            None => self.note_wrong(from).await,
        }
        Ok(found)
    }

    /// Whose certificate has this key.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn by_certificate(&self, key: &Sha256) -> Result<Option<Token>> {
        let found = self.state.token(Credential::Certificate(key), now()).await?;
        if let Some(token) = &found {
            self.note_use(token).await;
        }
        Ok(found)
    }

    /// Whether what somebody showed when he began is good still.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn lasts(&self, token: &Token) -> Result<bool> {
        Ok(self.state.token_of_hash(&token.hash, token.kind, now()).await?.is_some())
    }

    /// The first of a source in a minute is noted, and the one from which on they are answered slowly.
    async fn note_wrong(&self, from: IpAddr) {
        let source = source_of(from);
        let count = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).count(source, now());
        let text = match count {
            1 => format!("a wrong admin token from {source}"),
            WRONG => format!("{WRONG} wrong admin tokens from {source} within a minute: more are answered slowly"),
            _ if count > WRONG => return tokio::time::sleep(SLOWLY).await,
            _ => return,
        };
        tracing::warn!("{text}");
        let noted = self.state.note(Actor::stranger(from), None, Action::WrongToken.says(text)).await;
        if let Err(failure) = noted {
            tracing::warn!(%failure, "noting a wrong token");
        }
    }

    /// Notes that somebody asked for more than his scope allows, the first time in a minute.
    pub async fn note_refused(&self, token: &Token, from: IpAddr, needed: Scope) {
        let count = self.refused.lock().unwrap_or_else(PoisonError::into_inner).count(token.hash, now());
        if count > 1 {
            return;
        }
        let text = format!("asked for what needs {needed}, and may {}", verb(token.scope));
        if let Err(failure) = self.state.note(token.actor(from), None, Action::Refused.says(text)).await {
            tracing::warn!(%failure, "noting a refusal");
        }
    }

    async fn note_use(&self, token: &Token) {
        if token.used.is_some_and(|used| (now() - used).abs() < NOTED) {
            return;
        }
        let noted = async {
            let mut unit = self.state.begin().await?;
            unit.used_token(&token.hash).await?;
            unit.commit().await
        };
        if let Err(failure) = noted.await {
            tracing::warn!(%failure, token = token.name, "noting that a token was used");
        }
    }

    /// Begins a session of the page: the cookie's value.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn begin_session(&self, token: &Token, from: IpAddr) -> Result<String> {
        let cookie = random::name()?;
        let mut unit = self.state.begin().await?;
        unit.begin_session(&cookie, &token.hash, SESSION).await?;
        unit.note(token.actor(from), None, Action::LoggedIn.says("logged in to the page")).await?;
        unit.commit().await?;
        Ok(cookie)
    }

    /// Who a session is of.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn by_session(&self, cookie: &str) -> Result<Option<Token>> {
        let now = now();
        let Some((token, began)) = self.state.token_of_session(cookie, SESSION, now).await? else { return Ok(None) };
        let left = (SESSION - (now - began)).min(SESSION);
        if self.ends.lasts(Sha256::of(cookie.as_bytes()), left, Instant::now()) {
            return Ok(Some(token));
        }
        let mut unit = self.state.begin().await?;
        unit.end_session(cookie).await?;
        unit.commit().await?;
        Ok(None)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn end_session(&self, cookie: &str, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        unit.end_session(cookie).await?;
        unit.note(actor, None, Action::LoggedOut.says("logged out of the page")).await?;
        unit.commit().await
    }

    /// Every token.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn list(&self) -> Result<Vec<TokenSummary>> {
        self.state.tokens().await
    }

    /// Makes a token. Only its hash is kept.
    ///
    /// # Errors
    /// As [`make`].
    pub async fn make(&self, request: &TokenRequest, actor: &Actor) -> Result<TokenMade> {
        make(&self.state, request, actor).await
    }

    /// Takes a certificate as an admin's, whoever issued it: he is known by its key, until it ends or the request says. `page` is
    /// the key of the page's certificate.
    ///
    /// # Errors
    /// `E-INPUT` for one that cannot be used, or is a CA's; `E-WRONG-STATE` where its name or its key is taken, the key is a
    /// node's or the server's, or it leads to our CA.
    pub async fn take(
        &self,
        request: &CertificateRequest,
        ca: &Ca,
        page: Option<Sha256>,
        actor: &Actor,
    ) -> Result<TokenSummary> {
        let CertificateRequest { name, scope, life_seconds, certificate } = request;
        let wanted = life_seconds.map(|life| expiry("a token", life, now())).transpose()?;
        let facts = admins::read(certificate, now())?;
        let expires = wanted.map_or(facts.until, |end| end.min(facts.until));
        let taken = |text: &str, remedy: &str| {
            let cause = format!("taking the certificate {name}: {text}");
            Failure::new(Code::WrongState, cause).with_remedy(remedy)
        };
        let has_role = facts.uris.iter().any(|uri| uri == SERVER_ROLE);
        if has_role || ca.is_own_key(&facts.spki) || page == Some(facts.spki) {
            return Err(taken(
                "its key is this server's own, which is no admin's",
                "make one of the admin's own: boot-server token create NAME --client-certificate FILE",
            ));
        }
        if admins::leads_to(certificate, ca.roots(), ca.authority().chain(), now()) {
            return Err(taken(
                "it leads to the CA of the nodes, and every etcd would take it, whatever its scope",
                "take one that does not: boot-server token create NAME --client-certificate FILE",
            ));
        }
        let mut unit = self.state.begin().await?;
        let of_a_node = unit.is_some_node_s(&facts.spki).await? || unit.node_changing_to(&facts.spki).await?.is_some();
        if of_a_node || self.state.memory.revoked.holds(&facts.spki) {
            return Err(taken("its key is or was a node's", "make a key of the admin's own"));
        }
        if !unit.add_token(name.as_str(), Credential::Certificate(&facts.spki), *scope, Some(expires)).await? {
            let remedy = "take another name, or revoke that one: boot-server token revoke NAME";
            return Err(taken("there is one of this name, or of this key", remedy));
        }
        let text = format!("took the certificate {name}, which allows to {}", verb(*scope));
        let is =
            json!({ "name": name, "scope": scope, "expires": protocol::to_the_second(expires), "key": facts.spki });
        unit.note(actor, None, Action::TokenMade.says(text).changing(None, is)).await?;
        let created = unit.now();
        unit.commit().await?;
        let (name, scope) = (name.to_string(), *scope);
        Ok(TokenSummary {
            name,
            kind: Kind::Certificate,
            subject: None,
            scope,
            created,
            expires: Some(expires),
            used: None,
        })
    }

    /// Revokes a token with its sessions.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` for the last one that allows everything.
    pub async fn revoke(&self, name: &str, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        if !unit.has_other_admin(name).await? {
            let cause = format!("revoking token {name:?}: nobody would be left who may make tokens");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("make another one first: boot-server token create NAME --scope admin"));
        }
        let Some(was) = unit.remove_token(name).await? else {
            let cause = format!("revoking token {name:?}: there is none");
            return Err(Failure::new(Code::NotFound, cause).with_remedy("list them: boot-server token list"));
        };
        let deed = match was.kind {
            Kind::Oidc => Action::SessionsEnded.says(format!("ended the sessions of {name}")),
            kind => Action::TokenRevoked.says(format!("revoked the {} {name}", kind.name())),
        };
        unit.note(actor, None, deed.changing(json!(was), None)).await?;
        unit.commit().await
    }
}

/// Makes a token in this state: what the server does for an admin, and whoever has its folder does for himself.
///
/// # Errors
/// `E-WRONG-STATE` where the name is taken.
pub async fn make(state: &State, request: &TokenRequest, actor: &Actor) -> Result<TokenMade> {
    let TokenRequest { name, scope, life_seconds } = request;
    let expires = life_seconds.map(|life| expiry("a token", life, now())).transpose()?;
    let token = random::name()?;
    let mut unit = state.begin().await?;
    if !unit.add_token(name.as_str(), Credential::Token(&token), *scope, expires).await? {
        let cause = format!("making token {name}: there is one of this name");
        return Err(Failure::new(Code::WrongState, cause)
            .with_remedy("take another name, or revoke that one: boot-server token revoke NAME"));
    }
    unit.note(actor, None, made(name.as_str(), *scope, expires)).await?;
    unit.commit().await?;
    Ok(TokenMade { token })
}

/// When that ends which is made now and lives so long.
///
/// # Errors
/// `E-INPUT` for an end that no calendar has, and for what would have ended already.
pub fn expiry(of: &str, life_seconds: u64, now: Timestamp) -> Result<Timestamp> {
    if life_seconds == 0 {
        return Err(Failure::new(Code::Input, format!("making {of} at life_seconds: it would have ended already"))
            .with_remedy("give it a life, such as 12h"));
    }
    let life = i64::try_from(life_seconds).ok().map(Duration::seconds);
    life.and_then(|life| now.checked_add(life))
        .ok_or_else(|| Failure::new(Code::Input, format!("making {of} at life_seconds: no calendar has that day")))
}

/// What the audit says of a new one.
pub fn made(name: &str, scope: Scope, expires: Option<Timestamp>) -> Deed {
    let text = format!("made the token {name}, which allows to {}", verb(scope));
    let is = json!({ "name": name, "scope": scope, "expires": expires.map(protocol::to_the_second) });
    Action::TokenMade.says(text).changing(None, is)
}

fn verb(scope: Scope) -> &'static str {
    match scope {
        Scope::View => "view",
        Scope::Approve => "view and approve",
        Scope::Operate => "view, approve and operate",
        Scope::Admin => "do everything",
    }
}
