//! What a node reports at the turning points: its plan, installed, ready.

use crate::{encoding::Sha256, names::RunId};
use serde::{Deserialize, Serialize};

/// The plan, before the first byte is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The run.
    pub run: RunId,
    /// The generation it would use up.
    pub generation: u64,
    /// The exact disks and actions, one line each.
    pub lines: Vec<String>,
    /// An interrupted installation of this generation is carried on.
    pub resumes: bool,
    /// The manifest says that an admin approves it first: only so may it destroy what no wipe policy names.
    #[serde(default)]
    pub hold: bool,
}

/// Whether the plan may be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanDecision {
    /// Go on.
    Proceed,
    /// Ask again in a while: an admin decides.
    Hold,
}

/// Answer to [`PlanReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReply {
    /// Whether the plan may be carried out.
    pub decision: PlanDecision,
}

/// The installation is complete and has been read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstalledReport {
    /// The run.
    pub run: RunId,
    /// The generation that is used up.
    pub generation: u64,
    /// UEFI boot order as read back, descriptions in order; empty on BIOS.
    #[serde(default)]
    pub boot_order: Vec<String>,
    /// Boot order as found before.
    #[serde(default)]
    pub boot_order_before: Vec<String>,
    /// Store paths fetched in this run.
    pub paths_fetched: u64,
    /// Store paths that were there already.
    pub paths_present: u64,
    /// NAR bytes fetched in this run.
    pub nar_bytes: u64,
    /// Peak resident memory of the agent, bytes.
    pub agent_peak_rss: u64,
}

/// Answer to [`InstalledReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledReply {
    /// The generation is recorded as used up.
    pub recorded: bool,
}

/// The node is a healthy member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadyReport {
    /// The run that installed, from the marker.
    pub run: RunId,
    /// The generation on the disk.
    pub generation: u64,
    /// `etcd`, `chainfire` ...
    pub service: String,
    /// Bootstrapped, joined, or was a member already.
    pub outcome: JoinOutcome,
    /// Milliseconds from the start of the join to a healthy membership.
    pub join_ms: u64,
    /// Members of the cluster as seen by this node.
    pub members: Vec<String>,
    /// Release of the service.
    #[serde(default)]
    pub service_version: Option<String>,
    /// SHA-256 of the boot id, to tell one boot from another.
    #[serde(default)]
    pub boot_id: Option<Sha256>,
}

/// How a node became a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum JoinOutcome {
    Bootstrapped,
    Joined,
    AlreadyMember,
}
