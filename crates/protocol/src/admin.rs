//! What the admin's command line and page read.

use crate::{
    Failure, Timestamp,
    audit::AuditEntry,
    boot_trust::BootTrust,
    claims::Claims,
    encoding::Sha256,
    inventory::Inventory,
    measured::Log,
    names::{NodeName, RunId, StorePath},
    report::{HealthReport, ReadyReport},
    spec::NodeSpec,
    step::Step,
    telemetry::{Event, LogLine, Progress},
    tpm::{Starts, TpmState},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a node stands in its life (docs/design.md section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum NodeState {
    /// An operator applied it; no machine has been seen yet.
    Expected,
    Discovered,
    Pending,
    Approved,
    Installing,
    Installed,
    Joining,
    Ready,
    Failed,
    Rejected,
    Conflict,
    Revoked,
    Retired,
}

impl NodeState {
    /// Every state, in the order of the way.
    pub const ALL: [NodeState; 13] = [
        NodeState::Expected,
        NodeState::Discovered,
        NodeState::Pending,
        NodeState::Approved,
        NodeState::Installing,
        NodeState::Installed,
        NodeState::Joining,
        NodeState::Ready,
        NodeState::Failed,
        NodeState::Rejected,
        NodeState::Conflict,
        NodeState::Revoked,
        NodeState::Retired,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            NodeState::Expected => "expected",
            NodeState::Discovered => "discovered",
            NodeState::Pending => "pending",
            NodeState::Approved => "approved",
            NodeState::Installing => "installing",
            NodeState::Installed => "installed",
            NodeState::Joining => "joining",
            NodeState::Ready => "ready",
            NodeState::Failed => "failed",
            NodeState::Rejected => "rejected",
            NodeState::Conflict => "conflict",
            NodeState::Revoked => "revoked",
            NodeState::Retired => "retired",
        }
    }
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One line of `get nodes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// The node's name, or `machine-...` while the machine is none of the nodes.
    pub name: String,
    /// Where it stands.
    pub state: NodeState,
    /// The step, while one is under way.
    pub step: Option<Step>,
    /// How far the step is.
    pub progress: Option<Progress>,
    /// The enrolment code, while it waits for approval.
    pub code: Option<String>,
    /// What it waits for.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// The generation it may install or has installed.
    pub generation: u64,
    /// Seconds since anything was heard of it.
    pub silent_seconds: Option<u64>,
    /// The last failure of the current run.
    pub failure: Option<Failure>,
    /// Address it last spoke from.
    pub address: Option<String>,
    /// How it is, once it runs its services.
    #[serde(default)]
    pub health: Option<NodeHealth>,
    /// The system that runs on it, as far as it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<StorePath>,
    /// When the last certificate of its key ends.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
}

/// Something that a node or a machine waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which thing.
    pub need: Need,
    /// For people, behind "needs".
    pub text: String,
}

impl Missing {
    /// This thing, in these words.
    pub fn new(need: Need, text: impl Into<String>) -> Self {
        Missing { need, text: text.into() }
    }
}

/// What a node or a machine may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// One NodeSpec that matches the machine.
    NodeSpec,
    /// An admin who compares and types its code.
    Code,
    /// Its TPM proven, or one that is known.
    Tpm,
    /// A one-time token.
    Token,
    /// An admin who decides which machine the node is.
    Decision,
    /// An admin who agrees to its plan.
    PlanApproval,
    /// Its machine to boot from the network.
    NetworkBoot,
    /// An admin who lets it out of quarantine.
    Release,
    /// A certificate that has not ended.
    Certificate,
    /// Its turn to enter a cluster.
    Turn,
    /// A reinstallation, for another system is wanted than the one that runs.
    Reinstall,
}

/// How a node is that runs its services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeHealth {
    /// In one word.
    pub condition: Condition,
    /// Seconds since its last word.
    pub heard_seconds: u64,
    /// Its last report.
    #[serde(default)]
    pub report: Option<HealthReport>,
}

/// How a node is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It has not reported its health yet.
    Unknown,
    /// Every service is healthy.
    Healthy,
    /// Some service is not.
    Unhealthy,
    /// It was not heard for too long.
    Silent,
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Condition::Unknown => "unknown",
            Condition::Healthy => "healthy",
            Condition::Unhealthy => "unhealthy",
            Condition::Silent => "silent",
        })
    }
}

/// `describe node NAME -o json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// As in the list.
    pub summary: NodeSummary,
    /// What the operator applied, secrets left out.
    pub spec: Option<NodeSpec>,
    /// What the machine said of itself.
    pub claims: Option<Claims>,
    /// What the agent read.
    pub inventory: Option<Inventory>,
    /// What was verified of the machine's boot when it enrolled.
    #[serde(default)]
    pub boot_trust: BootTrust,
    /// What is known of the machine's TPM.
    #[serde(default)]
    pub tpm: TpmState,
    /// What was measured when the node's system started from its disk.
    #[serde(default)]
    pub starts: Starts,
    /// The run that is shown.
    pub run: Option<RunId>,
    /// The last plan.
    #[serde(default)]
    pub plan: Vec<String>,
    /// Which of its lines, from 0, say that something is destroyed; a server that does not tell means any of them.
    #[serde(default)]
    pub destroys: Option<BTreeSet<usize>>,
    /// Which plan that is; there while it waits for an admin.
    #[serde(default)]
    pub held_plan: Option<Sha256>,
    /// Boot order as read back after the installation.
    #[serde(default)]
    pub boot_order: Vec<String>,
    /// Peak resident memory of the agent, bytes.
    #[serde(default)]
    pub agent_peak_rss: u64,
    /// Steps of the run that installs and of those after it.
    #[serde(default)]
    pub events: Vec<ServerEvent>,
    /// Who decided what about it.
    #[serde(default)]
    pub history: Vec<AuditEntry>,
    /// The last report of a membership.
    #[serde(default)]
    pub ready: Option<ReadyReport>,
    /// The report of each service that the node is a member of.
    #[serde(default)]
    pub memberships: Vec<ReadyReport>,
}

impl NodeDetail {
    /// The event log of the boot with which the machine enrolled, where it has proven its TPM then.
    pub fn proven_log(&self) -> Option<&Log> {
        match &self.tpm {
            // Of one that it showed at another time, what was measured then says nothing of now.
            TpmState::Proven(proven) if self.boot_trust == BootTrust::Measured => Some(&proven.log),
            _ => None,
        }
    }

    /// The lines of the plan, each with whether it says that something is destroyed.
    pub fn marked_plan(&self) -> impl Iterator<Item = (&str, bool)> {
        let destroys = |line| self.destroys.as_ref().is_none_or(|lines| lines.contains(&line));
        self.plan.iter().enumerate().map(move |(line, text)| (text.as_str(), destroys(line)))
    }
}

/// An event or a log line, in the order in which they arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JournalEntry {
    /// A step began, ended or failed.
    Event(ServerEvent),
    /// A log line.
    Line(ServerLine),
}

impl JournalEntry {
    /// Grows over all runs and nodes; the id of a server-sent event.
    pub fn id(&self) -> i64 {
        match self {
            JournalEntry::Event(event) => event.id,
            JournalEntry::Line(line) => line.id,
        }
    }
}

/// What an operator applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The nodes; others stay as they are.
    pub nodes: Vec<NodeSpec>,
    /// A node of these that is retired is expected anew, as if it had never been.
    #[serde(default)]
    pub reopen: bool,
}

/// What became of one applied node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its name.
    pub name: NodeName,
    /// `created`, `configured`, `reopened` or `unchanged`.
    pub result: String,
    /// What it does not do, and what to do about that, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `approve NAME`: agree to a plan that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovePlan {
    /// The plan that the admin was shown: [`NodeDetail::held_plan`].
    pub plan: Sha256,
}

/// Answer to [`ApproveRequest`] and [`ApprovePlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The node that the machine is now.
    pub node: NodeName,
}

/// An event with the server's own clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerEvent {
    /// Grows over all runs and nodes; the id of a server-sent event.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// The server's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub received: Timestamp,
    /// What the agent sent.
    pub event: Event,
}

/// A log line with the server's own number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerLine {
    /// Grows over all runs and nodes; the id of a server-sent event.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// What the agent sent.
    pub line: LogLine,
}

/// Approves a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The code that the machine shows.
    pub code: String,
    /// The node it becomes, where no spec matches its claims.
    #[serde(default)]
    pub node: Option<NodeName>,
}

/// A node whose key was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// The node.
    pub node: NodeName,
    /// SPKI hash of the key that it had.
    pub key: Sha256,
}

/// A node whose next generation is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reinstalling {
    /// The node.
    pub node: NodeName,
    /// The generation that may be installed now.
    pub generation: u64,
    /// What was done to its memberships.
    #[serde(default)]
    pub steps: Vec<String>,
}
