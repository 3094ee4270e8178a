//! What was measured: of a machine that has proven its TPM, and of the node that it becomes, by what it started from.

use super::{Doing, Unit, column, to_column};
use crate::domain::{measured::Start, tpm::Tpm};
use ::tpm::event_log::Thing;
use protocol::{failure::Result, names::NodeName, tpm::ProvenTpm};

impl Unit {
    /// The machine has proven its TPM.
    pub async fn prove_tpm(&mut self, id: i64, proven: &ProvenTpm, things: &[Thing]) -> Result<()> {
        self.after.changed = true;
        self.after.memory.enrolments.push(id);
        sqlx::query("UPDATE enrolments SET tpm = ?, things = ? WHERE id = ?")
            .bind(to_column("a TPM", &Tpm::Proven(proven.clone()))?)
            .bind(to_column("what was measured", &things)?)
            .bind(id)
            .execute(&mut *self.connection)
            .await
            .doing("changing an enrolment")?;
        Ok(())
    }

    /// What the machine's log told, which is its node's to keep from now on.
    pub async fn take_things(&mut self, id: i64) -> Result<Vec<Thing>> {
        let things: Option<Option<String>> = sqlx::query_scalar("SELECT things FROM enrolments WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *self.connection)
            .await
            .doing("reading enrolments")?;
        sqlx::query("UPDATE enrolments SET things = NULL WHERE id = ?")
            .bind(id)
            .execute(&mut *self.connection)
            .await
            .doing("changing an enrolment")?;
        things.flatten().map_or(Ok(vec![]), |things| column("what was measured", &things))
    }

    /// What the node's log told when it started so last.
    pub async fn things(&mut self, node: &NodeName, start: Start) -> Result<Vec<Thing>> {
        let things: Option<String> = sqlx::query_scalar("SELECT things FROM measured WHERE node = ? AND start = ?")
            .bind(node.as_str())
            .bind(start.name())
            .fetch_optional(&mut *self.connection)
            .await
            .doing("reading what was measured")?;
        things.map_or(Ok(vec![]), |things| column("what was measured", &things))
    }

    /// Keeps it, in the place of what was told before.
    pub async fn keep_things(&mut self, node: &NodeName, start: Start, things: &[Thing]) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO measured (node, start, things) VALUES (?, ?, ?)")
            .bind(node.as_str())
            .bind(start.name())
            .bind(to_column("what was measured", &things)?)
            .execute(&mut *self.connection)
            .await
            .doing("keeping what was measured")?;
        Ok(())
    }
}
