//! Sessions of the page that the OIDC provider's word begins.

use super::{SESSION, Tokens, verb};
use crate::{
    base::{clock::now, places::source_of, random},
    config::oidc::Oidc,
    domain::audit::{Action, Actor},
    state::persons::{Known, Person},
    trust::oidc::grants::{Nobody, still},
};
use protocol::{Failure, failure::Result, tokens::Scope};
use serde_json::json;
use std::{net::IpAddr, sync::PoisonError};

impl Tokens {
    /// Begins a session of somebody whom the provider has named: the cookie's value. It is renewed by nobody, and ends after its
    /// twelve hours: whoever was sent away at the provider is in no longer than that.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn begin_session_of(&self, person: &Person, from: IpAddr) -> Result<String> {
        let cookie = random::name()?;
        let mut unit = self.state.begin().await?;
        let expires = unit.now() + SESSION;
        let token = unit.keep_person(person, expires).await?;
        unit.begin_session(&cookie, &token.hash, SESSION).await?;
        let text = format!("logged in to the page by OIDC, and may {}", verb(person.scope));
        let is = json!({ "name": token.name, "scope": person.scope, "claim": person.granted.claim, "values": person.granted.values });
        unit.note(token.actor(from), None, Action::LoggedIn.says(text).changing(None, is)).await?;
        unit.commit().await?;
        Ok(cookie)
    }

    /// Notes that a login at the provider gave no session: the first of a source in a minute.
    pub async fn note_not_logged_in(&self, from: IpAddr, why: &Failure) {
        self.note_first(Actor::stranger(from), from, why.cause.clone()).await;
    }

    /// Notes the same of somebody whom the provider has named.
    pub async fn note_nobody(&self, from: IpAddr, Nobody { subject, name }: &Nobody) {
        let text = format!("logging in by OIDC: {name} has none of the values that are granted something");
        let subject = Some(subject.clone());
        self.note_first(Actor { subject, ..Actor::stranger(from) }, from, text).await;
    }

    async fn note_first(&self, actor: Actor, from: IpAddr, text: String) {
        let source = source_of(from);
        if self.strangers.lock().unwrap_or_else(PoisonError::into_inner).count(source, now()) > 1 {
            return;
        }
        if let Err(failure) = self.state.note(actor, None, Action::LoginRefused.says(text)).await {
            tracing::warn!(%failure, "noting a login that was refused");
        }
    }

    /// Has the sessions of persons be what the configuration says now: it may grant them less than when they logged in, or nothing.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn follow(&self, config: Option<&Oidc>) -> Result<()> {
        let persons = self.state.persons(now()).await?;
        let scope_of = |known: &Known| still(&known.subject, &known.granted, config);
        let changed: Vec<(&Known, Option<Scope>)> = persons
            .iter()
            .map(|known| (known, scope_of(known)))
            .filter(|(known, scope)| *scope != Some(known.scope))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let mut unit = self.state.begin().await?;
        for (known, scope) in changed {
            unit.rescope(known, scope).await?;
            let name = &known.name;
            let text = match scope {
                Some(scope) => format!("the configuration has {name} {} from now on", verb(scope)),
                None => format!("ended the sessions of {name}: the configuration grants nothing any more"),
            };
            let (was, is) = (
                json!({ "scope": known.scope, "subject": known.subject }),
                scope.map(|scope| json!({ "scope": scope })),
            );
            unit.note("server", None, Action::SessionsEnded.says(text).changing(was, is)).await?;
        }
        unit.commit().await
    }
}
