//! Where the members of a cluster are, from the specs and the reports: a pure function.

use crate::state::nodes::Node;
use cluster::address::{Names, client_host, client_port, peer_of, raft_address};
use protocol::{cluster::ClusterConfig, cluster_address::Peer, names::NodeName, report::ReadyReport, service::Service};
use std::{collections::BTreeMap, net::SocketAddr};

/// A node that has reported a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node.
    pub node: NodeName,
    /// What it is called by.
    pub names: Names,
    /// Where clients speak to it.
    pub client: Peer,
    /// Its Raft address.
    pub raft: SocketAddr,
}

impl Endpoint {
    /// Whether a member with this name and address is the node. A founder is listed as its entry of `initial_peers` has
    /// it, which may be a name, and a joiner by `node_id` and Raft address.
    pub fn is(&self, name: &str, address: &str) -> bool {
        let by_address = |peer: Peer| self.names.is_host(&peer.host) && peer.port == self.raft.port();
        peer_of(address).is_some_and(by_address) || self.names.is_name(name)
    }
}

/// The members of each service of the cluster that answer calls; IAM has no members.
pub fn endpoints(
    cluster: &str,
    nodes: &[Node],
    memberships: &[(NodeName, ReadyReport)],
) -> BTreeMap<Service, Vec<Endpoint>> {
    let mut found: BTreeMap<Service, Vec<Endpoint>> = BTreeMap::new();
    for (name, report) in memberships {
        let config = nodes.iter().find(|node| node.name == *name).and_then(|node| node.spec.as_ref()?.cluster.as_ref());
        let service = report.service.parse().ok().filter(|service| *service != Service::Iam);
        if let (Some(config), Some(service)) = (config.filter(|config| config.cluster_name == cluster), service) {
            found.entry(service).or_default().push(endpoint(name, config, service));
        }
    }
    found
}

/// Where a node is, or would be, as a member of a service.
pub fn endpoint(name: &NodeName, config: &ClusterConfig, service: Service) -> Endpoint {
    let client = Peer { host: client_host(config), port: client_port(config, service, service.port()) };
    let raft = raft_address(config, service, client.port).0;
    Endpoint { node: name.clone(), names: Names::of(config), client, raft }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_is_known_by_address_or_name_and_no_other_is() {
        let config = json!({"node_id": "node01", "node_role": "control-plane", "bootstrap": false, "cluster_name": "c",
            "leader_url": "https://10.0.0.9:2379", "raft_addr": "10.0.0.1:2380", "node_fqdn": "node01.example.com"});
        let config: ClusterConfig = serde_json::from_value(config).unwrap();
        let node = endpoint(&"node01".parse().unwrap(), &config, Service::Etcd);
        assert_eq!(node.client.to_string(), "node01.example.com:2379");
        for (name, address) in [
            ("10.0.0.1", "https://10.0.0.1:2380"),
            ("node01.example.com", "https://node01.example.com:2380"),
            ("node01", ""),
            ("x", "10.0.0.1:2380"),
        ] {
            assert!(node.is(name, address), "{name} {address}");
        }
        for (name, address) in [("node02", "https://10.0.0.2:2380"), ("10.0.0.1", "https://10.0.0.1:2390"), ("", "")] {
            assert!(!node.is(name, address), "{name} {address}");
        }
    }
}
