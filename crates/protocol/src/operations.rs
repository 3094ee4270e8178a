//! What the admin's command line reads and asks of clusters: `boot-server cluster ...`.

use crate::{Failure, cluster_address::HttpsUrl, names::NodeName, service::Service};
use serde::{Deserialize, Serialize};

/// One service of one cluster, as the arbiter remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSummary {
    /// `cluster_name` of the nodes' configurations.
    pub cluster: String,
    /// The services that are founded or joined in it.
    pub services: Vec<ServiceSummary>,
    /// Nodes whose spec names it.
    pub nodes: Vec<NodeName>,
}

/// What the arbiter remembers of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSummary {
    /// The service.
    pub service: Service,
    /// `host:port` of the founders.
    pub founders: Vec<String>,
    /// Nodes that were ready.
    pub ready: Vec<NodeName>,
    /// Whose turn it is to join.
    pub turn: Option<NodeName>,
}

/// `POST /v1/clusters/CLUSTER/forget`: the cluster is gone; the next founder that asks fixes a new founding set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// Also where members are still heard healthy.
    #[serde(default)]
    pub force: bool,
}

/// Answer to [`ForgetRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Services of the cluster that are forgotten.
    pub services: u64,
}

/// `POST /v1/nodes/NAME/remove`, `replace` and `decommission`; answered in lines ([`crate::closures::Line`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperateRequest {
    /// Also where a service loses its quorum, or nobody of it can be asked.
    #[serde(default)]
    pub force: bool,
    /// `decommission` leaves the disks as they are.
    #[serde(default)]
    pub keep_disks: bool,
}

/// `POST /v1/clusters/CLUSTER/remove`: a member that is no node of this server; answered in lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignRequest {
    /// Its id or name, as the members are listed.
    pub member: String,
    /// As [`OperateRequest::force`].
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/nodes/NAME/reinstall`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReinstallRequest {
    /// Also where a service loses its quorum.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/nodes/NAME/power`: what the operator's hook does with the machine; answered in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerRequest {
    /// What to do.
    pub power: Power,
}

/// What a machine's power is wanted to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// On.
    On,
    /// Off.
    Off,
    /// Off and on again.
    Cycle,
    /// Off and on again, booting from the network once.
    NetworkBoot,
}

impl Power {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::On, Self::Off, Self::Cycle, Self::NetworkBoot];

    /// As on the command line and to the hook.
    pub fn name(self) -> &'static str {
        match self {
            Power::On => "on",
            Power::Off => "off",
            Power::Cycle => "cycle",
            Power::NetworkBoot => "network-boot",
        }
    }
}

/// `GET /v1/clusters/CLUSTER/members`: the members of each service, asked now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMembers {
    /// The cluster.
    pub cluster: String,
    /// Its services.
    pub services: Vec<ServiceMembers>,
}

/// The members of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMembers {
    /// The service.
    pub service: Service,
    /// By name; empty where nobody could tell.
    pub members: Vec<MemberView>,
    /// Nodes that reported a membership and are not listed.
    #[serde(default)]
    pub missing: Vec<NodeName>,
    /// Why nobody could tell.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// A member, as the cluster lists it and as it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// As the service names it: hexadecimal for etcd.
    pub id: String,
    /// For people.
    pub name: String,
    /// The node it is, where this boot-server installed it.
    pub node: Option<NodeName>,
    /// What the other members reach it by.
    pub address: String,
    /// Where it was asked.
    pub client: Option<HttpsUrl>,
    /// How it is.
    pub status: MemberStatus,
    /// What it is to the others.
    pub role: MemberRole,
    /// Release of the service.
    #[serde(default)]
    pub version: Option<String>,
    /// Why it is not healthy.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// How a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// It says so.
    Healthy,
    /// It answers and votes, and takes no writes: etcd has raised an alarm.
    Alarmed,
    /// It answers, and is not.
    Unhealthy,
    /// It does not answer.
    Unreachable,
    /// It was added and has never started.
    Unstarted,
}

/// What a member is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It has no vote yet.
    Learner,
    /// It does not say, or knows no leader.
    Unknown,
}

impl std::fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            MemberStatus::Healthy => "healthy",
            MemberStatus::Alarmed => "alarmed",
            MemberStatus::Unhealthy => "unhealthy",
            MemberStatus::Unreachable => "unreachable",
            MemberStatus::Unstarted => "unstarted",
        })
    }
}

impl std::fmt::Display for MemberRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            MemberRole::Leader => "leader",
            MemberRole::Follower => "follower",
            MemberRole::Learner => "learner",
            MemberRole::Unknown => "unknown",
        })
    }
}

/// `POST /v1/clusters/CLUSTER/verify`: what was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The cluster.
    pub cluster: String,
    /// Each check, in the order in which it was made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Of this service.
    pub service: Service,
    /// What has to hold: `there is one leader`.
    pub what: String,
    /// Whether it holds.
    pub passed: bool,
    /// What was found.
    pub detail: String,
    /// What to do, where it does not hold.
    #[serde(default)]
    pub remedy: Option<String>,
}
