//! Admin tokens, and sessions of the page, of which only hashes are kept.

use super::{Doing, State, Unit, millis, time_of};
use crate::domain::audit::Actor;
use protocol::{
    Code, Failure, Timestamp,
    audit::ActorKind,
    encoding::Sha256,
    failure::Result,
    tokens::{Scope, TokenSummary},
};
use std::net::IpAddr;
use time::Duration;

const READING: &str = "looking up a token";
/// Sessions of the page at once; the oldest gives way.
const MOST_SESSIONS: i64 = 100;

/// A token that is good now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of it.
    pub hash: Sha256,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was used last, to some minutes.
    pub used: Option<Timestamp>,
}

impl Token {
    /// Who acts with it, from this address.
    pub fn actor(&self, from: IpAddr) -> Actor {
        Actor { name: self.name.clone(), kind: ActorKind::Token, from: None }.at(from)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    sha256: String,
    name: String,
    scope: String,
    created: i64,
    expires: Option<i64>,
    used: Option<i64>,
}

impl Row {
    fn scope(&self) -> Result<Scope> {
        let unknown = || Failure::new(Code::Internal, format!("reading a token: its scope is {:?}", self.scope));
        Scope::parse(&self.scope).ok_or_else(unknown)
    }

    fn token(self) -> Result<Token> {
        let scope = self.scope()?;
        let hash = self.sha256.parse().map_err(|_| Failure::new(Code::Internal, "reading a token: it has no hash"))?;
        Ok(Token { hash, name: self.name, scope, used: self.used.map(time_of) })
    }

    fn summary(self) -> Result<TokenSummary> {
        Ok(TokenSummary {
            scope: self.scope()?,
            name: self.name,
            created: time_of(self.created),
            expires: self.expires.map(time_of),
            used: self.used.map(time_of),
        })
    }
}

impl Unit {
    /// Keeps the token's hash; `false` where the name is taken.
    pub async fn add_token(
        &mut self,
        name: &str,
        token: &str,
        scope: Scope,
        expires: Option<Timestamp>,
    ) -> Result<bool> {
        let added = sqlx::query(
            "INSERT INTO tokens (sha256, name, created, scope, expires) SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE name = ?2)",
        )
        .bind(Sha256::of(token.as_bytes()).hex())
        .bind(name)
        .bind(millis(self.now))
        .bind(scope.name())
        .bind(expires.map(millis))
        .execute(&mut *self.connection)
        .await
        .doing("adding a token")?;
        Ok(added.rows_affected() > 0)
    }

    /// Forgets the token of this name, and its sessions; what was known of it.
    pub async fn remove_token(&mut self, name: &str) -> Result<Option<TokenSummary>> {
        sqlx::query("DELETE FROM sessions WHERE token IN (SELECT sha256 FROM tokens WHERE name = ?)")
            .bind(name)
            .execute(&mut *self.connection)
            .await
            .doing("ending sessions")?;
        let removed: Option<Row> =
            sqlx::query_as("DELETE FROM tokens WHERE name = ? RETURNING sha256, name, scope, created, expires, used")
                .bind(name)
                .fetch_optional(&mut *self.connection)
                .await
                .doing("revoking a token")?;
        removed.map(Row::summary).transpose()
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
            ("DELETE FROM sessions WHERE began < ?", millis(self.now - life)),
            (
                "DELETE FROM sessions WHERE sha256 NOT IN (SELECT sha256 FROM sessions ORDER BY began DESC LIMIT ?)",
                MOST_SESSIONS - 1,
            ),
        ] {
            sqlx::query(query).bind(bound).execute(&mut *self.connection).await.doing("ending sessions")?;
        }
        sqlx::query("INSERT INTO sessions (sha256, token, began) VALUES (?, ?, ?)")
            .bind(Sha256::of(cookie.as_bytes()).hex())
            .bind(token.hex())
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("beginning a session")?;
        Ok(())
    }

    /// Ends a session.
    pub async fn end_session(&mut self, cookie: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE sha256 = ?")
            .bind(Sha256::of(cookie.as_bytes()).hex())
            .execute(&mut *self.connection)
            .await
            .doing("ending a session")?;
        Ok(())
    }
}

impl State {
    /// The token, where it is one and has not ended. The look-up is by hash, so its time tells nothing of a token.
    pub async fn token(&self, token: &str, now: Timestamp) -> Result<Option<Token>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT sha256, name, scope, created, expires, used FROM tokens WHERE sha256 = ?1 \
             AND (expires IS NULL OR expires > ?2)",
        )
        .bind(Sha256::of(token.as_bytes()).hex())
        .bind(millis(now))
        .fetch_optional(&self.readers)
        .await
        .doing(READING)?;
        row.map(Row::token).transpose()
    }

    /// The token that a session of the page was begun with: while both last. A session from the future is none: the clock
    /// was set back.
    pub async fn token_of_session(&self, cookie: &str, life: Duration, now: Timestamp) -> Result<Option<Token>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT tokens.sha256, name, scope, created, expires, used FROM sessions JOIN tokens ON tokens.sha256 = token \
             WHERE sessions.sha256 = ?1 AND began > ?2 AND began < ?3 AND (expires IS NULL OR expires > ?4)",
        )
        .bind(Sha256::of(cookie.as_bytes()).hex())
        .bind(millis(now - life))
        .bind(millis(now + Duration::MINUTE))
        .bind(millis(now))
        .fetch_optional(&self.readers)
        .await
        .doing(READING)?;
        row.map(Row::token).transpose()
    }

    /// Every token, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenSummary>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT sha256, name, scope, created, expires, used FROM tokens ORDER BY name")
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        rows.into_iter().map(Row::summary).collect()
    }
}
