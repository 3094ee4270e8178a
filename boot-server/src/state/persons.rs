//! Persons whom an OIDC provider has named. Each has one row among the tokens, as long as a session of the page is his: so scope,
//! end, list, revocation and what ends with it are those of tokens.

use super::{Doing, State, Unit, column, millis, plain, to_column, tokens::Token};
use protocol::{
    Timestamp,
    encoding::Sha256,
    failure::Result,
    tokens::{Kind, Scope, Subject},
};
use serde::{Deserialize, Serialize};

const KEEPING: &str = "keeping who has logged in";
/// What names of persons begin with: no token's name can.
const PREFIX: &str = "oidc:";

/// Somebody, as the provider has named him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who he is there.
    pub subject: Subject,
    /// What he is called.
    pub name: String,
    /// What he may.
    pub scope: Scope,
    /// By what.
    pub granted: Granted,
}

/// The provider's words that give somebody his scope, as far as the configuration knew them when he logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The claim.
    pub claim: String,
    /// Its values.
    pub values: Vec<String>,
}

/// Somebody who has a session.
#[derive(Debug, Clone)]
pub struct Known {
    /// The hash of who he is.
    pub hash: Sha256,
    /// His name among the tokens.
    pub name: String,
    /// What he may.
    pub scope: Scope,
    /// Who he is at the provider.
    pub subject: Subject,
    /// By what.
    pub granted: Granted,
}

#[derive(sqlx::FromRow)]
struct Row {
    sha256: String,
    name: String,
    scope: String,
    subject: String,
    granted: String,
}

/// Neither of both has a NUL in it.
fn hash(subject: &Subject) -> Sha256 {
    Sha256::of(format!("{}\0{}", subject.issuer, subject.sub).as_bytes())
}

impl Unit {
    /// Keeps who has logged in, until then, as he is now: the scope of his earlier sessions is that of this login, too.
    pub async fn keep_person(&mut self, person: &Person, expires: Timestamp) -> Result<Token> {
        let Person { subject, scope, granted, .. } = person;
        let hash = hash(subject);
        let name = self.name_for(person, &hash).await?;
        sqlx::query(
            "INSERT INTO tokens (sha256, name, created, scope, expires, kind, used, subject, granted) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?3, ?7, ?8) ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, \
             scope = excluded.scope, expires = excluded.expires, used = excluded.used, granted = excluded.granted",
        )
        .bind(hash.hex())
        .bind(&name)
        .bind(millis(self.now))
        .bind(scope.name())
        .bind(millis(expires))
        .bind(Kind::Oidc.name())
        .bind(to_column("a person", subject)?)
        .bind(to_column("a person", granted)?)
        .execute(&mut *self.connection)
        .await
        .doing(KEEPING)?;
        let used = Some(self.now);
        Ok(Token { hash, kind: Kind::Oidc, name, scope: *scope, used, subject: Some(subject.clone()) })
    }

    /// His name, unless somebody else has it: names are given anew, and two may be cut to the same.
    async fn name_for(&mut self, person: &Person, hash: &Sha256) -> Result<String> {
        let name = format!("{PREFIX}{}", person.name);
        let with_hash = format!("{name} ({})", &hash.hex()[..8]);
        for candidate in [&name, &with_hash] {
            let query = "SELECT EXISTS (SELECT 1 FROM tokens WHERE name = ?1 AND sha256 <> ?2)";
            let query = sqlx::query_scalar(query).bind(candidate).bind(hash.hex());
            let is_taken: bool = query.fetch_one(&mut *self.connection).await.doing(KEEPING)?;
            if !is_taken {
                return Ok(candidate.clone());
            }
        }
        // Longer than any name that a provider gives.
        Ok(format!("{name} ({})", hash.hex()))
    }

    /// Forgets persons that have no session any more.
    pub(super) async fn forget_persons(&mut self) -> Result<()> {
        sqlx::query(
            "DELETE FROM tokens WHERE kind = 'oidc' AND (expires <= ? OR sha256 NOT IN (SELECT token FROM sessions))",
        )
        .bind(millis(self.now))
        .execute(&mut *self.connection)
        .await
        .doing("forgetting who has no session")?;
        Ok(())
    }

    /// Gives somebody another scope; without any, his sessions end.
    pub async fn rescope(&mut self, known: &Known, scope: Option<Scope>) -> Result<()> {
        let query = match scope {
            Some(scope) => {
                sqlx::query("UPDATE tokens SET scope = ?2 WHERE sha256 = ?1").bind(known.hash.hex()).bind(scope.name())
            }
            None => sqlx::query("DELETE FROM tokens WHERE sha256 = ?1").bind(known.hash.hex()),
        };
        query.execute(&mut *self.connection).await.doing("changing what somebody may")?;
        self.after.changed = true;
        Ok(())
    }
}

impl State {
    /// Who has sessions by the provider's word.
    pub async fn persons(&self, now: Timestamp) -> Result<Vec<Known>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sha256, name, scope, subject, granted FROM tokens WHERE kind = 'oidc' AND expires > ? ORDER BY name",
        )
        .bind(millis(now))
        .fetch_all(&self.readers)
        .await
        .doing("looking who has sessions")?;
        let known = |row: Row| {
            Ok(Known {
                hash: plain("the hash of a person", &row.sha256)?,
                scope: super::tokens::scope_of(&row.scope)?,
                subject: column("a person", &row.subject)?,
                granted: column("a person", &row.granted)?,
                name: row.name,
            })
        };
        rows.into_iter().map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{clock::now, health::Health},
        state::{path_in, tokens::Credential},
    };
    use time::Duration;

    fn person(sub: &str, name: &str, scope: Scope) -> Person {
        let subject = Subject { issuer: "https://i".to_owned(), sub: sub.to_owned() };
        let granted = Granted { claim: "groups".to_owned(), values: vec!["ops".to_owned()] };
        Person { subject, name: name.to_owned(), scope, granted }
    }

    async fn begin(state: &State, person: &Person, cookie: &str) -> Token {
        let mut unit = state.begin().await.unwrap();
        let token = unit.keep_person(person, now() + Duration::HOUR).await.unwrap();
        unit.begin_session(cookie, &token.hash, Duration::HOUR).await.unwrap();
        unit.commit().await.unwrap();
        token
    }

    async fn listed(state: &State) -> Vec<String> {
        state.tokens().await.unwrap().into_iter().map(|token| token.name).collect()
    }

    async fn of(state: &State, cookie: &str) -> Option<Token> {
        state.token_of_session(cookie, Duration::HOUR, now()).await.unwrap().map(|(token, _)| token)
    }

    #[tokio::test]
    async fn a_person_is_known_by_issuer_and_subject_as_long_as_he_has_a_session_and_by_nothing_that_can_be_shown() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let alice = begin(&state, &person("1", "alice", Scope::View), "a").await;
        let namesake = begin(&state, &person("2", "alice", Scope::View), "b").await;
        let second = format!("oidc:alice ({})", &namesake.hash.hex()[..8]);
        assert_eq!(listed(&state).await, ["oidc:alice", &second]);
        assert_ne!(alice.hash, namesake.hash);
        // Hers is the row, whatever she is called by now; her first session has the scope of the second.
        begin(&state, &person("1", "alice.b", Scope::Operate), "c").await;
        assert_eq!(listed(&state).await, [second.as_str(), "oidc:alice.b"]);
        assert_eq!(of(&state, "a").await.unwrap().scope, Scope::Operate);
        let later = async |hours| {
            let found = state.token_of_session("a", Duration::hours(12), now() + Duration::hours(hours)).await;
            found.unwrap().map(|(token, _)| token.name)
        };
        assert_eq!(
            (later(0).await.is_some(), later(1).await),
            (true, None),
            "it ends when it was to, whatever the session's life"
        );
        assert!(state.token(Credential::Token("https://i\u{0}1"), now()).await.unwrap().is_none());
        assert!(state.token(Credential::Certificate(&alice.hash), now()).await.unwrap().is_none());
        for (cookie, left) in [("a", 2), ("c", 1), ("b", 0)] {
            let mut unit = state.begin().await.unwrap();
            unit.end_session(cookie).await.unwrap();
            unit.commit().await.unwrap();
            assert_eq!(listed(&state).await.len(), left, "{cookie}");
        }
    }

    #[tokio::test]
    async fn nobody_is_called_as_somebody_else_is_whatever_name_the_provider_gives_him() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let namesake = person("2", "alice", Scope::View);
        let his = &hash(&namesake.subject).hex()[..8];
        begin(&state, &person("1", "alice", Scope::View), "a").await;
        begin(&state, &person("3", &format!("alice ({his})"), Scope::View), "b").await;
        let named = begin(&state, &namesake, "c").await;
        assert_eq!(named.name, format!("oidc:alice ({})", named.hash.hex()));
    }

    #[tokio::test]
    async fn whoever_begins_many_sessions_ends_his_own_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        begin(&state, &person("1", "alice", Scope::View), "hers").await;
        for number in 0..=100 {
            begin(&state, &person("2", "mallory", Scope::View), &format!("{number}")).await;
        }
        assert_eq!(of(&state, "hers").await.map(|token| token.name).as_deref(), Some("oidc:alice"));
        assert_eq!((of(&state, "0").await, of(&state, "100").await.is_some()), (None, true));
    }

    #[tokio::test]
    async fn who_is_granted_nothing_any_more_loses_his_sessions_and_who_less_has_less() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        begin(&state, &person("1", "alice", Scope::Admin), "a").await;
        begin(&state, &person("2", "bob", Scope::Admin), "b").await;
        let known = state.persons(now()).await.unwrap();
        let mut unit = state.begin().await.unwrap();
        unit.rescope(&known[0], Some(Scope::View)).await.unwrap();
        unit.rescope(&known[1], None).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(of(&state, "a").await.map(|token| token.scope), Some(Scope::View));
        assert_eq!(of(&state, "b").await, None);
        assert_eq!(listed(&state).await, ["oidc:alice"]);
    }
}
