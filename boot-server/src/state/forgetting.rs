//! What is forgotten: what is old, and what peers have brought beyond what is kept of it.

use super::{Doing, Unit, millis};
use protocol::{Timestamp, failure::Result};

/// How much is kept, whoever brought it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Enrolments that newer ones have replaced.
    pub superseded: i64,
    /// Runs of machines that nobody has admitted.
    pub runs_of_strangers: i64,
    /// Runs of one node.
    pub runs_of_node: i64,
    /// Certificates of one key.
    pub certificates_of_key: i64,
    /// Entries about one node, of one actor.
    pub entries_of_node: i64,
    /// Entries about no node, of one actor.
    pub entries_of_none: i64,
}

impl Unit {
    /// Forgets what is of no use any more: enrolments that newer ones have replaced since then, what machines told that were
    /// never admitted and have been silent, certificates that ended.
    pub async fn forget_old(&mut self, before: Timestamp) -> Result<()> {
        let before = millis(before);
        for (query, bound) in [
            (
                "DELETE FROM enrolments WHERE state = 'superseded' AND heard < ?1 \
                 AND NOT EXISTS (SELECT 1 FROM nodes WHERE enrolment = enrolments.id)",
                before,
            ),
            ("DELETE FROM journal WHERE run IN (SELECT id FROM runs WHERE node IS NULL AND heard < ?1)", before),
            ("DELETE FROM runs WHERE node IS NULL AND heard < ?1", before),
            ("DELETE FROM certificates WHERE not_after < ?1", before),
            ("DELETE FROM enrol_tokens WHERE expires < ?1", before),
        ] {
            sqlx::query(query).bind(bound).execute(&mut *self.connection).await.doing("forgetting what is old")?;
        }
        Ok(())
    }

    /// Forgets what peers have brought beyond what is kept of it, the oldest first.
    pub async fn forget_beyond(&mut self, bounds: &Bounds) -> Result<()> {
        for (query, bound) in [
            (
                "DELETE FROM enrolments WHERE id IN \
                 (SELECT id FROM enrolments WHERE state = 'superseded' ORDER BY id DESC LIMIT -1 OFFSET ?1) \
                 AND NOT EXISTS (SELECT 1 FROM nodes WHERE enrolment = enrolments.id)",
                bounds.superseded,
            ),
            (
                "DELETE FROM journal WHERE run IN \
                 (SELECT id FROM runs WHERE node IS NULL ORDER BY heard DESC LIMIT -1 OFFSET ?1)",
                bounds.runs_of_strangers,
            ),
            (
                "DELETE FROM runs WHERE id IN \
                 (SELECT id FROM runs WHERE node IS NULL ORDER BY heard DESC LIMIT -1 OFFSET ?1)",
                bounds.runs_of_strangers,
            ),
            (
                "DELETE FROM journal WHERE run IN (SELECT id FROM (SELECT id, row_number() OVER \
                 (PARTITION BY node ORDER BY created DESC) AS place FROM runs WHERE node IS NOT NULL) WHERE place > ?1)",
                bounds.runs_of_node,
            ),
            (
                "DELETE FROM runs WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER \
                 (PARTITION BY node ORDER BY created DESC) AS place FROM runs WHERE node IS NOT NULL) WHERE place > ?1)",
                bounds.runs_of_node,
            ),
            (
                "DELETE FROM certificates WHERE serial IN (SELECT serial FROM (SELECT serial, row_number() OVER \
                 (PARTITION BY key_sha256 ORDER BY not_after DESC) AS place FROM certificates) WHERE place > ?1)",
                bounds.certificates_of_key,
            ),
        ] {
            sqlx::query(query).bind(bound).execute(&mut *self.connection).await.doing("forgetting what is old")?;
        }
        self.forget_entries(bounds.entries_of_node, bounds.entries_of_none).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::health::Health,
        domain::tpm::Tpm,
        state::{
            State,
            enrolments::{Enrolment, Standing},
            path_in,
            runs::Owner,
        },
    };
    use protocol::{claims::Claims, encoding::Sha256, inventory::Inventory, names::NodeName};

    fn enrolment(number: u8) -> Enrolment {
        Enrolment {
            id: 0,
            session: Sha256::of(&[number]),
            key: Sha256::of(&[number]),
            spki: vec![],
            code: String::new(),
            standing: Standing::Pending,
            node: None,
            claims: Claims { uuid: None, serial: None, macs: vec![] },
            token: None,
            shown: crate::domain::enrolment::Shown::Nothing,
            run: format!("run-{number}").parse().unwrap(),
            agent_version: String::new(),
            address: String::new(),
            certificate: None,
            heard: Timestamp::UNIX_EPOCH,
            tpm: Tpm::Absent,
        }
    }

    #[tokio::test]
    async fn of_all_that_peers_bring_the_newest_is_kept_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&path_in(dir.path()), Health::default()).await.unwrap();
        let (node, key): (NodeName, _) = ("n1".parse().unwrap(), Sha256::of(b"key"));
        for number in 0..10 {
            let mut unit = state.begin().await.unwrap();
            let id = unit.add_enrolment(&enrolment(number), [10, 0, 0, 1].into(), &Inventory::default()).await.unwrap();
            unit.set_enrolment(id, Standing::Superseded, None, None).await.unwrap();
            let session = Owner::Session(Sha256::of(&[number]));
            unit.claim_run(&format!("node-{number}").parse().unwrap(), &Owner::Node(node.clone()), None).await.unwrap();
            unit.claim_run(&format!("session-{number}").parse().unwrap(), &session, None).await.unwrap();
            unit.add_certificate(&format!("{number}"), &node, &key, Timestamp::UNIX_EPOCH).await.unwrap();
            unit.note("server", Some(&node), format!("entry {number}")).await.unwrap();
            unit.note("server", None, format!("entry {number}")).await.unwrap();
            unit.commit().await.unwrap();
        }
        let bounds = Bounds {
            superseded: 3,
            runs_of_strangers: 3,
            runs_of_node: 3,
            certificates_of_key: 3,
            entries_of_node: 3,
            entries_of_none: 3,
        };
        let mut unit = state.begin().await.unwrap();
        unit.forget_beyond(&bounds).await.unwrap();
        for table in ["enrolments", "runs WHERE node IS NULL", "runs WHERE node IS NOT NULL", "certificates"] {
            let count = format!("SELECT count(*) FROM {table}");
            let count: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut *unit.connection).await.unwrap();
            assert_eq!(count, 3, "{table}");
        }
        unit.commit().await.unwrap();
        for node in [Some(&node), None] {
            let entries = match node {
                Some(node) => state.history(node).await.unwrap(),
                None => state.noticed().await.unwrap(),
            };
            let texts: Vec<String> = entries.into_iter().map(|entry| entry.text).collect();
            assert_eq!(texts[..3], ["entry 7", "entry 8", "entry 9"]);
            assert_eq!(
                texts.get(3).map(String::as_str),
                node.is_none().then_some("forgot 14 entries beyond the bounds, 14 in all")
            );
        }
        assert!(state.enrolment_by_session(&Sha256::of(&[9])).await.unwrap().is_some());
    }
}
