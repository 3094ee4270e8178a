//! What the admin's command line reads and asks of clusters: `boot-server cluster ...`.

use crate::{names::NodeName, service::Service};
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
