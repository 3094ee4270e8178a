//! Admin tokens, and sessions of the page, of which only hashes are kept.

use super::{Doing, State, Unit, column, memory::admins::Key, millis, plain, time_of};
use crate::domain::audit::Actor;
use protocol::{
    Code, Failure, Timestamp,
    audit::ActorKind,
    encoding::Sha256,
    failure::Result,
    tokens::{Kind, Scope, Subject, TokenSummary},
};
use std::net::IpAddr;
use time::Duration;

const READING: &str = "looking up a token";
/// Sessions of the page at once; the oldest gives way.
const MOST_SESSIONS: i64 = 1000;
/// Those of one token or person: nobody ends what others have begun.
const MOST_OF_ONE: i64 = 50;

/// What an admin is known by; the hash of it is kept.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A token. No `Debug`: it is secret.
    Token(&'a str),
    /// The SPKI hash of a certificate.
    Certificate(&'a Sha256),
}

impl Credential<'_> {
    fn hash(self) -> Sha256 {
        match self {
            Credential::Token(token) => Sha256::of(token.as_bytes()),
            Credential::Certificate(key) => *key,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Credential::Token(_) => Kind::Token,
            Credential::Certificate(_) => Kind::Certificate,
        }
    }
}

/// A token or certificate that is good now, or somebody with a session by the OIDC provider's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token, of the certificate's public key, or of who he is.
    pub hash: Sha256,
    /// Which of them it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was used last, to some minutes.
    pub used: Option<Timestamp>,
    /// Who he is at the OIDC provider.
    pub subject: Option<Subject>,
}

impl Token {
    /// Who acts with it, from this address.
    pub fn actor(&self, from: IpAddr) -> Actor {
        let kind = match self.kind {
            Kind::Token => ActorKind::Token,
            Kind::Certificate => ActorKind::Certificate,
            Kind::Oidc => ActorKind::Oidc,
        };
        Actor { name: self.name.clone(), kind, subject: self.subject.clone(), from: None }.at(from)
    }
}

/// Of a [`Row`].
macro_rules! columns {
    () => {
        "tokens.sha256, kind, name, scope, created, expires, used, subject"
    };
}

#[derive(sqlx::FromRow)]
struct Session {
    began: i64,
    #[sqlx(flatten)]
    token: Row,
}

#[derive(sqlx::FromRow)]
struct Row {
    sha256: String,
    kind: String,
    name: String,
    scope: String,
    created: i64,
    expires: Option<i64>,
    used: Option<i64>,
    subject: Option<String>,
}

/// The scope of this name.
pub(super) fn scope_of(name: &str) -> Result<Scope> {
    Scope::parse(name).ok_or_else(|| Failure::new(Code::Internal, format!("reading a token: its scope is {name:?}")))
}

impl Row {
    fn kind(&self) -> Result<Kind> {
        let unknown = || Failure::new(Code::Internal, format!("reading a token: its kind is {:?}", self.kind));
        Kind::parse(&self.kind).ok_or_else(unknown)
    }

    fn subject(&self) -> Result<Option<Subject>> {
        self.subject.as_deref().map(|subject| column("a person", subject)).transpose()
    }

    fn token(self) -> Result<Token> {
        let (scope, kind, subject) = (scope_of(&self.scope)?, self.kind()?, self.subject()?);
        let hash = plain("the hash of a token", &self.sha256)?;
        Ok(Token { hash, kind, name: self.name, scope, used: self.used.map(time_of), subject })
    }

    fn summary(self) -> Result<TokenSummary> {
        Ok(TokenSummary {
            scope: scope_of(&self.scope)?,
            kind: self.kind()?,
            subject: self.subject()?,
            name: self.name,
            created: time_of(self.created),
            expires: self.expires.map(time_of),
            used: self.used.map(time_of),
        })
    }
}

impl Unit {
    /// Keeps the credential's hash; `false` where the name is taken, or the certificate's key.
    pub async fn add_token(
        &mut self,
        name: &str,
        credential: Credential<'_>,
        scope: Scope,
        expires: Option<Timestamp>,
    ) -> Result<bool> {
        let added = sqlx::query(
            "INSERT INTO tokens (sha256, name, created, scope, expires, kind) SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
             WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE name = ?2 OR sha256 = ?1)",
        )
        .bind(credential.hash().hex())
        .bind(name)
        .bind(millis(self.now))
        .bind(scope.name())
        .bind(expires.map(millis))
        .bind(credential.kind().name())
        .execute(&mut *self.connection)
        .await
        .doing("adding a token")?;
        let added = added.rows_affected() > 0;
        if let Credential::Certificate(key) = credential
            && added
        {
            self.after.memory.admins.push(Key::Taken(*key));
        }
        Ok(added)
    }

    /// Forgets the token of this name, and its sessions; what was known of it.
    pub async fn remove_token(&mut self, name: &str) -> Result<Option<TokenSummary>> {
        sqlx::query("DELETE FROM sessions WHERE token IN (SELECT sha256 FROM tokens WHERE name = ?)")
            .bind(name)
            .execute(&mut *self.connection)
            .await
            .doing("ending sessions")?;
        let removed: Option<Row> = sqlx::query_as(concat!("DELETE FROM tokens WHERE name = ? RETURNING ", columns!()))
            .bind(name)
            .fetch_optional(&mut *self.connection)
            .await
            .doing("revoking a token")?;
        let Some(removed) = removed else { return Ok(None) };
        // Who reads a journal with it is to hear of that.
        self.after.changed = true;
        if removed.kind()? == Kind::Certificate {
            self.after.memory.admins.push(Key::Revoked(plain("the hash of a token", &removed.sha256)?));
        }
        removed.summary().map(Some)
    }

    /// Whether a token other than this one allows everything, for ever.
    pub async fn has_other_admin(&mut self, name: &str) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM tokens WHERE name <> ? AND scope = 'admin' AND expires IS NULL)",
        )
        .bind(name)
        .fetch_one(&mut *self.connection)
        .await
        .doing(READING)
    }

    /// The token was used now.
    pub async fn used_token(&mut self, hash: &Sha256) -> Result<()> {
        sqlx::query("UPDATE tokens SET used = ? WHERE sha256 = ?")
            .bind(millis(self.now))
            .bind(hash.hex())
            .execute(&mut *self.connection)
            .await
            .doing("noting that a token was used")?;
        Ok(())
    }

    /// Begins a session of the page with a token.
    pub async fn begin_session(&mut self, cookie: &str, token: &Sha256, life: Duration) -> Result<()> {
        for (query, bound) in [
            ("DELETE FROM sessions WHERE began < ?1", millis(self.now - life)),
            (
                "DELETE FROM sessions WHERE token = ?2 AND sha256 NOT IN \
                 (SELECT sha256 FROM sessions WHERE token = ?2 ORDER BY began DESC LIMIT ?1)",
                MOST_OF_ONE - 1,
            ),
            (
                "DELETE FROM sessions WHERE sha256 NOT IN (SELECT sha256 FROM sessions ORDER BY began DESC LIMIT ?1)",
                MOST_SESSIONS - 1,
            ),
        ] {
            let query = sqlx::query(query).bind(bound).bind(token.hex());
            query.execute(&mut *self.connection).await.doing("ending sessions")?;
        }
        sqlx::query("INSERT INTO sessions (sha256, token, began) VALUES (?, ?, ?)")
            .bind(Sha256::of(cookie.as_bytes()).hex())
            .bind(token.hex())
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("beginning a session")?;
        self.forget_persons().await
    }

    /// Ends a session.
    pub async fn end_session(&mut self, cookie: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE sha256 = ?")
            .bind(Sha256::of(cookie.as_bytes()).hex())
            .execute(&mut *self.connection)
            .await
            .doing("ending a session")?;
        self.forget_persons().await
    }
}

impl State {
    /// Who shows this, where it is good and has not ended. The look-up is by hash, so its time tells nothing of a token; and by
    /// kind, for a certificate's public key is no secret.
    pub async fn token(&self, shown: Credential<'_>, now: Timestamp) -> Result<Option<Token>> {
        self.token_of_hash(&shown.hash(), shown.kind(), now).await
    }

    /// The same by what is kept of it.
    pub async fn token_of_hash(&self, hash: &Sha256, kind: Kind, now: Timestamp) -> Result<Option<Token>> {
        let row: Option<Row> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM tokens WHERE sha256 = ?1 AND (expires IS NULL OR expires > ?2) AND kind = ?3"
        ))
        .bind(hash.hex())
        .bind(millis(now))
        .bind(kind.name())
        .fetch_optional(&self.readers)
        .await
        .doing(READING)?;
        row.map(Row::token).transpose()
    }

    /// The token that a session of the page was begun with, and when: while both last. A session from the future is none: the clock
    /// was set back.
    pub async fn token_of_session(
        &self,
        cookie: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<Option<(Token, Timestamp)>> {
        let row: Option<Session> = sqlx::query_as(concat!(
            "SELECT began, ",
            columns!(),
            " FROM sessions JOIN tokens ON tokens.sha256 = token \
                 WHERE sessions.sha256 = ?1 AND began > ?2 AND began < ?3 AND (expires IS NULL OR expires > ?4)"
        ))
        .bind(Sha256::of(cookie.as_bytes()).hex())
        .bind(millis(now - life))
        .bind(millis(now + Duration::MINUTE))
        .bind(millis(now))
        .fetch_optional(&self.readers)
        .await
        .doing(READING)?;
        row.map(|row| Ok((row.token.token()?, time_of(row.began)))).transpose()
    }

    /// The keys of admins' certificates, whether they have ended or not.
    pub(super) async fn admin_keys(&self) -> Result<Vec<Key>> {
        let keys: Vec<String> = sqlx::query_scalar("SELECT sha256 FROM tokens WHERE kind = 'certificate'")
            .fetch_all(&self.readers)
            .await
            .doing(READING)?;
        keys.iter().map(|key| plain("the hash of a token", key).map(Key::Taken)).collect()
    }

    /// Every token, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenSummary>> {
        let rows: Vec<Row> = sqlx::query_as(concat!("SELECT ", columns!(), " FROM tokens ORDER BY name"))
            .fetch_all(&self.readers)
            .await
            .doing(READING)?;
        rows.into_iter().map(Row::summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{clock::now, health::Health},
        state::path_in,
    };
    use time::macros::datetime;

    #[tokio::test]
    async fn whose_certificate_is_known_has_no_token_of_its_public_key_and_the_other_way_round() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let (public, secret) = (Sha256::of(b"a public key"), Sha256::of(b"a secret"));
        let mut unit = state.begin().await.unwrap();
        assert!(unit.add_token("one", Credential::Certificate(&public), Scope::Admin, None).await.unwrap());
        assert!(unit.add_token("two", Credential::Token("a secret"), Scope::Admin, None).await.unwrap());
        unit.commit().await.unwrap();
        let found = async |credential| state.token(credential, now()).await.unwrap().map(|token| token.name);
        assert_eq!(found(Credential::Certificate(&public)).await.as_deref(), Some("one"));
        assert_eq!(found(Credential::Token("a secret")).await.as_deref(), Some("two"));
        assert_eq!(found(Credential::Token("a public key")).await, None);
        assert_eq!(found(Credential::Certificate(&secret)).await, None);
        assert!(state.memory.admins.holds(&public) && !state.memory.admins.holds(&secret));
        let mut unit = state.begin().await.unwrap();
        unit.remove_token("one").await.unwrap().unwrap();
        assert!(state.memory.admins.holds(&public), "not before the commit");
        unit.commit().await.unwrap();
        assert!(!state.memory.admins.holds(&public));
    }

    #[tokio::test]
    async fn tokens_and_sessions_last_as_long_in_1970_after_2038_and_in_2099() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        for at in [
            datetime!(1970-01-01 0:00:10 UTC),
            datetime!(2038-01-19 3:14:07 UTC),
            datetime!(2038-01-20 0:00 UTC),
            datetime!(2099-12-31 23:59 UTC),
        ] {
            let (secret, cookie) = (format!("secret of {at}"), format!("cookie of {at}"));
            let mut unit = state.begin().await.unwrap();
            unit.now = at;
            let (shown, ends) = (Credential::Token(&secret), at + Duration::hours(2));
            assert!(unit.add_token(&secret, shown, Scope::View, Some(ends)).await.unwrap());
            unit.begin_session(&cookie, &shown.hash(), Duration::HOUR).await.unwrap();
            unit.commit().await.unwrap();
            for (hours, token_lasts) in [(0, true), (1, true), (2, false), (3, false)] {
                let token = state.token(shown, at + Duration::hours(hours)).await.unwrap();
                assert_eq!(token.is_some(), token_lasts, "{at}, after {hours} hours");
            }
            let session = async |now| state.token_of_session(&cookie, Duration::HOUR, now).await.unwrap();
            assert_eq!(session(at + Duration::minutes(59)).await.unwrap().1, at);
            assert!(session(at + Duration::HOUR).await.is_none() && session(at - Duration::HOUR).await.is_none());
        }
    }
}
