//! The initial set-up, against a peer that answers as IAM does.

use crate::node::Node;
use qemu_tests::certificates::Ca;
use qemu_tests::cluster_peer::{
    Peer, Reply,
    documented::{Documented, Service},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicUsize, Ordering},
};

const QUICK: [&str; 4] = ["--retry-base", "20", "--call-timeout", "400"];
/// In what the peer answers by a script, which repeats the request; in no log.
const PASSWORD: &str = "correct horse battery staple";

/// An IAM that connects to its database at the third look.
fn iam(ca: &Ca, faults: &str) -> Peer {
    let (looks, service) = (AtomicUsize::new(0), documented(faults));
    ca.peer(move |request| match request.path() {
        "/health" if looks.fetch_add(1, Ordering::SeqCst) < 2 => {
            Reply::Json(200, json!({"status": "healthy", "database": "connecting", "version": "1.0.0"}))
        }
        _ => service.answer(request),
    })
}

pub fn documented(faults: &str) -> Documented {
    Documented::new(Service::Iam, Vec::new()).with_faults(faults.parse().unwrap())
}

pub fn node(ca: &Ca, peer: &Peer, credentials: Option<Value>) -> Node {
    let mut node = Node::founder(ca, "n1");
    node.port = peer.port;
    if let Some(credentials) = credentials {
        let path = node.path("secrets/iam-admin.json");
        fs::write(&path, credentials.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    node
}

pub fn administrator() -> Option<Value> {
    Some(json!({"username": "admin", "password": PASSWORD, "token": "from-the-installer"}))
}

#[test]
fn the_administrator_is_created_once_with_a_token_for_the_node_and_no_secret_is_logged() {
    let ca = Ca::new("cluster");
    let peer = iam(&ca, "503,half,201");
    let node = node(&ca, &peer, administrator());
    let run = node.join("iam", &QUICK);
    assert_eq!(run.code, Some(0));
    let users = peer.requests("POST /api/users");
    assert_eq!((users.len(), users[2].token.as_deref()), (3, Some("from-the-installer")));
    assert_eq!((&users[2].body["username"], &users[2].body["password"]), (&json!("admin"), &json!(PASSWORD)));
    let token = node.path("secrets/iam-token");
    assert_eq!(fs::read_to_string(&token).unwrap(), "token-0\n");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(node.has_marker(".iam-initialized"));
    let log = format!("{run:?}");
    assert!(!log.contains(PASSWORD) && !log.contains("token-0") && !log.contains("from-the-installer"));

    assert_eq!(node.join("iam", &QUICK).code, Some(0));
    assert_eq!(peer.requests("POST").len(), 4, "a marker: nothing is asked again");
    let health = node.health_check(&[]);
    assert_eq!((health.code, &health.lines[0]["services"][0]["version"]), (Some(0), &json!("1.0.0")));
    assert_eq!(node.run_verb("members", &["iam"]).code, Some(3));
    assert_eq!(node.run_verb("leave", &["iam"]).code, Some(0));
    assert!(!node.has_marker(".iam-initialized"));
}

#[test]
fn an_administrator_that_exists_was_created_by_another_founder() {
    let ca = Ca::new("cluster");
    let peer = iam(&ca, "409");
    let node = node(&ca, &peer, administrator());
    assert_eq!(node.join("iam", &QUICK).code, Some(2));
    assert!(node.has_marker(".iam-initialized"));
}

#[test]
fn credentials_that_others_can_read_or_that_are_missing_are_refused_with_the_path() {
    let ca = Ca::new("cluster");
    let peer = iam(&ca, "503");
    let mut node = node(&ca, &peer, None);
    let missing = node.join("iam", &QUICK);
    assert_eq!(missing.code, Some(3));
    assert!(missing.failure().contains("iam-admin.json"), "{}", missing.failure());
    let path = node.path("secrets/iam-admin.json");
    fs::write(&path, administrator().unwrap().to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = node.join("iam", &QUICK);
    assert_eq!(open.code, Some(3));
    assert!(open.failure().contains("0644") && open.remedy().contains("0600"), "{}", open.failure());
    assert!(peer.requests("POST").is_empty());

    // Who joins later finds IAM set up.
    fs::remove_file(path).unwrap();
    node.config["bootstrap"] = json!(false);
    assert_eq!(node.join("iam", &QUICK).code, Some(2));
}
