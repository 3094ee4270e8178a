//! What of cluster-config.json neither its types nor one key alone can say: who of the founders this node is, and which
//! ports are taken twice. `check-config` and the joiner refuse by it alike.

use crate::address::{Names, raft_address};
use protocol::{Code, Failure, cluster::ClusterConfig, cluster_address::Peer, failure::Result, service::Service};

/// Whether a service can run as it is configured, with its clients at this port.
///
/// # Errors
/// `E-CONFIG` with the path of the key.
pub fn check(config: &ClusterConfig, service: Service, client: u16) -> Result<()> {
    config.check_for(service)?;
    if service != Service::Iam && raft_address(config, service, client).0.port() == client {
        let key = if service == Service::Flaredb { "flaredb_peers" } else { "raft_addr" };
        return Err(refused(
            key,
            &format!("port {client} is where {service} takes its clients; the members need another"),
        ));
    }
    Ok(())
}

/// The entry of `initial_peers` that is this node.
///
/// # Errors
/// `E-CONFIG` where none is, or several are.
pub fn own_founder(config: &ClusterConfig) -> Result<&Peer> {
    let refused = |text: String| refused("initial_peers", &text);
    let raft = config.raft_addr.0;
    let names = Names::of(config);
    let exact = |peer: &&Peer| peer.host.parse() == Ok(names.address) && peer.port == raft.port();
    let named: Vec<_> = config.initial_peers.iter().filter(|peer| names.is_name(&peer.host)).collect();
    if let Some(own) = config.initial_peers.iter().find(exact) {
        // A member of that name would never come.
        return match named.iter().find(|peer| peer.port == raft.port()) {
            Some(twice) => Err(refused(format!("{own} and {twice} are both this node"))),
            None => Ok(own),
        };
    }
    match named[..] {
        [own] if own.port == raft.port() => Ok(own),
        [own] => Err(refused(format!("{own} and raft_addr {raft} name different ports for this node"))),
        [] => Err(refused(format!(
            "no entry has raft_addr {raft}, or node_id or node_fqdn of this node (in this very spelling) as its host"
        ))),
        _ => Err(refused("several entries are this node".to_owned())),
    }
}

/// What is no fault, and seldom meant.
pub fn remarks(config: &ClusterConfig) -> Vec<String> {
    let mut found = Vec::new();
    if config.leader_url.peer().port == 443 {
        found.push("leader_url: port 443, which is what a URL without a port means".to_owned());
    }
    let founders = config.initial_peers.len();
    if config.bootstrap && founders.is_multiple_of(2) && founders > 0 {
        let text = format!("initial_peers: {founders} founders can lose no more of them than {} can", founders - 1);
        found.push(text);
    }
    found
}

fn refused(key: &str, text: &str) -> Failure {
    Failure::new(Code::Config, format!("cluster configuration at {key}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(change: impl FnOnce(&mut Value)) -> ClusterConfig {
        let mut value = json!({"node_id": "n1", "node_role": "control-plane", "bootstrap": true, "cluster_name": "prod",
            "leader_url": "https://10.77.0.1:2379", "raft_addr": "10.77.0.1:2380",
            "initial_peers": ["10.77.0.1:2380", "10.77.0.2:2380", "10.77.0.3:2380"]});
        change(&mut value);
        protocol::parse::json("config", value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_node_is_one_founder_and_not_two() {
        let peers = |peers: &[&str]| config(|value| value["initial_peers"] = json!(peers));
        assert_eq!(own_founder(&peers(&["n1:2380", "n2:2380"])).unwrap().to_string(), "n1:2380");
        for (list, part) in [
            (&["10.77.0.2:2380", "10.77.0.3:2380"][..], "no entry has raft_addr"),
            (&["N1:2380", "n2:2380"], "in this very spelling"),
            (&["10.77.0.1:2380", "n1:2380"], "are both this node"),
            (&["n1:2381"], "different ports"),
        ] {
            let failure = own_founder(&peers(list)).unwrap_err();
            assert!(failure.code == Code::Config && failure.cause.contains(part), "{list:?}: {failure}");
        }
    }

    #[test]
    fn the_members_port_is_not_the_clients() {
        let at_clients = config(|value| value["raft_addr"] = json!("10.77.0.1:2379"));
        for service in [Service::Etcd, Service::Chainfire] {
            assert!(check(&at_clients, service, 2379).unwrap_err().cause.contains("raft_addr: port 2379"));
            assert_eq!(check(&at_clients, service, 2389), Ok(()));
        }
        let flaredb = config(|value| value["flaredb_peers"] = json!(["n1:2479"]));
        assert!(check(&flaredb, Service::Flaredb, 2479).unwrap_err().cause.contains("flaredb_peers"));
    }

    #[test]
    fn a_port_that_was_left_out_and_an_even_number_of_founders_get_a_word() {
        assert!(remarks(&config(|_| ())).is_empty());
        let odd = config(|value| {
            value["leader_url"] = json!("https://10.77.0.1");
            value["initial_peers"] = json!(["10.77.0.1:2380", "b:1", "c:1", "d:1"]);
        });
        let said = remarks(&odd).join("; ");
        assert!(said.contains("443") && said.contains("4 founders can lose no more of them than 3 can"), "{said}");
    }
}
