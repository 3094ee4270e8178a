//! Nodes of a cluster on loopback addresses, as the boot-server knows them.

use super::super::{
    lab::{Identity, Lab, path, spec},
    machine::{Machine, Node},
};
use protocol::service::Service;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

/// A port that no other test here is given, and that no connection takes as its own end: those are from 32768 on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let is_free = |port: &u16| (1..=3).all(|n| TcpListener::bind((Site::ip(n), *port)).is_ok());
    std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed)).find(is_free).unwrap()
}

/// The ports that every node of the cluster has, each on its own address.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    pub client: u16,
    pub raft: u16,
}

impl Site {
    pub fn new() -> Self {
        Self { client: free_port(), raft: free_port() }
    }

    pub fn ip(n: u8) -> String {
        format!("127.0.77.{n}")
    }

    pub fn mac(n: u8) -> String {
        format!("52:54:00:00:00:{n:02x}")
    }

    /// n1 to n3 are founders.
    pub fn spec(self, n: u8) -> Value {
        let mut spec = spec(&format!("n{n}"), &Self::mac(n));
        let mut peers = Vec::new();
        if n <= 3 {
            peers.extend((1..=3).map(|n| format!("{}:{}", Self::ip(n), self.raft)));
        }
        spec["cluster"] = json!({"node_id": format!("n{n}"), "node_role": "control-plane", "bootstrap": n <= 3,
            "cluster_name": "prod", "leader_url": format!("https://{}:{}", Self::ip(1), self.client),
            "raft_addr": format!("{}:{}", Self::ip(n), self.raft), "node_ip": Self::ip(n), "initial_peers": peers,
            "services": {"flaredb": {"port": self.client}}});
        spec
    }

    /// The node's machine, installed and a member of the service.
    pub async fn ready(self, lab: &Lab, n: u8, service: &str) -> Node {
        lab.apply_spec(&self.spec(n));
        let node = Machine::new(&Self::mac(n), &format!("run-{n}")).admitted(lab).await;
        node.manifest(lab).await;
        assert!(node.installed(1).await.0.is_success());
        node.turn(service.parse::<Service>().unwrap(), 1).await;
        assert!(node.member_of(service, 1, vec![]).await.0.is_success());
        node
    }
}

/// Certificate, key and CA of a member, made by the server's CA.
pub struct Credentials {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl Credentials {
    pub fn of(lab: &Lab, n: u8) -> Self {
        let (name, out) = (format!("member-{n}"), lab.dir().join(format!("member-{n}")));
        lab.says(&["certificate", "--name", &name, "--address", &Site::ip(n), "--out", path(&out)]);
        let file = |suffix: &str| out.join(format!("{name}.{suffix}"));
        Self { certificate: file("crt"), key: file("key"), ca: out.join("ca.crt") }
    }

    pub fn identity(&self) -> Identity {
        let chain = CertificateDer::pem_file_iter(&self.certificate).unwrap().collect::<Result<_, _>>().unwrap();
        (chain, PrivateKeyDer::from_pem_file(&self.key).unwrap())
    }
}
