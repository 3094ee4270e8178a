//! What is refused before anything is contacted.

use crate::node::Node;
use qemu_tests::certificates::Ca;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_bad_configuration_ends_with_3_and_names_the_key() {
    let ca = Ca::new("cluster");
    for (key, value, named) in [
        ("raft_addr", json!("node2:2380"), "raft_addr"),
        ("leader_url", json!("http://127.0.0.1:1"), "leader_url"),
        ("bootstrap", json!("yes"), "bootstrap"),
        ("bootstrap", json!(true), "initial_peers"),
        ("initial_peers", json!(["127.0.0.1:1", 5]), "initial_peers[1]"),
        ("node_name", json!("m2"), "node_name"),
    ] {
        let mut node = Node::joiner(&ca, "m2", 1);
        node.config[key] = value;
        let run = node.join("etcd", &["--start-command", "false"]);
        assert_eq!(run.code, Some(3), "{key}");
        assert!(run.failure().contains(named), "{}", run.failure());
        assert_eq!(node.join("etcd", &["--decide"]).code, Some(2), "{key}");
        assert!(!node.path("state").exists());
    }
}

#[test]
fn wrong_arguments_end_with_3_so_that_no_unit_takes_them_for_success() {
    let ca = Ca::new("cluster");
    let node = Node::joiner(&ca, "m2", 1);
    assert_eq!(node.join("etcd", &["--no-such-option"]).code, Some(3));
    let unknown = node.join("zookeeper", &[]);
    assert_eq!(unknown.code, Some(3));
    assert!(unknown.failure().contains("zookeeper"));
}

#[test]
fn check_config_says_what_the_node_does_or_which_key_is_wrong() {
    let ca = Ca::new("cluster");
    let mut node = Node::founder(&ca, "m1");
    let good = node.check_config(&[]);
    assert!(good.status.success());
    assert!(String::from_utf8_lossy(&good.stdout).contains("m1 founds the cluster test"));
    let without = node.check_config(&["etcd", "flaredb"]);
    assert_eq!(without.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&without.stderr).contains("flaredb_peers"));
    node.config["raft_addr"] = json!("here");
    let bad = node.check_config(&[]);
    assert_eq!(bad.status.code(), Some(3));
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(said.contains("raft_addr") && said.contains("here") && said.contains("IP:port"), "{said}");
}

#[test]
fn check_config_refuses_what_a_join_would_and_names_the_key() {
    let ca = Ca::new("cluster");
    let elsewhere = json!(["127.0.0.2:2380", "127.0.0.3:2380"]);
    for (key, value, named) in [
        ("initial_peers", elsewhere, "initial_peers: no entry has raft_addr"),
        ("services", json!({"etcd": {"port": 70000}}), "services.etcd.port: 70000"),
        ("node_ip", json!("0.0.0.0"), "node_ip: 0.0.0.0"),
        ("network", json!({"cluster": "10.0.0.0/99"}), "network.cluster"),
    ] {
        let mut node = Node::founder(&ca, "m1");
        node.config[key] = value;
        let checked = node.check_config(&["etcd"]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.code() == Some(3) && said.contains(named), "{key}: {said}");
        let run = node.join("etcd", &["--start-command", "false"]);
        assert!(run.code == Some(3) && run.failure().contains(named), "{key}: {}", run.failure());
    }
    let mut node = Node::founder(&ca, "m1");
    node.config["leader_url"] = json!("https://127.0.0.1");
    let said = node.check_config(&[]);
    assert!(said.status.success() && String::from_utf8_lossy(&said.stderr).contains("port 443"), "{said:?}");
}

#[test]
fn a_configuration_that_others_can_write_or_that_is_no_json_is_refused_with_what_to_do() {
    let ca = Ca::new("cluster");
    let node = Node::founder(&ca, "m1");
    assert!(node.check_config(&[]).status.success());
    let path = node.path("secrets/cluster-config.json");
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
        let output = command.arg("check-config").arg("--secrets-dir").arg(node.path("secrets")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (code, said) = check();
    assert!(code == Some(3) && said.contains("0666") && said.contains("chmod 0600"), "{said}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, format!("\u{feff}{}", node.config)).unwrap();
    let (code, said) = check();
    assert!(code == Some(3) && said.contains("byte order mark") && !said.contains("the key that is named"), "{said}");
}

#[test]
fn the_decision_is_an_exit_code_of_its_own() {
    let ca = Ca::new("cluster");
    assert_eq!(Node::founder(&ca, "m1").join("etcd", &["--decide"]).code, Some(0));
    assert_eq!(Node::joiner(&ca, "m2", 1).join("chainfire", &["--decide"]).code, Some(1));
}

#[test]
fn every_line_of_the_log_has_the_keys_of_the_contract() {
    let ca = Ca::new("cluster");
    let run = Node::joiner(&ca, "m2", 1).join("etcd", &["--attempts", "1"]);
    assert_eq!(run.code, Some(1));
    for line in &run.lines {
        for key in ["timestamp", "level", "service", "operation", "message"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
        assert_eq!(line["service"], "etcd");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_asked_for_by_its_path() {
    let ca = Ca::new("cluster");
    let run = Node::joiner(&ca, "m2", 1).join("etcd", &["--config", "/does/not/exist.json"]);
    assert_eq!(run.code, Some(3));
    assert!(run.failure().contains("/does/not/exist.json") && run.remedy().contains("--config"));
}
