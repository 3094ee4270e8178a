//! Where the members of a cluster are, from the specs and the reports: a pure function.

use crate::{
    arbiter::{client_host, client_port},
    state::nodes::Node,
};
use protocol::{cluster::ClusterConfig, cluster_address::Peer, names::NodeName, report::ReadyReport, service::Service};
use std::collections::BTreeMap;

/// A node that has reported a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node.
    pub node: NodeName,
    /// Its name in the cluster.
    pub node_id: String,
    /// Where clients speak to it.
    pub client: Peer,
    /// `https://` and its Raft address, by which etcd lists it.
    pub peer_url: String,
    /// The Raft address alone.
    pub raft: String,
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
    Endpoint {
        node: name.clone(),
        node_id: config.node_id.clone(),
        client: Peer { host: client_host(config), port: client_port(config, service) },
        peer_url: format!("https://{}", config.raft_addr),
        raft: config.raft_addr.to_string(),
    }
}
