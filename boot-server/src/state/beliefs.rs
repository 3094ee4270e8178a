//! What nodes believe, and the certificates that nobody is to believe.

use super::{Doing, State, Unit, millis, plain, time_of};
use protocol::{
    Code, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
    names::NodeName,
    trust::Believed,
};

const READING: &str = "reading what nodes believe";

/// What a node told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief {
    /// The node.
    pub node: NodeName,
    /// The key by which it told.
    pub key: Sha256,
    /// What it believes.
    pub believed: Believed,
}

/// A certificate that ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number, hex.
    pub serial: String,
    /// When its key was revoked.
    pub since: Timestamp,
}

impl Unit {
    /// Keeps what the node believes, in the place of what it told before.
    pub async fn believes(&mut self, belief: &Belief) -> Result<()> {
        let believed = serde_json::to_string(&belief.believed).or_fail(Code::Internal, || READING)?;
        sqlx::query("INSERT OR REPLACE INTO beliefs (node, key_sha256, believed, time) VALUES (?, ?, ?, ?)")
            .bind(belief.node.as_str())
            .bind(belief.key.hex())
            .bind(believed)
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("keeping what a node believes")?;
        Ok(())
    }

    /// Whose certificate this is, where it is a node's.
    pub async fn node_of_certificate(&mut self, serial: &str) -> Result<Option<NodeName>> {
        let node: Option<String> = sqlx::query_scalar("SELECT node FROM certificates WHERE serial = ?")
            .bind(serial)
            .fetch_optional(&mut *self.connection)
            .await
            .doing("looking for a certificate")?;
        node.map(|name| plain("a name", &name)).transpose()
    }

    /// A certificate that is no node's is revoked: `false` where it was before.
    pub async fn revoke_serial(&mut self, serial: &str, ends: Timestamp) -> Result<bool> {
        let kept = sqlx::query("INSERT OR IGNORE INTO revoked_serials (serial, time, ends) VALUES (?, ?, ?)")
            .bind(serial)
            .bind(millis(self.now))
            .bind(millis(ends))
            .execute(&mut *self.connection)
            .await
            .doing("revoking a certificate")?;
        Ok(kept.rows_affected() > 0)
    }

    /// Certificates of the key that have not ended.
    pub async fn certificates_of(&mut self, key: &Sha256) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM certificates WHERE key_sha256 = ? AND not_after > ?")
            .bind(key.hex())
            .bind(millis(self.now))
            .fetch_one(&mut *self.connection)
            .await
            .doing("counting certificates")
    }
}

impl State {
    /// Whether the node has told exactly this already.
    pub async fn has_told(&self, belief: &Belief) -> Result<bool> {
        let believed = serde_json::to_string(&belief.believed).or_fail(Code::Internal, || READING)?;
        let query = "SELECT EXISTS (SELECT 1 FROM beliefs WHERE node = ? AND key_sha256 = ? AND believed = ?)";
        sqlx::query_scalar(query)
            .bind(belief.node.as_str())
            .bind(belief.key.hex())
            .bind(believed)
            .fetch_one(&self.readers)
            .await
            .doing(READING)
    }

    /// What every node told last.
    pub async fn beliefs(&self) -> Result<Vec<Belief>> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT node, key_sha256, believed FROM beliefs ORDER BY node")
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        let belief = |(node, key, believed): (String, String, String)| {
            Ok(Belief {
                node: plain("a name", &node)?,
                key: plain("a key", &key)?,
                believed: serde_json::from_str(&believed).or_fail(Code::Internal, || READING)?,
            })
        };
        rows.into_iter().map(belief).collect()
    }

    /// Certificates that were revoked, or of revoked keys, and have not ended by themselves.
    pub async fn revoked_certificates(&self, now: Timestamp) -> Result<Vec<Revoked>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT serial, time FROM certificates JOIN revoked_keys USING (key_sha256) WHERE not_after > ?1 \
             UNION SELECT serial, time FROM revoked_serials WHERE ends > ?1 ORDER BY serial",
        )
        .bind(millis(now))
        .fetch_all(&self.readers)
        .await
        .doing("reading revoked certificates")?;
        Ok(rows.into_iter().map(|(serial, time)| Revoked { serial, since: time_of(time) }).collect())
    }
}
