//! What every cluster service has in common, seen from a node that wants to be a member.

use super::{Service, peer::PeerClient, retry::Backoff, retry::Limit};
use protocol::{cluster::ClusterConfig, failure::Result};
use serde::Serialize;
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// What a join works with.
pub struct Node {
    /// Who this node is and whom it joins.
    pub config: ClusterConfig,
    /// Where the node's certificates are.
    pub tls: super::credentials::Paths,
    /// Calls with them.
    pub client: PeerClient,
    /// The knobs.
    pub settings: Settings,
}

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Markers, etcd.env, reports that were not delivered.
    pub state_dir: PathBuf,
    /// The service's data.
    pub data_dir: PathBuf,
    /// The service's client port on this node.
    pub port: u16,
    /// Starts the service where the joiner does.
    pub start_command: Vec<String>,
    /// How often the cluster is asked.
    pub attempts: u32,
    /// The first pause between attempts.
    pub retry_base: Duration,
    /// How long the service on this node may take to become healthy.
    pub health_timeout: Duration,
    /// Least free bytes below the folders.
    pub least_free: u64,
}

/// The way into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a founder: there is nobody to ask.
    Bootstrap,
    /// By a member that takes joins.
    Join,
}

/// How the cluster took this node in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Joined,
    /// Before.
    AlreadyMember,
}

/// The cluster as this node sees it, itself in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// Names of the members.
    pub members: Vec<String>,
    /// Name of the leader, where the service tells.
    pub leader: Option<String>,
    /// Release of the service, where it tells.
    pub version: Option<String>,
}

/// A cluster service. Each call but `prepare` may be repeated at any time; `prepare` after a crash carries on.
pub trait Driver {
    /// One look at the service on this node.
    async fn local_health(&self) -> Result<()>;

    /// What must happen before the service can become healthy: nothing, where it starts by itself.
    async fn prepare(&self, way: Way) -> Result<()>;

    /// Has the cluster take this healthy node in. Not called on a founder.
    async fn join(&self) -> Result<Admission>;

    /// One look at the cluster: is this node a full member of it, and does it have a leader?
    async fn verify(&self, way: Way) -> Result<Membership>;
}

impl Node {
    /// `https://ADDRESS:PORT` of the service on this node, by the name that its certificate carries.
    pub fn local_url(&self) -> String {
        format!("https://{}", host_port(self.config.address(), self.settings.port))
    }

    /// The member that takes joins, without a slash at the end.
    pub fn leader_url(&self) -> String {
        self.config.leader_url.to_string()
    }
}

impl Settings {
    /// For requests to the cluster.
    pub fn attempts(&self) -> Backoff {
        Backoff { base: self.retry_base, cap: Duration::from_secs(16), limit: Limit::Attempts(self.attempts) }
    }

    /// For waiting until the service on this node is so far.
    pub fn waiting(&self) -> Backoff {
        Backoff { base: self.retry_base, cap: Duration::from_secs(5), limit: Limit::Within(self.health_timeout) }
    }
}

/// What the configuration says; nothing else decides it.
pub fn decide(config: &ClusterConfig) -> Way {
    if config.bootstrap { Way::Bootstrap } else { Way::Join }
}

/// `10.0.0.1:2379`, `[fd00::1]:2379`
pub fn host_port(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// Where things are on an installed system.
impl Service {
    /// The client port.
    pub fn default_port(self) -> u16 {
        2379
    }

    /// The data folder.
    pub fn default_data_dir(self) -> PathBuf {
        PathBuf::from("/var/lib").join(self.name())
    }

    /// What starts the service, where the joiner does: not waited for, since a founder is not ready before the
    /// other founders are there.
    pub fn default_start_command(self) -> Vec<String> {
        match self {
            Self::Etcd => ["systemctl", "start", "--no-block", "etcd.service"].map(str::to_owned).to_vec(),
            Self::Chainfire => Vec::new(),
        }
    }
}
