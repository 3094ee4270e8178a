//! cluster-config.json (reference: the first-boot contract).

use crate::{
    Code, Failure,
    cluster_address::{HttpsUrl, Peer, RaftAddress, is_of_a_node},
    failure::Result,
    service::Service,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{collections::BTreeMap, net::IpAddr};

/// `/etc/nixos/secrets/cluster-config.json`, 0600.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(
    extend("if" = {"required": ["bootstrap"], "properties": {"bootstrap": {"const": true}}}),
    extend("then" = {"required": ["initial_peers"], "properties": {"initial_peers": {"minItems": 1}}})
))]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Unique in the cluster.
    #[serde(deserialize_with = "identifier")]
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,253}$")))]
    pub node_id: String,
    /// What the node is for.
    pub node_role: NodeRole,
    /// One of the founding nodes.
    pub bootstrap: bool,
    /// Name of the cluster; etcd's cluster token.
    #[serde(deserialize_with = "identifier")]
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,253}$")))]
    pub cluster_name: String,
    /// A member that takes joins: an https URL.
    pub leader_url: HttpsUrl,
    /// `IP:port` that the other members reach this node's Raft on.
    pub raft_addr: RaftAddress,
    /// `host:port` of the founders. Required when `bootstrap`.
    #[serde(default)]
    pub initial_peers: Vec<Peer>,
    /// `host:port` of FlareDB's founders. Required when `bootstrap`, where FlareDB is used.
    #[serde(default)]
    pub flaredb_peers: Vec<Peer>,
    /// Primary address.
    #[serde(default, deserialize_with = "address", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub node_ip: Option<IpAddr>,
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

impl ClusterConfig {
    /// What the types alone cannot say: what is required together, and what is not supported.
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key.
    pub fn check(&self) -> Result<()> {
        let refused = |text: &str| Err(Failure::new(Code::Config, format!("cluster configuration at {text}")));
        if self.bootstrap && self.initial_peers.is_empty() {
            return refused("initial_peers: required when bootstrap is true: host:port of every founder");
        }
        if self.tls.as_ref().is_some_and(|tls| !tls.enabled) {
            return refused("tls.enabled: false is not supported: the cluster is always spoken to over verified TLS");
        }
        for (key, peers) in [("initial_peers", &self.initial_peers), ("flaredb_peers", &self.flaredb_peers)] {
            if let Some((index, peer)) = repeated(peers) {
                return refused(&format!("{key}[{index}]: {peer} is there twice"));
            }
        }
        self.check_addresses()?;
        for (name, value) in &self.services {
            if let Some(port) = value.get("port").filter(|port| port_in(port).is_none()) {
                return refused(&format!("services.{name}.port: {port} is not a port from 1 to 65535"));
            }
        }
        for (name, text) in &self.network {
            if !is_cidr(text) {
                return refused(&format!("network.{name}: {text:?} is not a network such as 10.0.200.0/24"));
            }
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<()> {
        let refused = |text: &str| Err(Failure::new(Code::Config, format!("cluster configuration at {text}")));
        if let Some(address) = self.node_ip.filter(|address| !is_of_a_node(*address)) {
            return refused(&format!("node_ip: {address} is the address of no node"));
        }
        let elsewhere = |peer: &&Peer| peer.host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback());
        let raft = self.raft_addr;
        if let Some(other) = self.initial_peers.iter().find(elsewhere).filter(|_| raft.0.ip().is_loopback()) {
            return refused(&format!("raft_addr: {other} of initial_peers cannot reach this node at {raft}"));
        }
        Ok(())
    }

    /// What a service needs beyond [`ClusterConfig::check`].
    ///
    /// # Errors
    /// `E-CONFIG` with the path of the key.
    pub fn check_for(&self, service: Service) -> Result<()> {
        if service == Service::Flaredb && self.bootstrap && self.flaredb_peers.is_empty() {
            let cause = "cluster configuration at flaredb_peers: required when bootstrap is true and FlareDB is \
                         joined: host:port of every founder";
            return Err(Failure::new(Code::Config, cause));
        }
        Ok(())
    }

    /// The client port of a service on every node, where `services.SERVICE.port` names it.
    pub fn port_of(&self, service: Service) -> Option<u16> {
        port_in(self.services.get(service.name())?.get("port")?)
    }

    /// The address that the other members know this node by.
    pub fn address(&self) -> IpAddr {
        self.node_ip.unwrap_or(self.raft_addr.0.ip())
    }
}

/// The first that stands there again; the case of a name says nothing.
fn repeated(peers: &[Peer]) -> Option<(usize, &Peer)> {
    let same = |one: &Peer, other: &Peer| one.port == other.port && one.host.eq_ignore_ascii_case(&other.host);
    peers.iter().enumerate().find(|(index, peer)| peers[..*index].iter().any(|before| same(before, peer)))
}

fn port_in(value: &serde_json::Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// Names go into files and lists of other programs (`NAME=URL,...`), so their alphabet is narrow.
fn identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fits = (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits { Ok(text) } else { Err(D::Error::custom(format!("{text:?} is not 1 to 253 of a-z A-Z 0-9 . _ -"))) }
}

/// The standard library's error does not say what was found.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let refused = |text: &str| D::Error::custom(format!("{text:?} is not an address such as 10.0.1.13 or fd00::13"));
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(|_| refused(&text))).transpose()
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum NodeRole {
    ControlPlane,
    Worker,
    AllInOne,
}

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TlsPaths {
    #[serde(default = "yes")]
    #[cfg_attr(test, schemars(extend("const" = true)))]
    pub enabled: bool,
    pub ca_cert_path: String,
    pub node_cert_path: String,
    pub node_key_path: String,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use serde_json::{Value, json};

    fn joiner() -> Value {
        json!({"node_id": "node04", "node_role": "worker", "bootstrap": false, "cluster_name": "prod",
            "leader_url": "https://node01.prod.example.com:2379", "raft_addr": "10.0.1.13:2380"})
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<ClusterConfig> {
        let mut value = joiner();
        change(&mut value);
        let config: ClusterConfig = parse::json("cluster-config.json", value.to_string().as_bytes())?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn a_joiner_and_a_founder_are_read_and_survive_the_wire() {
        let config = read(|value| {
            value["bootstrap"] = json!(true);
            value["initial_peers"] = json!(["node01:2380", "[fd00::2]:2380"]);
            value["raft_addr"] = json!("[fd00::2]:2380");
        })
        .unwrap();
        assert_eq!(config.address().to_string(), "fd00::2");
        let again: ClusterConfig = parse::json("again", &serde_json::to_vec(&config).unwrap()).unwrap();
        assert_eq!(config, again);
        assert!(read(|_| ()).is_ok());
    }

    #[test]
    fn every_refusal_names_the_key() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 11] = [
            ("raft_addr", |value| value["raft_addr"] = json!("node04:2380")),
            ("raft_addr", |value| value["raft_addr"] = json!("0.0.0.0:2380")),
            ("raft_addr", |value| value["raft_addr"] = json!("10.0.0.1:0")),
            ("leader_url", |value| value["leader_url"] = json!("http://node01:2379")),
            ("node_role", |value| value["node_role"] = json!("boss")),
            ("node_id", |value| value["node_id"] = json!("a=b,c")),
            ("at node_ip: \"10.0.0.256\" is not", |value| value["node_ip"] = json!("10.0.0.256")),
            ("initial_peers", |value| value["bootstrap"] = json!(true)),
            ("initial_peers[1]", |value| value["initial_peers"] = json!(["a:1", "b"])),
            ("leader", |value| value["leader"] = json!("x")),
            ("cluster_name", |value| drop(value.as_object_mut().unwrap().remove("cluster_name"))),
        ];
        for (key, change) in cases {
            let failure = read(change).unwrap_err();
            assert!(failure.cause.contains(key), "{key}: {failure}");
        }
    }

    #[test]
    fn a_founder_of_flaredb_names_its_founders() {
        let founder = |value: &mut Value| {
            value["bootstrap"] = json!(true);
            value["initial_peers"] = json!(["node01:2380"]);
        };
        let config = read(founder).unwrap();
        assert!(config.check_for(Service::Flaredb).unwrap_err().cause.contains("flaredb_peers"));
        assert_eq!(config.check_for(Service::Chainfire), Ok(()));
        assert_eq!(read(|_| ()).unwrap().check_for(Service::Flaredb), Ok(()));
    }

    #[test]
    fn a_service_may_have_a_port_of_its_own() {
        let port = |services: Value| read(|value| value["services"] = services).unwrap().port_of(Service::Chainfire);
        assert_eq!(port(json!({"chainfire": {"port": 2389}})), Some(2389));
        for none in [json!({}), json!({"etcd": {"port": 1}}), json!({"chainfire": 5})] {
            assert_eq!(port(none), None);
        }
    }

    #[test]
    fn a_value_that_cannot_be_used_is_an_error_and_never_the_default() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 12] = [
            ("services.etcd.port: 70000", |value| value["services"] = json!({"etcd": {"port": 70000}})),
            ("services.etcd.port: 0", |value| value["services"] = json!({"etcd": {"port": 0}})),
            ("services.etcd.port: \"2379\"", |value| value["services"] = json!({"etcd": {"port": "2379"}})),
            ("network.cluster", |value| value["network"] = json!({"cluster": "10.0.0.0/99"})),
            ("network.cluster", |value| value["network"] = json!({"cluster": "10.0.0.0"})),
            ("node_ip: 0.0.0.0", |value| value["node_ip"] = json!("0.0.0.0")),
            ("node_ip: 224.0.0.1", |value| value["node_ip"] = json!("224.0.0.1")),
            ("raft_addr", |value| value["raft_addr"] = json!("255.255.255.255:2380")),
            ("initial_peers[1]: B:1 is there twice", |value| value["initial_peers"] = json!(["b:1", "B:1"])),
            ("flaredb_peers[2]", |value| value["flaredb_peers"] = json!(["a:1", "b:1", "a:1"])),
            ("raft_addr: 10.0.0.2:2380 of initial_peers cannot reach", |value| {
                value["raft_addr"] = json!("127.0.0.1:2380");
                value["initial_peers"] = json!(["127.0.0.1:2380", "10.0.0.2:2380"]);
            }),
            ("leave it out", |value| value["initial_peers"] = Value::Null),
        ];
        for (part, change) in cases {
            let failure = read(change).unwrap_err();
            assert!(failure.cause.contains(part) || failure.remedy.contains(part), "{part}: {failure:?}");
        }
        let mapped = read(|value| value["raft_addr"] = json!("[::ffff:10.77.0.1]:2380")).unwrap();
        assert_eq!(mapped.raft_addr.to_string(), "10.77.0.1:2380");
    }

    #[test]
    fn switching_tls_off_is_refused() {
        let tls = json!({"enabled": false, "ca_cert_path": "", "node_cert_path": "", "node_key_path": ""});
        assert!(read(|value| value["tls"] = tls).unwrap_err().cause.contains("tls.enabled"));
    }
}
