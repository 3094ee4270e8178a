//! Who did what to which node.

use super::{State, Write, millis, time_of, wrong};
use protocol::{Timestamp, admin::AuditEntry, failure::Result, names::NodeName};

/// Adds an entry.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn note(
    write: &mut Write,
    now: Timestamp,
    actor: &str,
    node: Option<&NodeName>,
    text: impl Into<String>,
) -> Result<()> {
    let text = text.into();
    tracing::info!(actor, node = node.map(NodeName::as_str), "{text}");
    sqlx::query("INSERT INTO audit (time, actor, node, text) VALUES (?, ?, ?, ?)")
        .bind(millis(now))
        .bind(actor)
        .bind(node.map(NodeName::as_str))
        .bind(text)
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing the audit trail", &error))?;
    Ok(())
}

impl State {
    /// The last entries: of a node, or those that are about none.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn audit(&self, node: Option<&NodeName>) -> Result<Vec<AuditEntry>> {
        let rows: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT time, actor, text FROM audit WHERE node IS ? ORDER BY id DESC LIMIT 100")
                .bind(node.map(NodeName::as_str))
                .fetch_all(&self.readers)
                .await
                .map_err(|error| wrong("reading the audit trail", &error))?;
        let entry = |(time, actor, text)| AuditEntry { time: time_of(time), actor, text };
        Ok(rows.into_iter().rev().map(entry).collect())
    }
}
