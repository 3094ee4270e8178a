//! What a node reports at the turning points: its plan, installed, ready.

use crate::{
    Failure, Timestamp,
    encoding::Sha256,
    names::{RunId, StorePath},
    service::Service,
};
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
    /// What becomes of each disk. An agent of an earlier release does not say: its plan may destroy anything.
    #[serde(default)]
    pub disks: Option<Vec<PlannedDisk>>,
}

/// What becomes of one disk of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    /// disko's name.
    pub name: String,
    /// Which of the plan's lines says so, from 0.
    pub line: usize,
    /// What is done with it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What is done with a disk, and what is lost by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// Everything is made anew.
    Make {
        /// What stood on it.
        loses: Lost,
    },
    /// What holds file systems is opened; those that are not to be kept are made anew.
    KeepInPart {
        /// What stood in those.
        loses: Lost,
    },
    /// Everything is there: it is opened and mounted.
    Keep,
    /// It is wiped and left so: its node is retired.
    Wipe {
        /// What stood on it.
        loses: Lost,
    },
}

/// What is lost on a disk, by whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lost {
    /// Nothing.
    Nothing,
    /// What an installation of this node made.
    Own,
    /// What somebody else made, or nobody knows who.
    Foreign,
}

impl Fate {
    /// What is lost by it.
    pub fn loses(self) -> Lost {
        match self {
            Fate::Make { loses } | Fate::KeepInPart { loses } | Fate::Wipe { loses } => loses,
            Fate::Keep => Lost::Nothing,
        }
    }

    /// People are warned of it: what is lost is not only what an installation makes anew.
    pub fn destroys(self) -> bool {
        matches!(self, Fate::Wipe { .. }) || self.loses() == Lost::Foreign
    }
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

/// `POST /v1/node/wiped`: the disks of a node that is to be retired carry nothing of it any more; answers `{}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipedReport {
    /// The run.
    pub run: RunId,
    /// The generation that is used up.
    pub generation: u64,
}

/// Answer to [`InstalledReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledReply {
    /// The generation is recorded as used up.
    pub recorded: bool,
}

/// The node is a healthy member of a service; it is ready where no other service is awaited.
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
    /// Services that this node enters after this one.
    #[serde(default)]
    pub awaits: Vec<Service>,
    /// What runs on the node.
    #[serde(default)]
    pub versions: Versions,
    /// UEFI boot order as found, descriptions in order; empty on BIOS.
    #[serde(default)]
    pub boot_order: Vec<String>,
}

/// What runs on an installed node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Release of the agent.
    #[serde(default)]
    pub agent: String,
    /// Release of the kernel, as `uname -r`.
    #[serde(default)]
    pub kernel: String,
    /// The running system (`/run/current-system`), where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<StorePath>,
}

/// `POST /v1/node/health`: what the health check of a node found; its heartbeat after `ready`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The generation on the disk.
    pub generation: u64,
    /// The node's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// SHA-256 of the boot id, to tell one boot from another.
    #[serde(default)]
    pub boot_id: Option<Sha256>,
    /// Every service is healthy.
    pub healthy: bool,
    /// One entry each.
    pub services: Vec<ServiceHealth>,
    /// What runs on the node.
    #[serde(default)]
    pub versions: Versions,
}

/// One service, as a node sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceHealth {
    /// Its name.
    pub service: Service,
    /// The local service is healthy and the node a member.
    pub healthy: bool,
    /// Names of the members, where the cluster could be asked.
    #[serde(default)]
    pub members: Vec<String>,
    /// Name of the leader, where the service tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Release of the service, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why not, where it is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
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
