//! Operations under way, and revoked keys.

use super::{State, Write, column, millis, to_column, wrong};
use crate::operation::Operation;
use protocol::{Failure, Timestamp, encoding::Sha256, failure::Result, names::NodeName};

fn unread(error: &sqlx::Error) -> Failure {
    wrong("reading operations", error)
}

/// The operation on the node, inside a write.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn load(write: &mut Write, node: &NodeName) -> Result<Option<Operation>> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM operations WHERE node = ?")
        .bind(node.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(|error| unread(&error))?;
    body.map(|body| column("an operation", &body)).transpose()
}

/// Keeps how far the operation is.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn save(write: &mut Write, node: &NodeName, operation: &Operation) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO operations (node, body) VALUES (?, ?)")
        .bind(node.as_str())
        .bind(to_column("an operation", operation)?)
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing an operation", &error))?;
    Ok(())
}

/// The operation is over.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn end(write: &mut Write, node: &NodeName) -> Result<()> {
    sqlx::query("DELETE FROM operations WHERE node = ?")
        .bind(node.as_str())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("ending an operation", &error))?;
    Ok(())
}

/// The key may do nothing any more.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn revoke(write: &mut Write, key: &Sha256, node: &NodeName, now: Timestamp) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO revoked_keys (key_sha256, node, time) VALUES (?, ?, ?)")
        .bind(key.hex())
        .bind(node.as_str())
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("revoking a key", &error))?;
    Ok(())
}

impl State {
    /// The operation on the node.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn operation(&self, node: &NodeName) -> Result<Option<Operation>> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM operations WHERE node = ?")
            .bind(node.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        body.map(|body| column("an operation", &body)).transpose()
    }

    /// Every operation under way.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn operations(&self) -> Result<Vec<(NodeName, Operation)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT node, body FROM operations")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        let parse = |(node, body): (String, String)| {
            Ok((column("a name", &format!("{node:?}"))?, column("an operation", &body)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Every revoked key.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn revoked_keys(&self) -> Result<Vec<Sha256>> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT key_sha256 FROM revoked_keys")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        rows.iter().map(|key| column("a key", &format!("{key:?}"))).collect()
    }

    /// The node that a revoked key was.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn node_of_revoked(&self, key: &Sha256) -> Result<Option<NodeName>> {
        let node: Option<String> = sqlx::query_scalar("SELECT node FROM revoked_keys WHERE key_sha256 = ?")
            .bind(key.hex())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        node.map(|node| column("a name", &format!("{node:?}"))).transpose()
    }
}
