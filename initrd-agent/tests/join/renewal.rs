//! `initrd-agent renew` against a boot-server that plays along, and ones that do not.

use crate::{boot_server, node::Node};
use data_encoding::BASE64;
use protocol::{
    Timestamp,
    enrol::{HelloRequest, hello_statement},
    marker::InstallMarker,
    trust::PublicKey,
};
use qemu_tests::{
    certificates::Ca,
    cluster_peer::{Peer, Reply, Request},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use time::Duration;

pub const DAY: Duration = Duration::DAY;

pub fn now() -> Timestamp {
    Timestamp::now_utc()
}

/// A node whose certificate of six days ends in so many.
pub fn node(ca: &Ca, left: Duration, server: u16) -> Node {
    let node = Node::joiner(ca, "n1", 1);
    node.use_certificate(&ca.pem, &ca.leaf_until(now() + left - 6 * DAY, now() + left));
    fs::set_permissions(node.path("secrets/node.key"), fs::Permissions::from_mode(0o600)).unwrap();
    boot_server::install_marker(ca, &node, server);
    node
}

/// Certificate and key.
fn pair(node: &Node) -> [String; 2] {
    ["node.crt", "node.key"].map(|name| fs::read_to_string(node.path("secrets").join(name)).unwrap())
}

pub fn csr(request: &Request) -> Vec<u8> {
    BASE64.decode(request.body["csr"].as_str().unwrap().as_bytes()).unwrap()
}

pub fn renewed(certificate: &str, until: Timestamp) -> Reply {
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
    Reply::Json(200, json!({"certificate": certificate, "not_after": until}))
}

/// A server that renews for a week, or with whatever `make` makes of a CSR.
fn server(ca: &Arc<Ca>, make: impl Fn(&Ca, &[u8]) -> String + Send + Sync + 'static) -> Peer {
    let own = ca.clone();
    ca.peer(move |request| match request.line.split(' ').nth(1) {
        Some("/v1/node/renew") => renewed(&make(&own, &csr(request)), now() + 7 * DAY),
        Some("/v1/node/key-in-use") => Reply::Json(200, json!({})),
        _ => Reply::Json(404, json!({})),
    })
}

fn for_a_week(ca: &Ca, csr: &[u8]) -> String {
    ca.certify(csr, now() - DAY, now() + 7 * DAY)
}

/// A program of the operator; what it was told is in `told`.
pub fn hook(node: &Node, status: u8) -> String {
    let path: PathBuf = node.path(&format!("hook-{status}"));
    let told = node.path("told").display().to_string();
    fs::write(&path, format!("#!/bin/sh\necho $CENTRA_NODE $* >>{told}\nexit {status}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn told(node: &Node) -> usize {
    fs::read_to_string(node.path("told")).unwrap_or_default().matches("n1").count()
}

#[test]
fn nobody_is_asked_before_two_thirds_of_the_life_are_over_unless_it_is_wanted() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    let node = node(&ca, 3 * DAY, server.port);
    let before = pair(&node);
    let run = node.renew(&["--hook", &hook(&node, 0)]);
    assert!(run.code == Some(0) && run.says("INFO", "nothing to do"), "{run:?}");
    let asked = server.bodies("POST /v1/node/renew").len();
    assert_eq!((asked, told(&node), pair(&node)), (0, 0, before));
    assert_eq!(node.renew(&["--force"]).code, Some(0));
    assert_eq!(server.bodies("POST /v1/node/renew").len(), 1);
}

#[test]
fn a_certificate_that_is_due_is_renewed_for_the_same_key_and_the_services_are_told() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    let node = node(&ca, DAY, server.port);
    let [certificate, key] = pair(&node);
    let run = node.renew(&["--hook", &hook(&node, 0)]);
    assert!(run.code == Some(0) && run.says("INFO", "is renewed"), "{run:?}");
    let [after, same] = pair(&node);
    assert!(after != certificate && after.matches("BEGIN CERTIFICATE").count() == 2 && same == key);
    assert_eq!((told(&node), server.bodies("POST /v1/node/key-in-use").len()), (1, 0));
    // The cluster takes the node by it.
    assert!(node.renew(&[]).says("INFO", "nothing to do"));
}

#[test]
fn a_new_key_is_stored_before_the_server_hears_that_it_is_used() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    let node = node(&ca, DAY, server.port);
    let [certificate, key] = pair(&node);
    assert_eq!(node.renew(&["--new-key"]).code, Some(0));
    let after = pair(&node);
    assert!(after[0] != certificate && after[1] != key);
    assert_eq!(fs::metadata(node.path("secrets/node.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(server.bodies("POST /v1/node/key-in-use").len(), 1);
    // The pair is one: it is shown at the next renewal.
    assert_eq!(node.renew(&["--force"]).code, Some(0));
}

#[test]
fn the_copy_of_the_pair_that_the_cluster_has_is_renewed_too_and_another_pair_is_left_alone() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    for is_copy in [true, false] {
        let mut node = node(&ca, DAY, server.port);
        let cluster = node.path("cluster");
        qemu_tests::certificates::write(&cluster, &ca.pem, &ca.leaf());
        if is_copy {
            for name in ["node.crt", "node.key"] {
                fs::copy(node.path("secrets").join(name), cluster.join(name)).unwrap();
            }
        }
        let at = |name: &str| cluster.join(name).display().to_string();
        node.config["tls"] =
            json!({"ca_cert_path": at("ca.crt"), "node_cert_path": at("node.crt"), "node_key_path": at("node.key")});
        let run = node.renew(&[]);
        assert_eq!(run.code, Some(0));
        let copied = fs::read_to_string(cluster.join("node.crt")).unwrap() == pair(&node)[0];
        assert_eq!((copied, run.says("WARN", "who issued it renews it")), (is_copy, !is_copy));
    }
}

#[test]
fn a_hook_that_fails_is_run_again_the_next_time() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    let node = node(&ca, DAY, server.port);
    let run = node.renew(&["--hook", &hook(&node, 3)]);
    assert!(
        run.code == Some(1) && run.failure().starts_with("E-TOOL") && run.remedy().contains("run again"),
        "{run:?}"
    );
    let again = node.renew(&["--hook", &hook(&node, 0)]);
    assert!(again.code == Some(0) && again.says("INFO", "nothing to do"), "{again:?}");
    assert_eq!((told(&node), node.renew(&["--hook", &hook(&node, 0)]).code, told(&node)), (2, Some(0), 2));
}

#[test]
fn a_service_that_must_be_restarted_waits_for_its_turn_and_gives_it_back() {
    let ca = Arc::new(Ca::new("centra"));
    let (own, asked) = (ca.clone(), AtomicBool::new(false));
    let server = ca.peer(move |request| match request.line.split(' ').nth(1) {
        Some("/v1/node/renew") => renewed(&for_a_week(&own, &csr(request)), now() + 7 * DAY),
        Some("/v1/node/restart") if !asked.swap(true, Ordering::SeqCst) => {
            Reply::Json(200, json!({"turn": "wait", "reason": "n2 has the turn now", "retry_seconds": 1}))
        }
        Some("/v1/node/restart") => Reply::Json(200, json!({"turn": "go", "lease_seconds": 60})),
        _ => Reply::Json(200, json!({})),
    });
    let node = node(&ca, DAY, server.port);
    let run = node.renew(&["--hook", &hook(&node, 0), "--restart", "chainfire"]);
    assert!(run.code == Some(0) && run.says("INFO", "n2 has the turn now"), "{run:?}");
    assert_eq!(fs::read_to_string(node.path("told")).unwrap(), "n1 reload\nn1 restart chainfire\n");
    let back = json!({"service": "chainfire", "generation": 7});
    assert_eq!(server.bodies("POST /v1/node/restarted"), [back]);
}

#[test]
fn where_the_certificate_ends_a_service_is_restarted_without_a_turn() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, for_a_week);
    let node = node(&ca, Duration::minutes(5), server.port);
    let run = node.renew(&["--hook", &hook(&node, 0), "--restart", "flaredb"]);
    assert!(run.code == Some(0) && run.says("WARN", "without a turn"), "{run:?}");
    assert!(fs::read_to_string(node.path("told")).unwrap().ends_with("n1 restart flaredb\n"));
}

#[test]
fn an_answer_that_does_not_fit_changes_nothing() {
    let ca = Arc::new(Ca::new("centra"));
    type Make = fn(&Ca, &[u8]) -> String;
    let cases: [(Make, &str); 5] = [
        (|ca, _| ca.certify(&other_csr(), now() - DAY, now() + 7 * DAY), "another key"),
        (|_, csr| Ca::new("rogue").certify(csr, now() - DAY, now() + 7 * DAY), "the CA that this node trusts"),
        (|ca, csr| ca.certify(csr, now() - 9 * DAY, now() - DAY), "has ended already"),
        (|ca, csr| for_a_week(ca, csr).split("-----BEGIN").take(2).collect::<Vec<_>>().join("-----BEGIN"), "trusts"),
        (|_, _| String::new(), "there is none"),
    ];
    for (make, why) in cases {
        let server = server(&ca, make);
        let node = node(&ca, DAY, server.port);
        let before = pair(&node);
        let run = node.renew(&["--hook", &hook(&node, 0)]);
        assert!(run.code == Some(1) && run.failure().contains(why), "{why}: {}", run.failure());
        assert_eq!((pair(&node), told(&node)), (before, 0), "{why}");
    }
}

fn other_csr() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn a_server_that_is_away_is_told_and_nothing_is_lost() {
    let ca = Arc::new(Ca::new("centra"));
    let node = node(&ca, DAY, 1);
    let before = pair(&node);
    let run = node.renew(&[]);
    assert!(run.code == Some(1) && run.failure().starts_with("E-SERVER-UNREACHABLE"), "{}", run.failure());
    assert_eq!(pair(&node), before);
}

/// A server that knows the key of a node whose certificate has ended; an admin approves where `approved` says so.
fn remembering(ca: &Arc<Ca>, node: &str, approved: Arc<AtomicBool>) -> (Peer, PublicKey) {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = PublicKey(signer.public_key().as_ref().to_vec());
    let (own, node, known) = (ca.clone(), node.to_owned(), std::sync::Mutex::new(Vec::new()));
    let peer = ca.peer_of_anyone(move |request| {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        if path == "/v1/enrol/hello" {
            let hello: HelloRequest = serde_json::from_value(request.body.clone()).unwrap();
            let (nonce, time) = (vec![9; 32], now());
            let signature = signer.sign(&hello_statement(&hello.nonce, &nonce, time));
            let encoded = |bytes: &[u8]| BASE64.encode(bytes);
            let time: Value = time.format(&time::format_description::well_known::Rfc3339).unwrap().into();
            return Reply::Json(200, json!({"session": "s", "nonce": encoded(&nonce), "time": time, "signature": encoded(signature.as_ref())}));
        }
        if path == "/v1/enrol" {
            *known.lock().unwrap() = csr(request);
        }
        if !approved.swap(true, Ordering::SeqCst) {
            return Reply::Json(200, json!({"state": "pending", "missing": ["an admin to type the code"]}));
        }
        let certificate = for_a_week(&own, &known.lock().unwrap());
        Reply::Json(200, json!({"state": "approved", "node": node, "certificate": certificate}))
    });
    (peer, public)
}

pub fn with_manifest_key(node: &Node, key: PublicKey) {
    let path = node.path("install.json");
    let marker: InstallMarker = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(path, serde_json::to_vec(&InstallMarker { manifest_keys: vec![key], ..marker }).unwrap()).unwrap();
}

#[test]
fn a_node_that_was_off_for_too_long_comes_back_by_its_key() {
    let ca = Arc::new(Ca::new("centra"));
    for at_once in [true, false] {
        let (server, key) = remembering(&ca, "n1", Arc::new(AtomicBool::new(at_once)));
        let node = node(&ca, -DAY, server.port);
        with_manifest_key(&node, key);
        let [_, key] = pair(&node);
        let run = node.renew(&["--hook", &hook(&node, 0), "--new-key"]);
        assert!(run.code == Some(0) && run.says("INFO", "is renewed"), "{run:?}");
        assert_eq!(run.says("WARN", "waiting for: an admin to type the code"), !at_once);
        assert_eq!((pair(&node)[1].clone(), told(&node)), (key, 1));
    }
    // A server that takes the key for another node's, and one whose hello nobody signed.
    let (server, key) = remembering(&ca, "n2", Arc::new(AtomicBool::new(true)));
    let node = node(&ca, -DAY, server.port);
    assert!(node.renew(&[]).failure().starts_with("E-TLS"));
    with_manifest_key(&node, key);
    assert!(node.renew(&[]).failure().starts_with("E-ENROL-CONFLICT"));
}
