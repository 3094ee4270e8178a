//! What the arbiter remembers, and the reports of each membership.

use super::{State, Write, column, millis, to_column, wrong};
use crate::arbiter::Cluster;
use protocol::{Failure, Timestamp, failure::Result, names::NodeName, report::ReadyReport, service::Service};

fn unread(error: &sqlx::Error) -> Failure {
    wrong("reading clusters", error)
}

/// What is remembered of a service of a cluster, inside a write.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn load(write: &mut Write, cluster: &str, service: Service) -> Result<Cluster> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM clusters WHERE cluster = ? AND service = ?")
        .bind(cluster)
        .bind(service.name())
        .fetch_optional(&mut **write)
        .await
        .map_err(|error| unread(&error))?;
    body.map_or_else(|| Ok(Cluster::default()), |body| column("a cluster", &body))
}

/// Writes it.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn save(write: &mut Write, cluster: &str, service: Service, body: &Cluster) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO clusters (cluster, service, body) VALUES (?, ?, ?)")
        .bind(cluster)
        .bind(service.name())
        .bind(to_column("a cluster", body)?)
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing a cluster", &error))?;
    Ok(())
}

/// Forgets every service of the cluster; how many there were.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn forget(write: &mut Write, cluster: &str) -> Result<u64> {
    let done = sqlx::query("DELETE FROM clusters WHERE cluster = ?")
        .bind(cluster)
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("forgetting a cluster", &error))?;
    Ok(done.rows_affected())
}

/// Keeps the report of a membership in the place of an earlier one.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn add_membership(
    write: &mut Write,
    node: &NodeName,
    service: Service,
    report: &ReadyReport,
    now: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO memberships (node, service, report, received) VALUES (?, ?, ?, ?)")
        .bind(node.as_str())
        .bind(service.name())
        .bind(to_column("a report", report)?)
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("writing a membership", &error))?;
    Ok(())
}

/// Forgets what a node was a member of.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn forget_memberships(write: &mut Write, node: &NodeName) -> Result<()> {
    sqlx::query("DELETE FROM memberships WHERE node = ?")
        .bind(node.as_str())
        .execute(&mut **write)
        .await
        .map_err(|error| wrong("forgetting memberships", &error))?;
    Ok(())
}

impl State {
    /// Every service of every cluster: `(cluster, service, memory)`.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn clusters(&self) -> Result<Vec<(String, Service, Cluster)>> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT cluster, service, body FROM clusters ORDER BY cluster, service")
                .fetch_all(&self.readers)
                .await
                .map_err(|error| unread(&error))?;
        let parse = |(cluster, service, body): (String, String, String)| {
            Ok((cluster, column("a service", &format!("{service:?}"))?, column("a cluster", &body)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Every membership: `(node, report)`, in the order of their coming.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn memberships(&self) -> Result<Vec<(NodeName, ReadyReport)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT node, report FROM memberships ORDER BY received")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        let parse = |(node, report): (String, String)| {
            Ok((column("a name", &format!("{node:?}"))?, column("a report", &report)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// The memberships of one node, in the order of their coming.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn memberships_of(&self, node: &NodeName) -> Result<Vec<ReadyReport>> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT report FROM memberships WHERE node = ? ORDER BY received")
            .bind(node.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        rows.iter().map(|report| column("a report", report)).collect()
    }
}
