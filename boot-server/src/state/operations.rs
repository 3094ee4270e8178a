//! Operations under way, and revoked keys.

use super::{Doing, State, Unit, column, millis, plain, to_column};
use crate::domain::operation::Operation;
use protocol::{encoding::Sha256, failure::Result, names::NodeName};

const READING: &str = "reading operations";

const ONE: &str = "SELECT body FROM operations WHERE node = ?";

/// As it is kept.
pub(super) fn operation(body: Option<String>) -> Result<Option<Operation>> {
    body.map(|body| column("an operation", &body)).transpose()
}

impl Unit {
    /// The operation on the node.
    pub async fn operation(&mut self, node: &NodeName) -> Result<Option<Operation>> {
        let body = sqlx::query_scalar(ONE).bind(node.as_str()).fetch_optional(&mut *self.connection).await;
        operation(body.doing(READING)?)
    }

    /// Keeps how far the operation is.
    pub async fn save_operation(&mut self, node: &NodeName, operation: &Operation) -> Result<()> {
        self.touch(node);
        sqlx::query("INSERT OR REPLACE INTO operations (node, body) VALUES (?, ?)")
            .bind(node.as_str())
            .bind(to_column("an operation", operation)?)
            .execute(&mut *self.connection)
            .await
            .doing("writing an operation")?;
        Ok(())
    }

    /// The operation is over.
    pub async fn end_operation(&mut self, node: &NodeName) -> Result<()> {
        self.touch(node);
        sqlx::query("DELETE FROM operations WHERE node = ?")
            .bind(node.as_str())
            .execute(&mut *self.connection)
            .await
            .doing("ending an operation")?;
        Ok(())
    }

    /// The key may do nothing any more, and nothing of it waits.
    pub async fn revoke(&mut self, key: &Sha256, node: &NodeName) -> Result<()> {
        sqlx::query("INSERT OR IGNORE INTO revoked_keys (key_sha256, node, time) VALUES (?, ?, ?)")
            .bind(key.hex())
            .bind(node.as_str())
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("revoking a key")?;
        self.after.memory.revoked.push(*key);
        self.set_aside(key).await
    }
}

impl State {
    /// The operation on the node.
    pub async fn operation(&self, node: &NodeName) -> Result<Option<Operation>> {
        let body = sqlx::query_scalar(ONE).bind(node.as_str()).fetch_optional(&self.readers).await;
        operation(body.doing(READING)?)
    }

    /// Every revoked key.
    pub async fn revoked_keys(&self) -> Result<Vec<Sha256>> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT key_sha256 FROM revoked_keys").fetch_all(&self.readers).await.doing(READING)?;
        rows.iter().map(|key| plain("a key", key)).collect()
    }

    /// The node that a revoked key was.
    pub async fn node_of_revoked(&self, key: &Sha256) -> Result<Option<NodeName>> {
        let node: Option<String> = sqlx::query_scalar("SELECT node FROM revoked_keys WHERE key_sha256 = ?")
            .bind(key.hex())
            .fetch_optional(&self.readers)
            .await
            .doing(READING)?;
        node.map(|node| plain("a name", &node)).transpose()
    }
}
