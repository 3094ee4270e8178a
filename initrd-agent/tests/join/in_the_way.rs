//! What keeps a node from joining etcd is named, and a node that cannot join stands in nobody's way.

use crate::{
    etcd_process::Etcd,
    node::{Node, free_port},
};
use qemu_tests::certificates::Ca;
use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

fn script(node: &Node, name: &str, text: &str) -> String {
    let path = node.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_joiner_whose_etcd_does_not_start_takes_its_learner_back_and_says_what_it_said_last() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let broken = Node::joiner(&ca, "m2", first.port);
    let fatal = r#"{"level":"fatal","msg":"discovery failed","error":"incompatible with current running cluster"}"#;
    fs::write(broken.path("journal"), format!("starting\n{fatal}\n{{\"level\":\"info\",\"msg\":\"closed\"}}\n"))
        .unwrap();
    let journal = format!("cat {}", broken.path("journal").display());
    let options =
        ["--start-command", "true", "--health-timeout", "2", "--attempts", "9", "--journal-command", &journal];
    for _ in 0..2 {
        let run = broken.join("etcd", &options);
        assert_eq!(run.code, Some(1));
        let said = "etcd said last: discovery failed: incompatible with current running cluster";
        assert!(run.failure().starts_with("E-SERVICE-UNHEALTHY") && run.failure().ends_with(said), "{}", run.failure());
        assert_eq!(first_etcd.members().len(), 1, "its learner is taken back");
        // What such an etcd leaves, and the next attempt goes on from.
        fs::create_dir_all(broken.path("data/member/snap")).unwrap();
    }
    let third = Node::joiner(&ca, "m3", first.port);
    let third_etcd = Etcd::of(&third);
    assert_eq!(third_etcd.join().code, Some(0), "it had nothing wrong");
}

#[test]
fn a_learner_of_another_is_named_with_its_id_and_address() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let url = format!("https://127.0.0.1:{}", free_port());
    let added = first_etcd.ctl(&["member", "add", "x", "--learner", &format!("--peer-urls={url}")]);
    let id = added.split_whitespace().nth(1).unwrap();
    let second = Node::joiner(&ca, "m2", first.port);
    let run = second.join("etcd", &["--start-command", "false", "--attempts", "2"]);
    assert_eq!(run.code, Some(1));
    let said = format!("in the way: a member (id {id}) at {url} is a learner that has not started");
    assert!(run.failure().contains(&said), "{}", run.failure());
    assert!(run.remedy().contains("cluster remove"), "{}", run.remedy());
}

#[test]
fn a_voter_that_does_not_answer_is_named() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let nodes = ["m2", "m3"].map(|id| Node::joiner(&ca, id, first.port));
    let etcds = nodes.each_ref().map(Etcd::of);
    for etcd in &etcds {
        assert_eq!(etcd.join().code, Some(0));
    }
    etcds[1].stop();
    thread::sleep(Duration::from_secs(2));
    let mut fourth = Node::joiner(&ca, "m4", first.port);
    // A founder that cannot be reached is asked last; the refusal before it counts.
    fourth.config["initial_peers"] = serde_json::json!(["127.0.0.9:2380"]);
    let run = fourth.join("etcd", &["--start-command", "false", "--attempts", "2"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.failure().contains("in the way: m3 (id ") && run.failure().contains("does not answer"),
        "{}",
        run.failure()
    );
}

#[test]
fn an_older_release_than_the_clusters_is_not_added() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let mut second = Node::joiner(&ca, "m2", first.port);
    fs::create_dir(second.path("programs")).unwrap();
    script(&second, "programs/etcd", "echo etcd Version: 3.3.27");
    second.programs = Some(second.path("programs"));
    let run = second.join("etcd", &[]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.failure().starts_with("E-PREFLIGHT") && run.failure().contains("this node has 3.3.27"),
        "{}",
        run.failure()
    );
    assert_eq!(first_etcd.members().len(), 1);
}

#[test]
fn a_cluster_that_takes_no_writes_takes_no_node_until_the_alarm_is_disarmed() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    fs::write(first.path("more.env"), "ETCD_QUOTA_BACKEND_BYTES=400000\n").unwrap();
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let value = "x".repeat(100_000);
    assert!((0..20).any(|n| first_etcd.try_ctl(&["put", &format!("big{n}"), &value]).is_err()), "it is full at last");
    let health = first.health_check(&["--timeout", "1"]);
    assert!(health.lines[0].to_string().contains("alarm NOSPACE"), "{:?}", health.lines);
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    let run = etcd.join();
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("alarm NOSPACE") && run.remedy().contains("alarm disarm"), "{}", run.failure());
    assert_eq!(first_etcd.members().len(), 1, "nobody was added");
}

#[test]
fn an_etcd_with_users_is_said_to_have_them() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    for words in [&["user", "add", "root:x"][..], &["user", "grant-role", "root", "root"], &["auth", "enable"]] {
        first_etcd.ctl(words);
    }
    let health = first.health_check(&["--timeout", "1"]);
    assert!(health.lines[0].to_string().contains("etcd has users"), "{:?}", health.lines);
}

#[test]
fn a_service_of_this_node_that_does_not_run_is_no_question_of_the_network() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    first_etcd.stop();
    let health = first.health_check(&["--timeout", "1"]);
    let failure = &health.lines[0]["services"][0]["failure"];
    assert_eq!(failure["code"], "E-SERVICE-UNHEALTHY", "{failure}");
    assert!(!failure["remedy"].as_str().unwrap().contains("leader"), "{failure}");
}
