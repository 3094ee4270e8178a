//! Who did what, in a chain ([`chain`]): written in the change that it is about, never changed, forgotten beyond the bounds.

use super::{Doing, State, Unit, column, plain, to_column};
use crate::domain::audit::{
    self, Action, Actor, Deed,
    chain::{self, Link, Walk},
};
use protocol::{
    Code, Timestamp,
    audit::{Anchor, AuditEntry, AuditQuery, AuditVerdict},
    encoding::Sha256,
    failure::{OrFail, Result},
    names::NodeName,
    text::escaped_json,
};

const READING: &str = "reading the audit";
const WRITING: &str = "writing the audit";
/// Entries that are read at once.
const PAGE: i64 = 500;

impl Unit {
    /// Adds an entry to the audit, about a node or about none.
    pub async fn note(
        &mut self,
        actor: impl Into<Actor>,
        node: Option<&NodeName>,
        deed: impl Into<Deed>,
    ) -> Result<()> {
        let (id, before) = self.newest().await?;
        let entry = audit::entry(id + 1, self.now, actor.into(), node, deed.into());
        let (text, who) = (&entry.text, entry.who());
        tracing::info!(actor = who, node = node.map(NodeName::as_str), action = entry.action, "{text}");
        let written = escaped_json(&to_column("an entry of the audit", &entry)?);
        sqlx::query("INSERT INTO audit (id, entry, hash) VALUES (?, ?, ?)")
            .bind(entry.id)
            .bind(&written)
            .bind(chain::hash(&before, &written).hex())
            .execute(&mut *self.connection)
            .await
            .doing(WRITING)?;
        Ok(())
    }

    /// The number of the newest entry that was ever written, and the hash that the next one goes on from.
    async fn newest(&mut self) -> Result<(i64, Sha256)> {
        // What is forgotten is never the newest of all.
        let (id, hash): (i64, Option<String>) = sqlx::query_as(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), \
             (SELECT hash FROM audit ORDER BY id DESC LIMIT 1)",
        )
        .fetch_one(&mut *self.connection)
        .await
        .doing(WRITING)?;
        Ok((id, hash.map_or(Ok(chain::START), |hash| plain("a hash of the audit", &hash))?))
    }

    /// Forgets entries beyond so many about each node, and about none: the oldest of each actor, so that what machines
    /// have noted displaces nothing that people did, nor one admin's what another did.
    pub(super) async fn forget_entries(&mut self, of_node: i64, of_none: i64) -> Result<()> {
        let told: Option<String> = sqlx::query_scalar(
            "SELECT entry FROM audit WHERE node IS NULL AND actor = 'server server' \
             AND json_extract(entry, '$.action') = ? ORDER BY id DESC LIMIT 1",
        )
        .bind(Action::Forgotten.name())
        .fetch_optional(&mut *self.connection)
        .await
        .doing(READING)?;
        let forgotten = sqlx::query(
            "INSERT INTO audit_forgotten (id, hash) SELECT id, hash FROM audit WHERE id IN \
             (SELECT id FROM (SELECT id, node, row_number() OVER (PARTITION BY node, actor ORDER BY id DESC) AS place \
              FROM audit) WHERE place > max(1, CASE WHEN node IS NULL THEN ?1 ELSE ?2 END))",
        )
        .bind(of_none)
        .bind(of_node)
        .execute(&mut *self.connection)
        .await
        .doing("forgetting what is old")?
        .rows_affected();
        if forgotten == 0 {
            return Ok(());
        }
        for query in [
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit_forgotten)",
            // The last of each run is what the chain goes on from.
            "DELETE FROM audit_forgotten WHERE id + 1 IN (SELECT id FROM audit_forgotten)",
        ] {
            sqlx::query(query).execute(&mut *self.connection).await.doing("forgetting what is old")?;
        }
        let told = told.map(|entry| column::<AuditEntry>("the audit", &entry)).transpose()?;
        let in_all = told.and_then(|entry| chain::told(&entry)).unwrap_or(0) + forgotten;
        self.note("server", None, chain::forgot(forgotten, in_all)).await
    }

    /// Chains so many entries that an earlier release has written; whether there may be more.
    async fn chain_some(&mut self) -> Result<bool> {
        let unchained: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, entry FROM audit WHERE hash IS NULL ORDER BY id LIMIT ?")
                .bind(PAGE)
                .fetch_all(&mut *self.connection)
                .await
                .doing(WRITING)?;
        let Some((first, _)) = unchained.first() else { return Ok(false) };
        let before: Option<String> = sqlx::query_scalar("SELECT hash FROM audit WHERE id = ? - 1")
            .bind(first)
            .fetch_optional(&mut *self.connection)
            .await
            .doing(WRITING)?;
        let mut hash = match before {
            Some(before) => plain("a hash of the audit", &before)?,
            None => chain::START,
        };
        for (id, entry) in &unchained {
            hash = chain::hash(&hash, entry);
            sqlx::query("UPDATE audit SET hash = ? WHERE id = ?")
                .bind(hash.hex())
                .bind(id)
                .execute(&mut *self.connection)
                .await
                .doing(WRITING)?;
        }
        Ok(true)
    }
}

impl State {
    /// Chains what earlier releases have written.
    pub(super) async fn chain_all(&self) -> Result<()> {
        loop {
            let mut unit = self.begin().await?;
            let more = unit.chain_some().await?;
            unit.commit().await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// The last entries about a node.
    pub async fn history(&self, node: &NodeName) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query_scalar("SELECT entry FROM audit WHERE node = ? ORDER BY id DESC LIMIT 100");
        entries(&rows.bind(node.as_str()).fetch_all(&self.readers).await.doing(READING)?)
    }

    /// The last things that the server has noticed, about no node.
    pub async fn noticed(&self) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query_scalar(
            "SELECT entry FROM audit WHERE node IS NULL AND actor IN ('server server', 'stranger a stranger') ORDER BY id DESC LIMIT 100",
        );
        entries(&rows.fetch_all(&self.readers).await.doing(READING)?)
    }

    /// Lines of the export, the next some behind `query.after`, with the number of the last.
    pub async fn audit_lines(&self, query: &AuditQuery) -> Result<Option<(i64, String)>> {
        let since = query.since.map(|since| since.max(Timestamp::UNIX_EPOCH));
        let rows: Vec<(i64, String, Option<String>)> = sqlx::query_as(
            "SELECT id, entry, hash FROM audit WHERE id > ?1 AND (?2 IS NULL OR node = ?2) \
             AND (?3 IS NULL OR julianday(json_extract(entry, '$.time')) >= julianday(?3)) ORDER BY id LIMIT ?4",
        )
        .bind(query.after)
        .bind(query.node.as_ref().map(NodeName::as_str))
        .bind(since.map(rfc3339).transpose()?)
        .bind(PAGE)
        .fetch_all(&self.readers)
        .await
        .doing(READING)?;
        let lines = rows.iter().map(|(_, entry, hash)| chain::line(entry, hash.as_deref().unwrap_or_default()));
        Ok(rows.last().map(|(id, ..)| (*id, lines.collect())))
    }

    /// Whether the chain is whole; `kept` is what somebody has kept elsewhere.
    pub async fn verify_audit(&self, kept: Option<Anchor>) -> Result<AuditVerdict> {
        // One at a time: each holds a connection for as long as it takes, and there are few.
        let _alone = self.verifying.lock().await;
        let mut walk = Walk::new(kept);
        // As it is at one moment, whatever is written or forgotten meanwhile.
        let mut reader = self.readers.begin().await.doing(READING)?;
        loop {
            let rows: Vec<(i64, Option<String>, Option<String>)> = sqlx::query_as(
                "SELECT id, entry, hash FROM audit WHERE id > ?1 UNION ALL \
                 SELECT id, NULL, hash FROM audit_forgotten WHERE id > ?1 ORDER BY id LIMIT ?2",
            )
            .bind(walk.last())
            .bind(PAGE)
            .fetch_all(&mut *reader)
            .await
            .doing(READING)?;
            if rows.is_empty() || walk.is_broken() {
                break;
            }
            for (id, entry, hash) in rows {
                walk.take(&match entry {
                    Some(entry) => Link::Entry { id, entry, hash },
                    None => Link::Forgotten { id, hash: hash.unwrap_or_default() },
                });
            }
        }
        let written: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
            .fetch_optional(&mut *reader)
            .await
            .doing(READING)?;
        Ok(walk.end(written.unwrap_or(0)))
    }
}

fn entries(rows: &[String]) -> Result<Vec<AuditEntry>> {
    rows.iter().rev().map(|entry| column("the audit", entry)).collect()
}

fn rfc3339(time: Timestamp) -> Result<String> {
    time.format(&time::format_description::well_known::Rfc3339).or_fail(Code::Input, || "reading a time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::health::Health, state::path_in};
    use protocol::audit::{ActorKind, Anchored};

    #[tokio::test]
    async fn what_machines_and_other_admins_bring_displaces_nothing_that_somebody_did_and_the_chain_stays_whole() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let node: NodeName = "n1".parse().unwrap();
        let [alice, mallory] = ["alice", "mallory"].map(|name| Actor {
            name: name.to_owned(),
            kind: ActorKind::Token,
            subject: None,
            from: None,
        });
        let flood = async || {
            let mut unit = state.begin().await.unwrap();
            for flood in 0..30 {
                unit.note(&node, Some(&node), format!("flood {flood}")).await.unwrap();
                unit.note(Actor::stranger([10, 0, 0, 9].into()), None, Action::WrongToken.says("a guess"))
                    .await
                    .unwrap();
                unit.note(&mallory, None, Action::LoggedIn.says("logs in for ever")).await.unwrap();
            }
            unit.forget_entries(5, 5).await.unwrap();
            unit.commit().await.unwrap();
        };
        state.note(&alice, Some(&node), Action::PlanApproved.says("approved a plan")).await.unwrap();
        state.note(&alice, None, Action::LoggedIn.says("logged in")).await.unwrap();
        let kept = state.verify_audit(None).await.unwrap().newest;
        for _ in 0..3 {
            flood().await;
        }
        assert!(state.history(&node).await.unwrap().iter().any(|entry| entry.text == "approved a plan"));
        let (_, lines) = state.audit_lines(&AuditQuery::default()).await.unwrap().unwrap();
        assert!(lines.contains("logged in"), "{lines}");
        let verdict = state.verify_audit(kept).await.unwrap();
        assert_eq!((verdict.broken.clone(), verdict.anchored), (None, Some(Anchored::Same)), "{verdict:?}");
        // Of each flood 5 are left, and of what tells of forgetting all three.
        assert_eq!((verdict.entries, verdict.forgotten), (2 + 15 + 3, 3 * 90 - 15));
    }
}
