//! The last that each node said of its services.

use super::{State, Write, column, millis, time_of, to_column, wrong};
use crate::vitals::Heard;
use protocol::{failure::Result, names::NodeName};

/// Keeps what was heard.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn save(write: &mut Write, node: &NodeName, heard: &Heard) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO health (node, report, heard, noted) VALUES (?, ?, ?, ?)")
        .bind(node.as_str())
        .bind(heard.report.as_ref().map(|report| to_column("a report", report)).transpose()?)
        .bind(millis(heard.at))
        .bind(to_column("a condition", &heard.noted)?)
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing the health of a node", &error))?;
    Ok(())
}

/// Forgets what was heard.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn forget(write: &mut Write, node: &NodeName) -> Result<()> {
    sqlx::query("DELETE FROM health WHERE node = ?")
        .bind(node.as_str())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("forgetting the health of a node", &error))?;
    Ok(())
}

impl State {
    /// What was heard of every node.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn health(&self) -> Result<Vec<(NodeName, Heard)>> {
        let rows: Vec<(String, Option<String>, i64, String)> =
            sqlx::query_as("SELECT node, report, heard, noted FROM health")
                .fetch_all(&self.readers)
                .await
                .map_err(|error| wrong("reading the health of nodes", &error))?;
        let parse = |(node, report, heard, noted): (String, Option<String>, i64, String)| {
            let report = report.map(|report| column("a report", &report)).transpose()?;
            let heard = Heard { at: time_of(heard), report, noted: column("a condition", &noted)? };
            Ok((column("a name", &format!("{node:?}"))?, heard))
        };
        rows.into_iter().map(parse).collect()
    }
}
