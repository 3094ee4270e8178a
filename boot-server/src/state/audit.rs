//! Who did what to which node.

use super::{Doing, State, Unit, millis, time_of};
use protocol::{admin::AuditEntry, failure::Result, names::NodeName};

impl Unit {
    /// Adds a line to the history of a node, or of none.
    pub async fn note(&mut self, actor: &str, node: Option<&NodeName>, text: impl Into<String>) -> Result<()> {
        let text = text.into();
        tracing::info!(actor, node = node.map(NodeName::as_str), "{text}");
        sqlx::query("INSERT INTO audit (time, actor, node, text) VALUES (?, ?, ?, ?)")
            .bind(millis(self.now))
            .bind(actor)
            .bind(node.map(NodeName::as_str))
            .bind(text)
            .execute(&mut *self.connection)
            .await
            .doing("writing the audit trail")?;
        Ok(())
    }
}

impl State {
    /// The last entries: of a node, or those that are about none.
    pub async fn audit(&self, node: Option<&NodeName>) -> Result<Vec<AuditEntry>> {
        let rows: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT time, actor, text FROM audit WHERE node IS ? ORDER BY id DESC LIMIT 100")
                .bind(node.map(NodeName::as_str))
                .fetch_all(&self.readers)
                .await
                .doing("reading the audit trail")?;
        let entry = |(time, actor, text)| AuditEntry { time: time_of(time), actor, text };
        Ok(rows.into_iter().rev().map(entry).collect())
    }
}
