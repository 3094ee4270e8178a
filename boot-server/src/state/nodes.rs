//! Nodes: what operators applied, and where each stands.

use super::{State, Write, column, millis, to_column, wrong};
use crate::lifecycle::Record;
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    report::{InstalledReport, ReadyReport},
    spec::NodeSpec,
};
use serde::{Deserialize, Serialize};

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What the operator wants of it.
    pub spec: Option<NodeSpec>,
    /// Where it stands.
    pub record: Record,
    /// SPKI hash of the machine that is the node.
    pub key: Option<Sha256>,
    /// The enrolment that made the machine the node.
    pub enrolment: Option<i64>,
    /// The last plan.
    pub plan: Option<HeldPlan>,
    /// The report of its installation.
    pub installed: Option<InstalledReport>,
    /// The report of its membership.
    pub ready: Option<ReadyReport>,
}

/// A plan and whether an admin has agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPlan {
    /// The exact disks and actions.
    pub lines: Vec<String>,
    /// The generation it would use up.
    pub generation: u64,
    /// It waits for an admin.
    pub held: bool,
    /// An admin has agreed to it.
    #[serde(default)]
    pub approved: bool,
}

impl HeldPlan {
    /// What an approval is bound to: every line of it, and its generation.
    pub fn id(&self) -> Sha256 {
        let lines = self.lines.iter().map(|line| format!("{} {line}\n", line.len()));
        let text: String = std::iter::once(format!("plan/1 {}\n", self.generation)).chain(lines).collect();
        Sha256::of(text.as_bytes())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    spec: Option<String>,
    record: String,
    key_sha256: Option<String>,
    enrolment: Option<i64>,
    plan: Option<String>,
    installed: Option<String>,
    ready: Option<String>,
}

impl Row {
    fn node(self) -> Result<Node> {
        let bad = |text: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("reading a node: {text}"));
        Ok(Node {
            name: self.name.parse().map_err(|error| bad(&error))?,
            spec: self.spec.map(|text| column("a spec", &text)).transpose()?,
            record: column("a record", &self.record)?,
            key: self.key_sha256.map(|text| text.parse()).transpose().map_err(|error| bad(&error))?,
            enrolment: self.enrolment,
            plan: self.plan.map(|text| column("a plan", &text)).transpose()?,
            installed: self.installed.map(|text| column("a report", &text)).transpose()?,
            ready: self.ready.map(|text| column("a report", &text)).transpose()?,
        })
    }
}

const ONE: &str = "SELECT name, spec, record, key_sha256, enrolment, plan, installed, ready FROM nodes WHERE name = ?";
const BY_KEY: &str =
    "SELECT name, spec, record, key_sha256, enrolment, plan, installed, ready FROM nodes WHERE key_sha256 = ?";
const ALL: &str = "SELECT name, spec, record, key_sha256, enrolment, plan, installed, ready FROM nodes ORDER BY name";

fn unread(error: &sqlx::Error) -> Failure {
    wrong("reading nodes", error)
}

impl State {
    /// Every node, by name.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&self.readers).await.map_err(|error| unread(&error))?;
        rows.into_iter().map(Row::node).collect()
    }

    /// The node of this name.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn node(&self, name: &str) -> Result<Option<Node>> {
        let row: Option<Row> =
            sqlx::query_as(ONE).bind(name).fetch_optional(&self.readers).await.map_err(|error| unread(&error))?;
        row.map(Row::node).transpose()
    }

    /// The node that has this key.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn node_by_key(&self, key: &Sha256) -> Result<Option<Node>> {
        let row: Option<Row> = sqlx::query_as(BY_KEY)
            .bind(key.hex())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| unread(&error))?;
        row.map(Row::node).transpose()
    }
}

/// The node of this name, inside a write.
///
/// # Errors
/// `E-SYSTEM`; `E-NOT-FOUND` where there is none.
pub async fn load(write: &mut Write, name: &NodeName) -> Result<Node> {
    find(write, name)
        .await?
        .ok_or_else(|| Failure::new(Code::NotFound, format!("looking for node {name}: there is none")))
}

/// As [`load`], where there may be none.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn find(write: &mut Write, name: &NodeName) -> Result<Option<Node>> {
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(name.as_str()).fetch_optional(&mut **write).await.map_err(|error| unread(&error))?;
    row.map(Row::node).transpose()
}

/// Writes the whole node.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn save(write: &mut Write, node: &Node, now: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO nodes (name, spec, record, key_sha256, enrolment, plan, installed, ready, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (name) DO UPDATE SET spec = ?2, record = ?3, key_sha256 = ?4, enrolment = ?5, plan = ?6, \
         installed = ?7, ready = ?8",
    )
    .bind(node.name.as_str())
    .bind(node.spec.as_ref().map(|spec| to_column("a spec", spec)).transpose()?)
    .bind(to_column("a record", &node.record)?)
    .bind(node.key.map(|key| key.hex()))
    .bind(node.enrolment)
    .bind(node.plan.as_ref().map(|plan| to_column("a plan", plan)).transpose()?)
    .bind(node.installed.as_ref().map(|report| to_column("a report", report)).transpose()?)
    .bind(node.ready.as_ref().map(|report| to_column("a report", report)).transpose()?)
    .bind(millis(now))
    .execute(&mut **write)
    .await
    .map_err(|error| wrong("writing a node", &error))?;
    Ok(())
}
