//! The last that each node said of its services.

use super::{Doing, State, Unit, column, millis, plain, time_of, to_column};
use crate::domain::vitals::Heard;
use protocol::{failure::Result, names::NodeName};

impl Unit {
    /// Keeps what was heard.
    pub async fn save_heard(&mut self, node: &NodeName, heard: Heard) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO health (node, report, heard, noted) VALUES (?, ?, ?, ?)")
            .bind(node.as_str())
            .bind(heard.report.as_ref().map(|report| to_column("a report", report)).transpose()?)
            .bind(millis(heard.at))
            .bind(to_column("a condition", &heard.noted)?)
            .execute(&mut *self.connection)
            .await
            .doing("writing the health of a node")?;
        self.after.memory.vitals.push((node.clone(), Some(heard)));
        Ok(())
    }

    /// Another installation takes the node's place: what was heard of the old one says nothing of it.
    pub async fn forget_heard(&mut self, node: &NodeName) -> Result<()> {
        sqlx::query("DELETE FROM health WHERE node = ?")
            .bind(node.as_str())
            .execute(&mut *self.connection)
            .await
            .doing("forgetting the health of a node")?;
        self.after.memory.vitals.push((node.clone(), None));
        Ok(())
    }
}

impl State {
    /// What was heard of every node.
    pub async fn health(&self) -> Result<Vec<(NodeName, Heard)>> {
        let rows: Vec<(String, Option<String>, i64, String)> =
            sqlx::query_as("SELECT node, report, heard, noted FROM health")
                .fetch_all(&self.readers)
                .await
                .doing("reading the health of nodes")?;
        let parse = |(node, report, heard, noted): (String, Option<String>, i64, String)| {
            let report = report.map(|report| column("a report", &report)).transpose()?;
            let heard = Heard { at: time_of(heard), report, noted: column("a condition", &noted)? };
            Ok((plain("a name", &node)?, heard))
        };
        rows.into_iter().map(parse).collect()
    }
}
