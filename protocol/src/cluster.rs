//! cluster-config.json (reference: the first-boot contract).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `/etc/nixos/secrets/cluster-config.json`, 0600.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Unique in the cluster.
    pub node_id: String,
    /// What the node is for.
    pub node_role: NodeRole,
    /// One of the founding nodes.
    pub bootstrap: bool,
    /// Name of the cluster; etcd's cluster token.
    pub cluster_name: String,
    /// A member that takes joins: an https URL.
    pub leader_url: String,
    /// `IP:port` that the other members reach this node's Raft on.
    pub raft_addr: String,
    /// `host:port` of the founders. Required when `bootstrap`.
    #[serde(default)]
    pub initial_peers: Vec<String>,
    /// `host:port` of FlareDB's founders. Required when `bootstrap`, where FlareDB is used.
    #[serde(default)]
    pub flaredb_peers: Vec<String>,
    /// Primary address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ip: Option<String>,
    /// Full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_fqdn: Option<String>,
    /// Where the node stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// Where the node stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Per service, passed through.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, serde_json::Value>,
    /// Certificates; the paths under /etc/nixos/secrets where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsPaths>,
    /// CIDRs, passed through.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network: BTreeMap<String, String>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum NodeRole {
    ControlPlane,
    Worker,
    AllInOne,
}

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TlsPaths {
    #[serde(default = "yes")]
    pub enabled: bool,
    pub ca_cert_path: String,
    pub node_cert_path: String,
    pub node_key_path: String,
}

fn yes() -> bool {
    true
}
