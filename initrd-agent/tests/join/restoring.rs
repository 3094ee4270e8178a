//! Founders that begin with the snapshot of a cluster that was lost: real etcd, and a boot-server that hands it out.

use crate::{boot_server::install_marker, etcd_process::Etcd, node::Node};
use protocol::encoding::Sha256;
use qemu_tests::certificates::Ca;
use qemu_tests::cluster_peer::{Peer, Reply};
use serde_json::json;
use std::{fs, thread};

/// What a cluster held that is gone.
fn snapshot(ca: &Ca) -> Vec<u8> {
    let lost = Node::founder(ca, "old");
    let etcd = Etcd::of(&lost);
    assert_eq!(etcd.join().code, Some(0));
    etcd.ctl(&["put", "order", "four and twenty"]);
    let file = lost.path("saved");
    etcd.ctl(&["snapshot", "save", file.to_str().unwrap()]);
    fs::read(file).unwrap()
}

/// Has every node found with this snapshot, and hands out these bytes for it.
fn server(ca: &Ca, peers: Vec<String>, snapshot: &[u8], handed_out: Vec<u8>) -> Peer {
    restore(ca, "test-1", peers, snapshot, handed_out)
}

fn restore(ca: &Ca, token: &'static str, peers: Vec<String>, snapshot: &[u8], handed_out: Vec<u8>) -> Peer {
    let described = json!({"sha256": Sha256::of(snapshot), "size": snapshot.len()});
    ca.peer(move |request| match request.path() {
        "/v1/node/turn" => {
            Reply::Json(200, json!({"turn": "restore", "peers": peers, "token": token, "snapshot": described}))
        }
        "/v1/node/snapshot?service=etcd&generation=7" => Reply::File(handed_out.clone()),
        "/v1/telemetry" => Reply::Json(200, json!({"events_through": 99, "lines_through": 999})),
        _ => Reply::Json(200, json!({})),
    })
}

fn fetches(server: &Peer) -> usize {
    server.requests("GET /v1/node/snapshot").len()
}

#[test]
fn three_founders_begin_with_what_the_lost_cluster_held_and_are_one_cluster() {
    let ca = Ca::new("cluster");
    let snapshot = snapshot(&ca);
    let nodes = ["m1", "m2", "m3"].map(|id| Node::founder(&ca, id));
    let peers = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.raft));
    let server = server(&ca, peers.to_vec(), &snapshot, snapshot.clone());
    nodes.iter().for_each(|node| install_marker(&ca, node, server.port));
    let etcds = nodes.each_ref().map(Etcd::of);
    thread::scope(|scope| {
        let runs = etcds.each_ref().map(|etcd| scope.spawn(|| etcd.join().code));
        assert_eq!(runs.map(|run| run.join().unwrap()), [Some(0); 3]);
    });
    assert_eq!(etcds[0].members().len(), 3);
    assert_eq!(etcds[0].members(), etcds[2].members());
    assert_eq!(etcds[1].ctl(&["get", "order", "--print-value-only"]), "four and twenty\n");
    assert!(!nodes[0].path("state/etcd.snapshot").exists(), "a copy of the data is left");
    let environment = fs::read_to_string(nodes[0].path("state/etcd.env")).unwrap();
    assert!(environment.contains("ETCD_INITIAL_CLUSTER_TOKEN=\"test-1\""), "{environment}");

    // The marker is lost before the others are ready: the data is not made anew, and nothing is fetched again.
    etcds[1].ctl(&["put", "order", "changed"]);
    nodes[0].remove_marker(".etcd-initialized");
    assert_eq!(etcds[0].join().code, Some(0));
    assert_eq!(etcds[0].ctl(&["get", "order", "--print-value-only"]), "changed\n");
    assert_eq!(fetches(&server), 3);
}

#[test]
fn a_power_cut_before_the_data_is_noted_loses_nothing() {
    let ca = Ca::new("cluster");
    let snapshot = snapshot(&ca);
    let node = Node::founder(&ca, "m1");
    let server = server(&ca, vec![format!("127.0.0.1:{}", node.raft)], &snapshot, snapshot.clone());
    install_marker(&ca, &node, server.port);
    let etcd = Etcd::of(&node);
    // As after a cut while etcd's tool ran.
    fs::create_dir_all(node.path("data/restoring/member")).unwrap();
    assert_eq!(etcd.join().code, Some(0));
    etcd.stop();
    // As after a cut between the data and etcd.env.
    fs::remove_file(node.path("state/etcd.env")).unwrap();
    node.remove_marker(".etcd-initialized");
    assert_eq!(etcd.join().code, Some(0));
    assert_eq!(etcd.ctl(&["get", "order", "--print-value-only"]), "four and twenty\n");
}

#[test]
fn a_snapshot_that_is_not_what_was_announced_founds_nothing() {
    let ca = Ca::new("cluster");
    let snapshot = b"what the cluster held".to_vec();
    for (handed_out, said) in [
        (b"what the cluster hold".to_vec(), "SHA-256"),
        (b"what the cluster held, and more".to_vec(), "more than the 21 bytes"),
        (b"what".to_vec(), "4 of 21 bytes came"),
        // It is what was announced, and no snapshot.
        (snapshot.clone(), "etcd"),
    ] {
        let node = Node::founder(&ca, "m1");
        let server = server(&ca, vec![format!("127.0.0.1:{}", node.raft)], &snapshot, handed_out);
        install_marker(&ca, &node, server.port);
        let run = node.join("etcd", &["--retry-base", "20", "--attempts", "2", "--start-command", "true"]);
        assert_eq!(run.code, Some(1), "{said}");
        assert!(run.failure().contains(said), "{said}: {}", run.failure());
        for path in ["data/member", "state/etcd.env", "state/etcd.snapshot"] {
            assert!(!node.path(path).exists(), "{said}: {path}");
        }
    }
}

#[test]
fn a_founder_that_began_otherwise_is_not_mixed_into_a_cluster_that_is_restored() {
    let ca = Ca::new("cluster");
    let snapshot = snapshot(&ca);
    let (empty, older) = (Node::founder(&ca, "m1"), Node::founder(&ca, "m2"));
    let peers = |node: &Node| vec![format!("127.0.0.1:{}", node.raft)];
    let first = server(&ca, peers(&older), &snapshot, snapshot.clone());
    install_marker(&ca, &older, first.port);
    for (node, why) in [(&empty, "does not say that it is this founder's"), (&older, "before the snapshot")] {
        let etcd = Etcd::of(node);
        assert_eq!(etcd.join().code, Some(0));
        etcd.stop();
        node.remove_marker(".etcd-initialized");
        let second = restore(&ca, "test-2", peers(node), &snapshot, snapshot.clone());
        install_marker(&ca, node, second.port);
        let run = etcd.join();
        assert_eq!(run.code, Some(1));
        assert!(run.failure().contains("E-CLUSTER-LEFTOVER") && run.failure().contains(why), "{}", run.failure());
        assert!(node.path("data/member").exists() && !node.path("state/etcd.snapshot").exists());
    }
}
