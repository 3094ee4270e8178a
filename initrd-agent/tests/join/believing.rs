//! What a node is to believe, learnt by the timer of its renewal: the next root beside the current one, and the other way round.

use crate::{
    node::Node,
    renewal::{self, DAY, csr, hook, now, renewed},
};
use data_encoding::BASE64;
use host::{certificate, http::pem};
use protocol::{
    encoding::Sha256,
    marker::InstallMarker,
    trust::{Believe, PublicKey},
};
use qemu_tests::{
    certificates::Ca,
    cluster_peer::{Peer, Reply},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
};

/// A boot-server that answers with these roots, the first of which issues, and says what it was told.
struct Server {
    peer: Peer,
    answer: Arc<Mutex<Value>>,
}

fn signer(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// Keys from 1 on; the node knows the first.
fn believe(roots: &[&Ca], keys: u8) -> Value {
    let keys: Vec<PublicKey> = (1..=keys).map(|seed| PublicKey(signer(seed).public_key().as_ref().to_vec())).collect();
    let roots_pem: String = roots.iter().map(|ca| ca.pem.clone()).collect();
    json!({"roots": roots_pem, "manifest_keys": keys, "revoked": roots[0].revocation_list(), "signature": ""})
}

/// The answer, signed for the request by the key of this seed.
fn signed(answer: &Value, request: &Value, seed: u8) -> Value {
    let Ok(believe) = serde_json::from_value::<Believe>(answer.clone()) else { return answer.clone() };
    let nonce = BASE64.decode(request["nonce"].as_str().unwrap().as_bytes()).unwrap();
    let signature = signer(seed).sign(&believe.statement(&nonce)).as_ref().to_vec();
    serde_json::to_value(Believe { signature, ..believe }).unwrap()
}

/// A node that knows the first manifest key.
fn node(ca: &Ca, left: time::Duration, server: u16) -> Node {
    let node = renewal::node(ca, left, server);
    renewal::with_manifest_key(&node, PublicKey(signer(1).public_key().as_ref().to_vec()));
    node
}

fn server(shows: &Arc<Ca>, issues: &Arc<Ca>, answer: Value) -> Server {
    let answer = Arc::new(Mutex::new(answer));
    let (issues, given) = (issues.clone(), answer.clone());
    // Which roots the real one takes clients of is its own tests' matter.
    let peer = shows.peer_of_anyone(move |request| match request.line.split(' ').nth(1) {
        Some("/v1/node/trust") => Reply::Json(200, signed(&given.lock().unwrap(), &request.body, 1)),
        Some("/v1/node/renew") => {
            let certificate = issues.certify(&csr(request), now() - DAY, now() + 7 * DAY);
            renewed(&certificate, now() + 7 * DAY)
        }
        Some("/v1/node/restart") => Reply::Json(200, json!({"turn": "go", "lease_seconds": 60})),
        _ => Reply::Json(200, json!({})),
    });
    Server { peer, answer }
}

fn pins(cas: &[&Ca]) -> Vec<Sha256> {
    cas.iter().map(|ca| Sha256::of(&ca.spki)).collect()
}

fn marker(node: &Node) -> InstallMarker {
    serde_json::from_slice(&fs::read(node.path("install.json")).unwrap()).unwrap()
}

fn roots(node: &Node) -> Vec<Sha256> {
    let roots = pem::certificates(&node.path("secrets/ca.crt")).unwrap();
    roots.iter().filter_map(|root| certificate::spki(root)).collect()
}

fn restarts(node: &Node) -> usize {
    fs::read_to_string(node.path("told")).unwrap_or_default().matches("restart etcd").count()
}

#[test]
fn a_node_learns_the_next_root_restarts_what_reads_it_and_tells_the_server_at_the_end() {
    let (current, next) = (Arc::new(Ca::new("current")), Arc::new(Ca::new("next")));
    let server = server(&current, &current, believe(&[&current, &next], 2));
    let node = node(&current, 5 * DAY, server.peer.port);
    let renew = || node.renew(&["--hook", &hook(&node, 0), "--restart-for-roots", "etcd"]);
    let run = renew();
    assert!(run.code == Some(0) && run.says("INFO", "nothing to do"), "{run:?}");
    let both = pins(&[&current, &next]);
    assert_eq!((roots(&node), marker(&node).ca_spki_sha256, restarts(&node)), (both.clone(), both.clone(), 1));
    assert_eq!(marker(&node).manifest_keys.len(), 2);
    for name in ["ca.crt", "ca.crl"] {
        let mode = fs::metadata(node.path("secrets").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{name}");
    }
    let told = server.peer.bodies("POST /v1/node/trust");
    assert_eq!(told.len(), 2, "before and after");
    assert_eq!((&told[0]["ca_spki_sha256"], &told[1]["ca_spki_sha256"]), (&json!(both[..1]), &json!(both)));
    assert_eq!(told[1]["issued_under"], json!(both[0]));
    assert!(server.peer.bodies("POST /v1/node/renew").is_empty());
    renew();
    assert_eq!((restarts(&node), server.peer.bodies("POST /v1/node/trust").len()), (1, 3), "nothing is new");

    // It is cancelled: the next root goes again.
    *server.answer.lock().unwrap() = believe(&[&current], 1);
    renew();
    assert_eq!(
        (roots(&node), marker(&node).ca_spki_sha256, restarts(&node)),
        (pins(&[&current]), pins(&[&current]), 2)
    );
}

#[test]
fn a_node_renews_at_once_where_another_root_issues_and_restarts_nothing_for_that() {
    let (old, new) = (Arc::new(Ca::new("old")), Arc::new(Ca::new("new")));
    let server = server(&old, &new, believe(&[&old, &new], 2));
    let node = node(&old, 5 * DAY, server.peer.port);
    let renew = || node.renew(&["--hook", &hook(&node, 0), "--restart-for-roots", "etcd"]);
    renew();
    *server.answer.lock().unwrap() = believe(&[&new, &old], 2);
    let run = renew();
    assert!(run.code == Some(0) && run.says("INFO", "is renewed"), "{run:?}");
    let chain = pem::certificates(&node.path("secrets/node.crt")).unwrap();
    assert_eq!(certificate::spki(chain.last().unwrap()), Some(Sha256::of(&new.spki)));
    assert_eq!((roots(&node), restarts(&node)), (pins(&[&new, &old]), 1));
    let told = server.peer.bodies("POST /v1/node/trust");
    assert_eq!(told.last().unwrap()["issued_under"], json!(Sha256::of(&new.spki)));
}

#[test]
fn services_that_were_not_restarted_are_the_next_time_and_the_server_hears_nothing_before() {
    let (current, next) = (Arc::new(Ca::new("current")), Arc::new(Ca::new("next")));
    let server = server(&current, &current, believe(&[&current, &next], 2));
    let node = node(&current, 5 * DAY, server.peer.port);
    let run = node.renew(&["--hook", &hook(&node, 3), "--restart-for-roots", "etcd"]);
    assert!(run.code == Some(0) && run.says("WARN", "asked again the next time"), "{run:?}");
    assert_eq!((marker(&node).ca_spki_sha256.len(), server.peer.bodies("POST /v1/node/trust").len()), (1, 1));
    node.renew(&["--hook", &hook(&node, 0), "--restart-for-roots", "etcd"]);
    assert_eq!((marker(&node).ca_spki_sha256.len(), restarts(&node)), (2, 1));
}

#[test]
fn an_answer_that_nobody_could_believe_changes_nothing() {
    let ca = Arc::new(Ca::new("centra"));
    let server = server(&ca, &ca, json!({}));
    let node = node(&ca, 5 * DAY, server.peer.port);
    let before = (roots(&node), marker(&node));
    let good = believe(&[&ca], 1);
    let leaf = pem::encode(&[ca.leaf().der]);
    for (at, value) in [
        ("roots", json!("")),
        ("roots", json!(leaf)),
        ("roots", json!(ca.pem.repeat(17))),
        ("manifest_keys", json!([])),
        ("manifest_keys", json!(["AAAA"])),
        ("revoked", json!("")),
        ("revoked", json!(ca.pem)),
    ] {
        let mut wrong = good.clone();
        wrong[at] = value;
        *server.answer.lock().unwrap() = wrong;
        assert!(node.renew(&[]).says("WARN", "hearing what to believe"), "{at}");
        assert_eq!((roots(&node), marker(&node)), before.clone(), "{at}");
        assert!(!node.path("secrets/ca.crl").exists());
    }
}

#[test]
fn who_has_an_issuing_key_and_no_manifest_key_moves_no_node_to_another_root_and_replays_nothing() {
    let ca = Arc::new(Ca::new("centra"));
    let rogue = Ca::new("rogue");
    let (answer, kept) = (believe(&[&ca, &rogue], 1), Arc::new(Mutex::new(None::<Value>)));
    for way in ["unsigned", "another key", "replayed"] {
        let (given, kept) = (answer.clone(), kept.clone());
        let peer = ca.peer_of_anyone(move |request| match (request.line.split(' ').nth(1), way) {
            (Some("/v1/node/trust"), "unsigned") => Reply::Json(200, given.clone()),
            (Some("/v1/node/trust"), "another key") => Reply::Json(200, signed(&given, &request.body, 9)),
            (Some("/v1/node/trust"), _) => {
                let mut kept = kept.lock().unwrap();
                // What the server once signed for another request.
                let first = kept.get_or_insert_with(|| signed(&given, &json!({"nonce": BASE64.encode(&[1; 32])}), 1));
                Reply::Json(200, first.clone())
            }
            _ => Reply::Json(200, json!({})),
        });
        let node = node(&ca, 5 * DAY, peer.port);
        let before = (roots(&node), marker(&node));
        let run = node.renew(&[]);
        assert!(run.says("WARN", "no manifest key that this node believes has signed it"), "{way}: {run:?}");
        assert_eq!((roots(&node), marker(&node)), before, "{way}");
    }
}
