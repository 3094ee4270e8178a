//! Nodes: what operators applied, and where each stands.

use super::{Doing, State, Unit, column, millis, operations, plain, time_of, to_column, vault::Vault};
use crate::domain::{enrolment::Entry, lifecycle::Record, plan::HeldPlan};
use protocol::{
    Code, Failure, Timestamp,
    claims::Claims,
    cluster::ClusterConfig,
    encoding::Sha256,
    failure::Result,
    names::{NodeName, RunId},
    report::{InstalledReport, ReadyReport},
    spec::NodeSpec,
    tpm::{ProvenTpm, Starts},
};
use std::net::IpAddr;

const READING: &str = "reading nodes";

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
    /// The key that it changes to: its own once it has used it.
    pub next_key: Option<Sha256>,
    /// When the last certificate of its key ends.
    pub certificate_ends: Option<Timestamp>,
    /// The enrolment that made the machine the node.
    pub enrolment: Option<i64>,
    /// The last plan.
    pub plan: Option<HeldPlan>,
    /// The report of its installation.
    pub installed: Option<InstalledReport>,
    /// The report of its membership.
    pub ready: Option<ReadyReport>,
    /// The TPM that it has proven last.
    pub tpm: Option<ProvenTpm>,
    /// What it told of the starts of its system.
    pub starts: Starts,
}

impl Node {
    /// A node that nothing is known of yet.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            spec: None,
            record: Record::default(),
            key: None,
            next_key: None,
            certificate_ends: None,
            enrolment: None,
            plan: None,
            installed: None,
            ready: None,
            tpm: None,
            starts: Starts::default(),
        }
    }

    /// Whether the key is its own now.
    ///
    /// # Errors
    /// `E-FORBIDDEN` where it is not.
    pub fn has_key(&self, key: &Sha256) -> Result<()> {
        if self.key == Some(*key) {
            return Ok(());
        }
        Err(Failure::new(Code::Forbidden, format!("node {} has another key now", self.name)))
    }

    /// What the operator wants of it.
    ///
    /// # Errors
    /// `E-NO-SPEC`.
    pub fn spec(&self) -> Result<&NodeSpec> {
        self.spec.as_ref().ok_or_else(|| Failure::new(Code::NoSpec, format!("node {} has no spec", self.name)))
    }

    /// The cluster that its spec names.
    ///
    /// # Errors
    /// `E-NO-SPEC` where it names none.
    pub fn cluster(&self) -> Result<&ClusterConfig> {
        self.spec.as_ref().and_then(|spec| spec.cluster.as_ref()).ok_or_else(|| {
            Failure::new(Code::NoSpec, format!("looking for the cluster of node {}: its spec names none", self.name))
                .with_remedy("give the spec a `cluster` and apply it")
        })
    }

    /// Whether its spec puts it into this cluster.
    pub fn is_in(&self, cluster: &str) -> bool {
        self.cluster().is_ok_and(|config| config.cluster_name == cluster)
    }

    /// What decisions need to know of it.
    pub(super) fn entry(self, asked: Option<(Claims, RunId)>, window: Option<Timestamp>) -> Entry {
        let (claims, asked_in) = asked.unzip();
        let spec = self.spec.as_ref();
        let cluster = spec.and_then(|spec| spec.cluster.as_ref());
        let address = cluster.and_then(|cluster| cluster.node_ip);
        Entry {
            address: address.and_then(|address| if let IpAddr::V4(address) = address { Some(address) } else { None }),
            founds: cluster.filter(|cluster| cluster.bootstrap).map(|cluster| cluster.cluster_name.clone()),
            matches: spec.map(|spec| spec.matches.clone()),
            admission: spec.and_then(|spec| spec.admission.clone()),
            profile: spec.map_or_else(protocol::spec::default_profile, |spec| spec.profile.clone()),
            name: self.name,
            claims,
            asked_in,
            window,
            key: self.key,
            next_key: self.next_key,
            certificate_ends: self.certificate_ends,
            tpm: self.tpm.map(|tpm| tpm.ek),
            record: self.record,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    spec: Option<String>,
    secrets: Option<String>,
    record: String,
    key_sha256: Option<String>,
    next_key_sha256: Option<String>,
    certificate_ends: Option<i64>,
    enrolment: Option<i64>,
    plan: Option<String>,
    installed: Option<String>,
    ready: Option<String>,
    tpm: Option<String>,
    starts: Option<String>,
}

impl Row {
    fn node(self, vault: &Vault) -> Result<Node> {
        let bad = |text: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("reading a node: {text}"));
        let name: NodeName = self.name.parse().map_err(|error| bad(&error))?;
        let mut spec: Option<NodeSpec> = self.spec.map(|text| column("a spec", &text)).transpose()?;
        if let (Some(spec), Some(sealed)) = (&mut spec, &self.secrets) {
            spec.secrets = vault.unseal(&name, sealed)?;
        }
        Ok(Node {
            name,
            spec,
            record: column("a record", &self.record)?,
            key: self.key_sha256.map(|text| text.parse()).transpose().map_err(|error| bad(&error))?,
            next_key: self.next_key_sha256.map(|text| text.parse()).transpose().map_err(|error| bad(&error))?,
            certificate_ends: self.certificate_ends.map(time_of),
            enrolment: self.enrolment,
            plan: self.plan.map(|text| column("a plan", &text)).transpose()?,
            installed: self.installed.map(|text| column("a report", &text)).transpose()?,
            ready: self.ready.map(|text| column("a report", &text)).transpose()?,
            tpm: self.tpm.map(|text| column("a TPM", &text)).transpose()?,
            starts: self.starts.map(|text| column("starts", &text)).transpose()?.unwrap_or_default(),
        })
    }
}

/// A node, with what its entry has from elsewhere.
#[derive(sqlx::FromRow)]
struct EntryRow {
    #[sqlx(flatten)]
    node: Row,
    claims: Option<String>,
    run: Option<String>,
    operation: Option<String>,
}

const ENTRY: &str = "SELECT nodes.*, claims, run, body AS operation FROM nodes \
     LEFT JOIN enrolments ON enrolments.id = enrolment LEFT JOIN operations ON operations.node = name WHERE name = ?";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT name, spec, secrets, record, key_sha256, next_key_sha256, certificate_ends, enrolment, plan, installed, ",
            "ready, tpm, starts FROM nodes ",
            $rest
        )
    };
}

const ONE: &str = select!("WHERE name = ?");
const BY_KEY: &str = select!("WHERE key_sha256 = ?");
const BY_NEXT_KEY: &str = select!("WHERE next_key_sha256 = ?");
const ALL: &str = select!("ORDER BY name");

fn none(name: &NodeName) -> Failure {
    Failure::new(Code::NotFound, format!("looking for node {name}: there is none"))
}

impl State {
    /// Every node, by name.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&self.readers).await.doing(READING)?;
        rows.into_iter().map(|row| row.node(&self.vault)).collect()
    }

    /// The node of this name.
    pub async fn node(&self, name: &str) -> Result<Option<Node>> {
        let row: Option<Row> = sqlx::query_as(ONE).bind(name).fetch_optional(&self.readers).await.doing(READING)?;
        row.map(|row| row.node(&self.vault)).transpose()
    }

    /// As [`State::node`], where it has to be there.
    ///
    /// # Errors
    /// `E-NOT-FOUND`.
    pub async fn known_node(&self, name: &NodeName) -> Result<Node> {
        self.node(name.as_str()).await?.ok_or_else(|| none(name))
    }

    /// The node that has this key.
    pub async fn node_by_key(&self, key: &Sha256) -> Result<Option<Node>> {
        let row: Option<Row> =
            sqlx::query_as(BY_KEY).bind(key.hex()).fetch_optional(&self.readers).await.doing(READING)?;
        row.map(|row| row.node(&self.vault)).transpose()
    }
}

impl Unit {
    /// The node of this name.
    ///
    /// # Errors
    /// `E-NOT-FOUND` where there is none.
    pub async fn node(&mut self, name: &NodeName) -> Result<Node> {
        self.find_node(name).await?.ok_or_else(|| none(name))
    }

    /// As [`Unit::node`], where there may be none.
    pub async fn find_node(&mut self, name: &NodeName) -> Result<Option<Node>> {
        let row: Option<Row> =
            sqlx::query_as(ONE).bind(name.as_str()).fetch_optional(&mut *self.connection).await.doing(READING)?;
        row.map(|row| row.node(&self.state.vault)).transpose()
    }

    /// What decisions need to know of the node, as the unit leaves it.
    pub(super) async fn entry(&mut self, name: &NodeName) -> Result<Option<Entry>> {
        let row: Option<EntryRow> =
            sqlx::query_as(ENTRY).bind(name.as_str()).fetch_optional(&mut *self.connection).await.doing(READING)?;
        let Some(EntryRow { node, claims, run, operation }) = row else { return Ok(None) };
        let asked = match (claims, run) {
            (Some(claims), Some(run)) => Some((column("claims", &claims)?, plain("a run", &run)?)),
            _ => None,
        };
        let window = operations::operation(operation)?.and_then(|operation| operation.window);
        Ok(Some(node.node(&self.state.vault)?.entry(asked, window)))
    }

    /// The node that changes to this key.
    pub async fn node_changing_to(&mut self, key: &Sha256) -> Result<Option<Node>> {
        let row: Option<Row> =
            sqlx::query_as(BY_NEXT_KEY).bind(key.hex()).fetch_optional(&mut *self.connection).await.doing(READING)?;
        row.map(|row| row.node(&self.state.vault)).transpose()
    }

    /// Whether some node has this key.
    pub async fn is_some_node_s(&mut self, key: &Sha256) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM nodes WHERE key_sha256 = ?)")
            .bind(key.hex())
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// What the last installation reported says nothing of the next.
    pub async fn forget_installation(&mut self, node: &mut Node) -> Result<()> {
        (node.plan, node.installed, node.ready) = (None, None, None);
        self.forget_memberships(&node.name).await?;
        self.forget_heard(&node.name).await
    }

    /// Writes the whole node.
    pub async fn save_node(&mut self, node: &Node) -> Result<()> {
        self.touch(&node.name);
        // The secrets of a spec are never beside the rest of it.
        let mut spec = node.spec.clone();
        let secrets = spec.as_mut().map(|spec| std::mem::take(&mut spec.secrets)).unwrap_or_default();
        let sealed = self.state.vault.seal(&node.name, &secrets)?;
        sqlx::query(
            "INSERT INTO nodes (name, spec, record, key_sha256, enrolment, plan, installed, ready, created, \
             next_key_sha256, certificate_ends, secrets, tpm, starts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
             ON CONFLICT (name) DO UPDATE SET spec = ?2, record = ?3, key_sha256 = ?4, enrolment = ?5, plan = ?6, \
             installed = ?7, ready = ?8, next_key_sha256 = ?10, certificate_ends = ?11, secrets = ?12, tpm = ?13, \
             starts = ?14",
        )
        .bind(node.name.as_str())
        .bind(spec.as_ref().map(|spec| to_column("a spec", spec)).transpose()?)
        .bind(to_column("a record", &node.record)?)
        .bind(node.key.map(|key| key.hex()))
        .bind(node.enrolment)
        .bind(node.plan.as_ref().map(|plan| to_column("a plan", plan)).transpose()?)
        .bind(node.installed.as_ref().map(|report| to_column("a report", report)).transpose()?)
        .bind(node.ready.as_ref().map(|report| to_column("a report", report)).transpose()?)
        .bind(millis(self.now))
        .bind(node.next_key.map(|key| key.hex()))
        .bind(node.certificate_ends.map(millis))
        .bind(sealed)
        .bind(node.tpm.as_ref().map(|tpm| to_column("a TPM", tpm)).transpose()?)
        .bind(to_column("starts", &node.starts)?)
        .execute(&mut *self.connection)
        .await
        .doing("writing a node")?;
        Ok(())
    }
}
