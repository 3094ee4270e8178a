//! Who is meant by a name or an address, and where a node's services are.

use protocol::{
    cluster::ClusterConfig,
    cluster_address::{Peer, RaftAddress},
    service::Service,
};
use std::net::{IpAddr, SocketAddr};

/// What a node may be called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `node_id`.
    pub node_id: String,
    /// Its full name, where it has one.
    pub fqdn: Option<String>,
    /// The address of its Raft port.
    pub address: IpAddr,
}

impl Names {
    /// Those of the node with this configuration.
    pub fn of(config: &ClusterConfig) -> Self {
        Self { node_id: config.node_id.clone(), fqdn: config.node_fqdn.clone(), address: config.raft_addr.0.ip() }
    }

    /// Whether a member by this name is the node.
    pub fn is_name(&self, text: &str) -> bool {
        !text.is_empty() && (text == self.node_id || Some(text) == self.fqdn.as_deref())
    }

    /// Whether this host is the node: one of its names, or its address.
    pub fn is_host(&self, host: &str) -> bool {
        self.is_name(host) || host.parse() == Ok(self.address)
    }
}

/// Where the other members reach a node's service: `raft_addr` is etcd's and Chainfire's. FlareDB's has the port of the
/// node's own entry in `flaredb_peers`, or the one after its client port, which is `client`.
pub fn raft_address(config: &ClusterConfig, service: Service, client: u16) -> RaftAddress {
    if service != Service::Flaredb {
        return config.raft_addr;
    }
    let names = Names::of(config);
    let own = config.flaredb_peers.iter().find(|peer| names.is_host(&peer.host));
    RaftAddress(SocketAddr::new(names.address, own.map_or(client.saturating_add(1), |peer| peer.port)))
}

/// The host that clients reach the node by.
pub fn client_host(config: &ClusterConfig) -> String {
    config.node_fqdn.clone().unwrap_or_else(|| config.address().to_string())
}

/// The port that clients reach the service by: `services.SERVICE.port` of the configuration, else that of
/// `leader_url`, which is of etcd or Chainfire, else `usual`.
pub fn client_port(config: &ClusterConfig, service: Service, usual: u16) -> u16 {
    config.port_of(service).unwrap_or_else(|| match service {
        Service::Etcd | Service::Chainfire => config.leader_url.peer().port,
        Service::Flaredb | Service::Iam => usual,
    })
}

/// `HOST:PORT` of a URL or address as clusters list them, with or without `https://`.
pub fn peer_of(listed: &str) -> Option<Peer> {
    listed.strip_prefix("https://").unwrap_or(listed).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(peers: &Value) -> ClusterConfig {
        let value = json!({"node_id": "node02", "node_role": "worker", "bootstrap": false, "cluster_name": "prod",
            "leader_url": "https://node01:2379", "raft_addr": "10.0.0.2:2380", "node_fqdn": "node02.example.com",
            "flaredb_peers": peers});
        protocol::parse::json("config", value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn flaredb_is_reached_on_its_own_raft_port() {
        let of = |peers, service| raft_address(&config(&peers), service, 2479).to_string();
        assert_eq!(of(json!([]), Service::Chainfire), "10.0.0.2:2380");
        assert_eq!(of(json!(["node01:2490"]), Service::Flaredb), "10.0.0.2:2480");
        assert_eq!(of(json!(["node01:2490", "node02:2491"]), Service::Flaredb), "10.0.0.2:2491");
    }

    #[test]
    fn a_node_is_known_by_its_names_and_its_address_and_by_nothing_else() {
        let names = Names::of(&config(&json!([])));
        for own in ["node02", "node02.example.com", "10.0.0.2"] {
            assert!(names.is_host(own), "{own}");
        }
        for other in ["", "node01", "10.0.0.3", "node02.example.org"] {
            assert!(!names.is_host(other), "{other}");
        }
        assert!(!names.is_name("10.0.0.2"));
    }
}
