//! The boot-server as the arbiter of a cluster: who founds it, and whose turn it is to join (docs/design.md section 8).

use crate::{
    cluster_address::{HttpsUrl, Peer},
    encoding::Sha256,
    service::Service,
};
use serde::{Deserialize, Serialize};

/// `POST /v1/node/turn`: asked before a node enters a cluster, and again until it is its turn. While the node
/// joins it asks again within the lease to keep it; its ready report gives the turn back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRequest {
    /// What the node wants to enter.
    pub service: Service,
    /// The generation on its disk.
    pub generation: u64,
}

/// What the node is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "kebab-case")]
pub enum Turn {
    /// Found the cluster with exactly these members: the same list for every founder, fixed once.
    Found {
        /// `host:port` of every founder, this node among them.
        peers: Vec<Peer>,
        /// What etcd makes the ids of cluster and members of; the cluster's name where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// As `Found`, on the data that an operator restores: the cluster was lost. A word of its own, so that an agent
    /// that does not know it waits and founds no empty cluster.
    Restore {
        /// As in `Found`.
        peers: Vec<Peer>,
        /// As in `Found`, and never that of the cluster that was lost: what is left of it must not be taken for a member.
        token: String,
        /// Fetched by `GET /v1/node/snapshot`.
        snapshot: Snapshot,
    },
    /// Have a member take this node in.
    Join {
        /// Client addresses of members that were healthy when they were last heard, the best first.
        members: Vec<HttpsUrl>,
        /// An earlier installation of this node may still be listed: that member is removed first, for its data
        /// is gone.
        replaces: bool,
        /// The turn is over after so many seconds without another request.
        lease_seconds: u64,
    },
    /// Ask again.
    Wait {
        /// One line for people: `node-05 joins now`.
        reason: String,
        /// Seconds until then.
        retry_seconds: u64,
    },
}

/// `POST /v1/node/restart`: whether the node may restart a service of its cluster now. Asked again within the lease it
/// keeps the turn, which `POST /v1/node/restarted` gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "kebab-case")]
pub enum RestartTurn {
    /// No other member is restarted, or enters, meanwhile.
    Go {
        /// The turn is over after so many seconds without another request.
        lease_seconds: u64,
    },
    /// Ask again.
    Wait {
        /// One line for people.
        reason: String,
        /// Seconds until then.
        retry_seconds: u64,
    },
}

/// What a cluster held when it was backed up, as one file: of etcd, what `etcdctl snapshot save` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of the whole file.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}
