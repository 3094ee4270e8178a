//! What is found on the node before anybody is asked.

use crate::{
    boot_server::{install_marker, installed_at},
    node::{Node, free_port},
};
use qemu_tests::certificates::Ca;
use qemu_tests::cluster_peer::Reply;
use serde_json::json;
use std::net::TcpListener;

#[test]
fn all_findings_are_reported_at_once_and_nobody_is_asked() {
    let ca = Ca::new("cluster");
    let leader = ca.peer(|_| Reply::Json(200, json!({})));
    let node = Node::joiner(&ca, "m2", leader.port);
    // Somebody else has etcd's ports: this process.
    let _client = TcpListener::bind(("127.0.0.1", node.port)).unwrap();
    let _peer = TcpListener::bind(("127.0.0.1", node.raft)).unwrap();
    let demands = ["--least-memory", "99999999", "--least-cpus", "9999", "--least-free", "999999999"];
    let run = node.join("etcd", &[&demands[..], &["--start-command", "false"]].concat());
    assert_eq!(run.code, Some(1));
    let owner = format!("(process {}) listens there, not etcd", std::process::id());
    let ports = [node.port, node.raft].map(|port| format!("checking the port {port}: "));
    for part in ["E-PREFLIGHT", "MiB free", "MiB of memory", "processors, at least", &owner, &ports[0], &ports[1]] {
        assert!(run.failure().contains(part), "{part}: {}", run.failure());
    }
    for part in ["--least-memory", "--least-cpus", "--process", "larger file system"] {
        assert!(run.remedy().contains(part), "{part}: {}", run.remedy());
    }
    assert!(leader.requests("").is_empty() && !node.path("state/etcd.env").exists());
}

#[test]
fn a_clock_before_the_installation_is_impossible() {
    let ca = Ca::new("cluster");
    let node = Node::founder(&ca, "m1");
    install_marker(&ca, &node, free_port());
    installed_at(&node, time::OffsetDateTime::now_utc() + time::Duration::hours(1));
    let run = node.join("etcd", &["--start-command", "false"]);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("E-PREFLIGHT checking the clock"), "{}", run.failure());
    assert!(run.remedy().contains("set the clock"));
}
