//! Where the members of a cluster are, from the specs and the reports: a pure function.

use crate::{domain::arbiter::founders_of, state::nodes::Node};
use cluster::address::{Names, client_host, client_port, peer_of, raft_address};
use protocol::{cluster::ClusterConfig, cluster_address::Peer, names::NodeName, report::ReadyReport, service::Service};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Why somebody is taken for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The node has reported its membership.
    Reported,
    /// A spec puts the node into the cluster, or names the founder.
    Spec,
}

/// A member, or who should be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node; a founder need not be one of this server's.
    pub node: Option<NodeName>,
    /// Why it is asked.
    pub source: Source,
    /// What it is called by.
    pub names: Names,
    /// Where clients speak to it.
    pub client: Peer,
    /// Its Raft address.
    pub raft: SocketAddr,
}

impl Endpoint {
    /// For people.
    pub fn label(&self) -> &str {
        self.node.as_ref().map_or(self.names.node_id.as_str(), NodeName::as_str)
    }

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

/// Whom to ask: who has reported a membership, or, where nobody has, [`by_spec`].
pub fn known(
    cluster: &str,
    nodes: &[Node],
    memberships: &[(NodeName, ReadyReport)],
) -> BTreeMap<Service, Vec<Endpoint>> {
    let reported = endpoints(cluster, nodes, memberships);
    if reported.is_empty() { by_spec(cluster, nodes) } else { reported }
}

/// Whom to ask where no node has reported a membership: the nodes that a spec puts into the cluster, and the founders
/// that their specs name. Whether they are members shows when they answer.
pub fn by_spec(cluster: &str, nodes: &[Node]) -> BTreeMap<Service, Vec<Endpoint>> {
    let configs = || nodes.iter().filter_map(|node| Some((&node.name, node.cluster().ok()?)));
    let of_cluster = || configs().filter(|(_, config)| config.cluster_name == cluster);
    let mut found = BTreeMap::new();
    for service in Service::ALL.into_iter().filter(|service| *service != Service::Iam) {
        let wanted = service != Service::Flaredb || of_cluster().any(|(_, config)| !config.flaredb_peers.is_empty());
        if !wanted {
            continue;
        }
        let mut endpoints: Vec<Endpoint> = of_cluster()
            .map(|(name, config)| Endpoint { source: Source::Spec, ..endpoint(name, config, service) })
            .collect();
        for (_, config) in of_cluster() {
            for founder in founders_of(config, service) {
                if !endpoints.iter().any(|known| known.names.is_host(&founder.host)) {
                    endpoints.push(stranger(founder, client_port(config, service, service.port())));
                }
            }
        }
        if !endpoints.is_empty() {
            found.insert(service, endpoints);
        }
    }
    found
}

/// A founder that is no node of this server.
fn stranger(founder: &Peer, client: u16) -> Endpoint {
    let address = founder.host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Endpoint {
        node: None,
        source: Source::Spec,
        names: Names { node_id: founder.host.clone(), fqdn: None, address },
        client: Peer { host: founder.host.clone(), port: client },
        raft: SocketAddr::new(address, founder.port),
    }
}

/// Where a node is, or would be, as a member of a service.
pub fn endpoint(name: &NodeName, config: &ClusterConfig, service: Service) -> Endpoint {
    let client = Peer { host: client_host(config), port: client_port(config, service, service.port()) };
    let raft = raft_address(config, service, client.port).0;
    Endpoint { node: Some(name.clone()), source: Source::Reported, names: Names::of(config), client, raft }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_nobody_has_reported_nodes_and_founders_of_the_specs_are_asked() {
        let config = json!({"node_id": "node01", "node_role": "control-plane", "bootstrap": true, "cluster_name": "c",
            "leader_url": "https://10.0.0.9:2379", "raft_addr": "10.0.0.1:2380",
            "initial_peers": ["node01:2380", "10.0.0.2:2380"]});
        let mut node = Node::new("n1".parse().unwrap());
        let spec = json!({"name": "n1", "match": {"serial": "S1"}, "disks": {"devices": {}}, "cluster": config, "system":
            {"toplevel": "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos", "substituters": [], "trusted_public_keys": []}});
        node.spec = Some(serde_json::from_value(spec).unwrap());
        let found = by_spec("c", &[node.clone()]);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [Service::Etcd, Service::Chainfire]);
        let asked: Vec<String> =
            found[&Service::Etcd].iter().map(|one| format!("{} {}", one.label(), one.client)).collect();
        assert_eq!(asked, ["n1 10.0.0.1:2379", "10.0.0.2 10.0.0.2:2379"]);
        assert!(by_spec("other", &[node]).is_empty());
    }

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
