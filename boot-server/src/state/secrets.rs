//! Secrets of nodes that are kept apart from their specs, sealed.

use super::{Doing, State, Unit, column, millis, time_of, to_column};
use protocol::{
    failure::Result,
    names::NodeName,
    secrets::{Origin, SecretSummary},
    spec::FileSpec,
};
use std::collections::HashSet;

/// Secrets of one node.
const MOST_OF_NODE: i64 = 64;
/// Secrets of all nodes, also of those that are not there yet.
const MOST: i64 = 20_000;
const READING: &str = "reading the secrets of a node";

#[derive(sqlx::FromRow)]
struct Row {
    path: String,
    mode: String,
    origin: String,
    actor: String,
    time: i64,
}

impl Row {
    fn summary(self) -> Result<SecretSummary> {
        let origin: Origin = column("the origin of a secret", &self.origin)?;
        let (by, set) = (Some(self.actor), Some(time_of(self.time)));
        Ok(SecretSummary { path: self.path, mode: self.mode, origin, by, set })
    }
}

impl State {
    /// What is known of the secrets of a node, by path.
    pub async fn secrets(&self, node: &NodeName) -> Result<Vec<SecretSummary>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT path, mode, origin, actor, time FROM secrets WHERE node = ? ORDER BY path")
                .bind(node.as_str())
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        rows.into_iter().map(Row::summary).collect()
    }

    /// The paths of the secrets of a node.
    pub async fn secret_paths(&self, node: &NodeName) -> Result<HashSet<String>> {
        Ok(self.secrets(node).await?.into_iter().map(|secret| secret.path).collect())
    }
}

impl Unit {
    /// What is known of the secret at this path.
    pub async fn secret(&mut self, node: &NodeName, path: &str) -> Result<Option<SecretSummary>> {
        let row: Option<Row> =
            sqlx::query_as("SELECT path, mode, origin, actor, time FROM secrets WHERE node = ? AND path = ?")
                .bind(node.as_str())
                .bind(path)
                .fetch_optional(&mut *self.connection)
                .await
                .doing(READING)?;
        row.map(Row::summary).transpose()
    }

    /// Seals and keeps a secret, in the place of what was at its path; `false` where there are too many.
    pub async fn set_secret(
        &mut self,
        node: &NodeName,
        secret: &FileSpec,
        origin: Origin,
        actor: &str,
    ) -> Result<bool> {
        let sealed = self.state.vault.seal(node, std::slice::from_ref(secret))?;
        let kept = sqlx::query(
            "INSERT INTO secrets (node, path, mode, sealed, origin, actor, time) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
             WHERE EXISTS (SELECT 1 FROM secrets WHERE node = ?1 AND path = ?2) \
             OR ((SELECT count(*) FROM secrets WHERE node = ?1) < ?8 AND (SELECT count(*) FROM secrets) < ?9) \
             ON CONFLICT (node, path) DO UPDATE SET mode = ?3, sealed = ?4, origin = ?5, actor = ?6, time = ?7",
        )
        .bind(node.as_str())
        .bind(&secret.path)
        .bind(&secret.mode)
        .bind(sealed)
        .bind(to_column("the origin of a secret", &origin)?)
        .bind(actor)
        .bind(millis(self.now))
        .bind(MOST_OF_NODE)
        .bind(MOST)
        .execute(&mut *self.connection)
        .await
        .doing("keeping a secret")?;
        Ok(kept.rows_affected() > 0)
    }

    /// Forgets the secret at this path; what is known of it, where there was one.
    pub async fn delete_secret(&mut self, node: &NodeName, path: &str) -> Result<Option<SecretSummary>> {
        let was = self.secret(node, path).await?;
        let gone = sqlx::query("DELETE FROM secrets WHERE node = ? AND path = ?");
        let gone = gone.bind(node.as_str()).bind(path).execute(&mut *self.connection).await;
        gone.doing("deleting a secret")?;
        Ok(was)
    }

    /// Whether the node has secrets apart from its spec.
    pub async fn has_secrets(&mut self, node: &NodeName) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM secrets WHERE node = ?)")
            .bind(node.as_str())
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// The secrets of a node, open.
    pub async fn open_secrets(&mut self, node: &NodeName) -> Result<Vec<FileSpec>> {
        let sealed: Vec<String> = sqlx::query_scalar("SELECT sealed FROM secrets WHERE node = ? ORDER BY path")
            .bind(node.as_str())
            .fetch_all(&mut *self.connection)
            .await
            .doing(READING)?;
        let vault = self.state.vault.clone();
        let mut secrets = Vec::new();
        for sealed in &sealed {
            secrets.extend(vault.unseal(node, sealed)?);
        }
        Ok(secrets)
    }

    /// Seals every secret there is with the first key of the vault; how many nodes have some.
    pub async fn seal_anew(&mut self) -> Result<usize> {
        // Those set apart by path, and those of the specs.
        const PLACES: [(&str, &str); 2] = [
            ("SELECT rowid, node, sealed FROM secrets", "UPDATE secrets SET sealed = ? WHERE rowid = ?"),
            (
                "SELECT rowid, name, secrets FROM nodes WHERE secrets IS NOT NULL",
                "UPDATE nodes SET secrets = ? WHERE rowid = ?",
            ),
        ];
        let vault = self.state.vault.clone();
        let mut nodes = HashSet::new();
        for (read, write) in PLACES {
            let rows: Vec<(i64, String, String)> =
                sqlx::query_as(read).fetch_all(&mut *self.connection).await.doing(READING)?;
            for (row, node, sealed) in rows {
                let name: NodeName = super::plain("a node", &node)?;
                let again = vault.seal(&name, &vault.unseal(&name, &sealed)?)?;
                sqlx::query(write)
                    .bind(again)
                    .bind(row)
                    .execute(&mut *self.connection)
                    .await
                    .doing("sealing secrets anew")?;
                nodes.insert(node);
            }
        }
        Ok(nodes.len())
    }
}
