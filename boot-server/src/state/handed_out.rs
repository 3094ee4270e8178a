//! Which system each node was told last to install.

use super::{State, Write, millis, wrong};
use protocol::{
    Code, Timestamp,
    failure::{OrFail, Result},
    names::{NodeName, StorePath},
};

/// Keeps it in the place of what the node was told before.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn record(write: &mut Write, node: &NodeName, toplevel: &StorePath, now: Timestamp) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO handed_out (node, toplevel, time) VALUES (?, ?, ?)")
        .bind(node.as_str())
        .bind(toplevel.as_str())
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("keeping what a node installs", &error))?;
    Ok(())
}

impl State {
    /// Node and toplevel.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn handed_out(&self) -> Result<Vec<(String, StorePath)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT node, toplevel FROM handed_out")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| wrong("reading what nodes install", &error))?;
        let parse = |(node, path): (String, String)| {
            Ok((node, path.parse().or_fail(Code::Internal, || "reading a store path from the state")?))
        };
        rows.into_iter().map(parse).collect()
    }
}
