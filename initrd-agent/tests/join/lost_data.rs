//! A member whose state folder outlived its data: nothing is founded a second time.

use crate::{
    admin_api::{self, QUICK},
    etcd_process::Etcd,
    node::Node,
};
use qemu_tests::certificates::Ca;
use qemu_tests::cluster_peer::documented::Service;
use serde_json::json;
use std::fs;

fn environment(node: &Node) -> String {
    fs::read_to_string(node.path("state/etcd.env")).unwrap()
}

#[test]
fn a_founder_whose_data_is_gone_is_to_be_replaced_and_founds_nothing_again() {
    let ca = Ca::new("cluster");
    let node = Node::founder(&ca, "m1");
    let etcd = Etcd::of(&node);
    assert_eq!(etcd.join().code, Some(0));
    assert!(environment(&node).contains("ETCD_INITIAL_CLUSTER_STATE=\"existing\""), "{}", environment(&node));
    assert!(node.health_check(&[]).lines[0]["healthy"].as_bool().unwrap());

    etcd.stop();
    fs::remove_dir_all(node.path("data")).unwrap();
    fs::create_dir(node.path("data")).unwrap();
    let run = etcd.join();
    assert_eq!(run.code, Some(1), "a marker without data counts for nothing");
    assert!(run.failure().starts_with("E-CLUSTER-JOIN") && run.failure().contains("its data is gone"), "{run:?}");
    assert!(run.remedy().starts_with("replace this node"), "{}", run.remedy());
    let health = node.health_check(&["--timeout", "1"]);
    assert_eq!(health.code, Some(1));
    assert!(health.lines[0].to_string().contains("its data is gone"), "{:?}", health.lines);
    // The marker is gone as well, etcd.env is not.
    node.remove_marker(".etcd-initialized");
    let run = etcd.join();
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("had founded the cluster"), "{}", run.failure());
    // What etcd.service would start by itself founds nothing, either.
    etcd.start();
    assert_eq!(node.health_check(&["etcd", "--timeout", "3"]).code, Some(1));
    assert!(!node.path("data/member/wal").exists(), "etcd has begun anew");
}

#[test]
fn a_joiner_whose_data_is_gone_is_to_be_replaced() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    assert_eq!(etcd.join().code, Some(0));
    etcd.stop();
    // An etcd that did not come far leaves folders.
    fs::remove_dir_all(second.path("data/member/wal")).unwrap();
    let run = etcd.join();
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("its data is gone"), "{}", run.failure());
}

#[test]
fn a_service_that_does_not_list_a_node_that_joined_it_is_told_and_one_that_starts_is_waited_for() {
    let ca = Ca::new("cluster");
    let peer = admin_api::cluster(&ca, Service::Chainfire, "201,204");
    let mut node = admin_api::joiner(&ca, &peer);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    // The service on this node is another's now, which lists n1 alone.
    let emptied = admin_api::cluster(&ca, Service::Chainfire, "200");
    node.port = emptied.port;
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("lists n1, and not n2"), "{}", run.failure());
    node.port = crate::node::free_port();
    node.config["leader_url"] = json!(format!("https://127.0.0.1:{}", peer.port));
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0), "it may be starting");
}
