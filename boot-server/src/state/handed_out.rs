//! Which system each node was told last to install.

use super::{Doing, State, Unit, millis, plain};
use protocol::{
    failure::Result,
    names::{NodeName, StorePath},
};

impl Unit {
    /// Keeps it in the place of what the node was told before.
    pub async fn hand_out(&mut self, node: &NodeName, toplevel: &StorePath) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO handed_out (node, toplevel, time) VALUES (?, ?, ?)")
            .bind(node.as_str())
            .bind(toplevel.as_str())
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("keeping what a node installs")?;
        Ok(())
    }
}

impl State {
    /// Node and toplevel.
    pub async fn handed_out(&self) -> Result<Vec<(String, StorePath)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT node, toplevel FROM handed_out")
            .fetch_all(&self.readers)
            .await
            .doing("reading what nodes install")?;
        rows.into_iter().map(|(node, path)| Ok((node, plain("a store path", &path)?))).collect()
    }
}
