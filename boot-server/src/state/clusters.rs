//! What the arbiter remembers, and the reports of each membership.

use super::{Doing, State, Unit, column, millis, plain, to_column};
use crate::domain::arbiter::Cluster;
use protocol::{encoding::Sha256, failure::Result, names::NodeName, report::ReadyReport, service::Service};

const READING: &str = "reading clusters";

impl Unit {
    /// What is remembered of a service of a cluster.
    pub async fn cluster(&mut self, cluster: &str, service: Service) -> Result<Cluster> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM clusters WHERE cluster = ? AND service = ?")
            .bind(cluster)
            .bind(service.name())
            .fetch_optional(&mut *self.connection)
            .await
            .doing(READING)?;
        body.map_or_else(|| Ok(Cluster::default()), |body| column("a cluster", &body))
    }

    /// Keeps it.
    pub async fn save_cluster(&mut self, cluster: &str, service: Service, body: &Cluster) -> Result<()> {
        self.after.changed = true;
        sqlx::query("INSERT OR REPLACE INTO clusters (cluster, service, body) VALUES (?, ?, ?)")
            .bind(cluster)
            .bind(service.name())
            .bind(to_column("a cluster", body)?)
            .execute(&mut *self.connection)
            .await
            .doing("writing a cluster")?;
        Ok(())
    }

    /// The services that are remembered of the cluster.
    pub async fn services_of(&mut self, cluster: &str) -> Result<Vec<(Service, Cluster)>> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT service, body FROM clusters WHERE cluster = ? ORDER BY service")
                .bind(cluster)
                .fetch_all(&mut *self.connection)
                .await
                .doing(READING)?;
        let parse =
            |(service, body): (String, String)| Ok((plain("a service", &service)?, column("a cluster", &body)?));
        rows.into_iter().map(parse).collect()
    }

    /// Forgets every service of the cluster.
    pub async fn forget_cluster(&mut self, cluster: &str) -> Result<()> {
        self.after.changed = true;
        sqlx::query("DELETE FROM clusters WHERE cluster = ?")
            .bind(cluster)
            .execute(&mut *self.connection)
            .await
            .doing("forgetting a cluster")?;
        Ok(())
    }

    /// Which generation of the node, and which boot of it, reported last to be a member of the service.
    pub async fn member_since(&mut self, node: &NodeName, service: Service) -> Result<Option<(u64, Option<Sha256>)>> {
        let report: Option<String> =
            sqlx::query_scalar("SELECT report FROM memberships WHERE node = ? AND service = ?")
                .bind(node.as_str())
                .bind(service.name())
                .fetch_optional(&mut *self.connection)
                .await
                .doing("reading memberships")?;
        let report: Option<ReadyReport> = report.map(|report| column("a report", &report)).transpose()?;
        Ok(report.map(|report| (report.generation, report.boot_id)))
    }

    /// Keeps the report of a membership in the place of an earlier one.
    pub async fn add_membership(&mut self, node: &NodeName, service: Service, report: &ReadyReport) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO memberships (node, service, report, received) VALUES (?, ?, ?, ?)")
            .bind(node.as_str())
            .bind(service.name())
            .bind(to_column("a report", report)?)
            .bind(millis(self.now))
            .execute(&mut *self.connection)
            .await
            .doing("writing a membership")?;
        Ok(())
    }

    /// Forgets what a node was a member of.
    pub async fn forget_memberships(&mut self, node: &NodeName) -> Result<()> {
        sqlx::query("DELETE FROM memberships WHERE node = ?")
            .bind(node.as_str())
            .execute(&mut *self.connection)
            .await
            .doing("forgetting memberships")?;
        Ok(())
    }
}

impl State {
    /// Every service of every cluster: `(cluster, service, memory)`.
    pub async fn clusters(&self) -> Result<Vec<(String, Service, Cluster)>> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT cluster, service, body FROM clusters ORDER BY cluster, service")
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        let parse = |(cluster, service, body): (String, String, String)| {
            Ok((cluster, plain("a service", &service)?, column("a cluster", &body)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Every membership: `(node, report)`, in the order of their coming.
    pub async fn memberships(&self) -> Result<Vec<(NodeName, ReadyReport)>> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT node, report FROM memberships ORDER BY received")
            .fetch_all(&self.readers)
            .await
            .doing(READING)?;
        let parse = |(node, report): (String, String)| Ok((plain("a name", &node)?, column("a report", &report)?));
        rows.into_iter().map(parse).collect()
    }

    /// The memberships of one node, in the order of their coming.
    pub async fn memberships_of(&self, node: &NodeName) -> Result<Vec<ReadyReport>> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT report FROM memberships WHERE node = ? ORDER BY received")
            .bind(node.as_str())
            .fetch_all(&self.readers)
            .await
            .doing(READING)?;
        rows.iter().map(|report| column("a report", report)).collect()
    }
}
