//! Every answer that the documented API of a service has, broken and late ones included, over mutual TLS.

use crate::{admin_api, iam, node::Node};
use qemu_tests::certificates::{Ca, Leaf};
use qemu_tests::cluster_peer::{Peer, Reply, documented::Service};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring::default_provider};
use serde_json::json;
use std::{
    io::{Error, Read},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

const QUICK: [&str; 4] = ["--retry-base", "20", "--call-timeout", "400"];

/// What the first requests are answered, before it goes well: how the agent ends, how often it asks, what it says.
const ANSWERS: [(&str, i32, usize, &str); 11] = [
    ("200", 0, 1, ""),
    ("201", 0, 1, ""),
    ("409", 2, 1, ""),
    ("500", 0, 2, "500 Internal Server Error"),
    ("502", 0, 2, "502 Bad Gateway"),
    ("503", 0, 2, "503 Service Unavailable"),
    ("slow", 0, 2, "no answer within 400 ms"),
    ("half", 0, 2, "reading the answer: "),
    ("500,503,half,slow,201", 0, 5, "no answer within 400 ms"),
    ("503,503,503,503,503", 1, 5, "5 attempts"),
    ("403", 1, 1, "403 Forbidden"),
];

fn is_entered_by_every_answer(start: impl Fn(&Ca, &str) -> (Peer, Node), name: &str, marker: &str, change: &str) {
    for (script, code, asked, said) in ANSWERS {
        let ca = Ca::new("cluster");
        let (peer, node) = start(&ca, script);
        let run = node.join(name, &QUICK);
        assert_eq!(run.code, Some(code), "{script}");
        assert_eq!(peer.requests(change).len(), asked, "{script}");
        assert!(run.lines.iter().any(|line| line["message"].as_str().unwrap().contains(said)), "{script}");
        assert_eq!(node.has_marker(marker), code != 1, "{script}");
    }
}

fn joins(service: Service) -> impl Fn(&Ca, &str) -> (Peer, Node) {
    move |ca, faults| {
        let peer = admin_api::cluster(ca, service, faults);
        let node = admin_api::joiner(ca, &peer);
        (peer, node)
    }
}

#[test]
fn chainfire_is_entered_by_every_answer() {
    let start = joins(Service::Chainfire);
    is_entered_by_every_answer(start, "chainfire", ".chainfire-joined", "POST /admin/member/add");
}

#[test]
fn flaredb_is_entered_by_every_answer() {
    let start = joins(Service::Flaredb);
    is_entered_by_every_answer(start, "flaredb", ".flaredb-joined", "POST /admin/member/add");
}

#[test]
fn iam_is_entered_by_every_answer() {
    let start = |ca: &Ca, faults: &str| {
        let peer = ca.plays(iam::documented(faults));
        let node = iam::node(ca, &peer, iam::administrator());
        (peer, node)
    };
    is_entered_by_every_answer(start, "iam", ".iam-initialized", "POST /api/users");
}

#[test]
fn every_service_refuses_a_client_without_a_certificate_of_its_ca() {
    let (ca, other) = (Ca::new("cluster"), Ca::new("other"));
    for peer in [
        admin_api::cluster(&ca, Service::Chainfire, "201"),
        admin_api::cluster(&ca, Service::Flaredb, "201"),
        ca.plays(iam::documented("201")),
    ] {
        for (leaf, alert) in [(None, "CertificateRequired"), (Some(other.leaf()), "UnknownCA")] {
            let refusal = refusal(&ca, leaf, peer.port);
            assert!(refusal.to_string().contains(alert), "{refusal}");
        }
        assert!(peer.requests("").is_empty());
    }
}

/// What a client with this certificate hears after its handshake. It sends nothing, or the connection might be reset
/// before the alert is read.
fn refusal(ca: &Ca, leaf: Option<Leaf>, port: u16) -> Error {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match leaf {
        Some(Leaf { der, key, .. }) => config.with_client_auth_cert(vec![der], key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let client = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    StreamOwned::new(client, tcp).read(&mut [0]).unwrap_err()
}

#[test]
fn a_service_on_this_node_with_a_foreign_certificate_is_not_waited_for() {
    let (ca, other) = (Ca::new("cluster"), Ca::new("another"));
    for service in ["chainfire", "flaredb"] {
        let foreign = other.peer(|_| Reply::Json(200, json!({"status": "healthy"})));
        let mut node = Node::founder(&ca, "n1");
        node.port = foreign.port;
        node.config["flaredb_peers"] = json!(["127.0.0.1:2480"]);
        let run = node.join(service, &QUICK);
        assert_eq!(run.code, Some(1));
        assert!(run.failure().starts_with("E-TLS"), "{}", run.failure());
        assert!(!run.says("INFO", "waiting for the local service"), "it was waited for: {run:?}");
    }
}
