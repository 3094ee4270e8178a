//! Against real etcd on loopback, with mutual TLS.

use crate::{
    etcd_process::Etcd,
    node::{Node, free_port},
};
use qemu_tests::certificates::Ca;
use serde_json::json;
use std::{fs, thread, time::Duration};
use time::OffsetDateTime;

#[test]
fn a_founder_bootstraps_and_others_join_as_learners_and_are_promoted() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    // What the installer leaves where the boot-server has it.
    fs::write(first.path("secrets/ca.crl"), ca.revocation_list()).unwrap();
    let first_etcd = Etcd::of(&first);
    let run = first_etcd.join();
    assert_eq!(run.code, Some(0));
    let environment = fs::read_to_string(first.path("state/etcd.env")).unwrap();
    assert_eq!(environment.matches("secrets/ca.crl\"").count(), 2, "clients and peers: {environment}");
    assert!(first.has_marker(".etcd-initialized"));

    let second = Node::joiner(&ca, "m2", first.port);
    let second_etcd = Etcd::of(&second);
    assert_eq!(second_etcd.join().code, Some(0));
    assert!(second.has_marker(".etcd-joined"));
    // A list that is named and is not there would have etcd refuse everybody.
    assert!(!fs::read_to_string(second.path("state/etcd.env")).unwrap().contains("CRL"));
    // The third meets the cluster in the seconds after a join, when it refuses to add anybody.
    let third = Node::joiner(&ca, "m3", first.port);
    let third_etcd = Etcd::of(&third);
    assert_eq!(third_etcd.join().code, Some(0));

    let members = first_etcd.members();
    assert_eq!(members.len(), 3);
    assert!(members.iter().all(|line| line.contains("started") && line.ends_with("false")), "{members:#?}");
    for (node, leader) in [(&first, "127.0.0.1"), (&third, "127.0.0.1")] {
        let health = node.health_check(&[]);
        assert_eq!(health.code, Some(0));
        let etcd = &health.lines[0]["services"][0];
        assert_eq!((&etcd["members"], &etcd["leader"]), (&json!(["127.0.0.1", "m2", "m3"]), &json!(leader)));
    }
    second_joins_nothing_twice(&second, &second_etcd, &members);
}

fn second_joins_nothing_twice(second: &Node, etcd: &Etcd<'_>, members: &[String]) {
    let again = second.join("etcd", &["--start-command", "false"]);
    assert_eq!(again.code, Some(0), "a marker: nothing is done");
    second.remove_marker(".etcd-joined");
    let lost_marker = second.join("etcd", &["--start-command", "true"]);
    assert_eq!(lost_marker.code, Some(2), "a member already");
    assert!(lost_marker.says("WARN", "member already"));
    assert!(second.has_marker(".etcd-joined"));
    assert_eq!(etcd.members(), members);
}

#[test]
fn three_founders_that_start_at_once_make_one_cluster() {
    let ca = Ca::new("cluster");
    let mut nodes = ["m1", "m2", "m3"].map(|id| Node::founder(&ca, id));
    let peers = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.raft));
    for node in &mut nodes {
        node.config["initial_peers"] = json!(peers);
    }
    let etcds = nodes.each_ref().map(Etcd::of);
    thread::scope(|scope| {
        let runs = etcds.each_ref().map(|etcd| scope.spawn(|| etcd.join().code));
        assert_eq!(runs.map(|run| run.join().unwrap()), [Some(0); 3]);
    });
    let members = etcds[0].members();
    assert_eq!(members.len(), 3);
    assert_eq!(members, etcds[2].members());
    // Started on its own data after a reboot; nothing is decided again.
    etcds[1].stop();
    nodes[1].remove_marker(".etcd-initialized");
    assert_eq!(etcds[1].join().code, Some(0));
    assert_eq!(etcds[0].members(), members);
    one_leaves_and_the_quorum_stays(&nodes, &etcds);
}

fn one_leaves_and_the_quorum_stays(nodes: &[Node; 3], etcds: &[Etcd<'_>; 3]) {
    let left = nodes[2].run_verb("leave", &["etcd"]);
    assert_eq!(left.code, Some(0));
    assert!(!nodes[2].has_marker(".etcd-initialized") && !nodes[2].path("state/etcd.env").exists());
    // Where the leader has left, the others elect another.
    let leaders = || {
        let list = nodes[0].run_verb("members", &["etcd", "-o", "json"]);
        let members = list.lines[0]["members"].as_array().unwrap().clone();
        assert_eq!(members.len(), 2);
        members.iter().filter(|member| member["role"] == "leader").count()
    };
    assert!((0..50).any(|_| leaders() == 1 || {
        thread::sleep(Duration::from_millis(100));
        false
    }));
    etcds[1].stop();
    let needed = nodes[0].run_verb("leave", &["etcd"]);
    assert_eq!(needed.code, Some(1));
    assert!(needed.failure().contains("0 of them healthy, and 1 are needed"), "{}", needed.failure());
    assert!(nodes[0].has_marker(".etcd-initialized"));
}

#[test]
fn a_join_that_was_killed_between_the_add_and_the_start_is_carried_on() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let killer = second.path("kill-the-agent");
    fs::write(&killer, "kill -9 $PPID\n").unwrap();
    let killed = second.join("etcd", &["--start-command", &format!("sh {}", killer.display())]);
    assert_eq!(killed.code, None);
    assert!(first_etcd.members().iter().any(|line| line.contains("unstarted")));
    // Before etcd.env was written, too.
    fs::remove_file(second.path("state/etcd.env")).unwrap();
    let etcd = Etcd::of(&second);
    assert_eq!(etcd.join().code, Some(0));
    let members = first_etcd.members();
    assert_eq!(members.len(), 2);
    assert!(members.iter().all(|line| line.contains("started") && line.ends_with("false")));
}

#[test]
fn a_join_that_is_killed_again_and_again_ends_as_one_member() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    for wait in (0..40).map(|step| Duration::from_millis(step * 15)) {
        if second.join_killed_after(wait, "etcd", &etcd.options()) {
            break;
        }
    }
    assert!([Some(0), Some(2)].contains(&etcd.join().code));
    assert!(second.has_marker(".etcd-joined"));
    let members = first_etcd.members();
    assert_eq!(members.len(), 2, "{members:#?}");
    assert!(members.iter().all(|line| line.contains("started") && line.ends_with("false")), "{members:#?}");
}

#[test]
fn a_leader_that_dies_during_the_join_is_waited_for_by_the_next_start() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    let script = second.path("kill-the-leader");
    let kill = format!("kill $(cat {})\nexec {}\n", first.path("etcd.pid").display(), etcd.start_command);
    fs::write(&script, kill).unwrap();
    let start = format!("sh {}", script.display());
    let run = second.join("etcd", &["--start-command", &start, "--health-timeout", "3"]);
    assert_eq!(run.code, Some(1));
    assert!(!second.has_marker(".etcd-joined"));
    first_etcd.stop();
    first_etcd.start();
    assert_eq!(etcd.join().code, Some(0));
    assert_eq!(first_etcd.members().len(), 2);
}

#[test]
fn old_data_is_neither_started_on_nor_wiped() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    fs::create_dir_all(second.path("data/member/snap")).unwrap();
    let foreign = etcd.join();
    assert_eq!(foreign.code, Some(1));
    assert!(foreign.failure().starts_with("E-CLUSTER-LEFTOVER"));
    assert!(second.path("data/member/snap").exists());
    assert_eq!(first_etcd.members().len(), 1, "nobody was added");

    fs::remove_dir_all(second.path("data")).unwrap();
    assert_eq!(etcd.join().code, Some(0));
    etcd.stop();
    fs::rename(second.path("data"), second.path("kept")).unwrap();
    second.remove_marker(".etcd-joined");
    let reinstalled = etcd.join();
    assert_eq!(reinstalled.code, Some(1));
    assert!(reinstalled.remedy().contains("member remove"), "{}", reinstalled.remedy());
}

#[test]
fn a_member_that_was_removed_does_not_come_back_on_its_old_data() {
    let ca = Ca::new("cluster");
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let second = Node::joiner(&ca, "m2", first.port);
    let etcd = Etcd::of(&second);
    assert_eq!(etcd.join().code, Some(0));
    let members = first_etcd.members();
    let id = members.iter().find(|line| line.contains("m2")).unwrap().split(',').next().unwrap();
    // The strict check of etcd wants a few seconds of calm before it lets a member go.
    thread::sleep(Duration::from_secs(6));
    first_etcd.ctl(&["member", "remove", id]);
    second.remove_marker(".etcd-joined");
    let run = etcd.join();
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("E-CLUSTER-LEFTOVER"), "{}", run.failure());
}

#[test]
fn a_leader_that_cannot_be_reached_is_told_apart_by_name_and_by_port() {
    let ca = Ca::new("cluster");
    let mut node = Node::joiner(&ca, "m2", free_port());
    let quick = ["--attempts", "2", "--start-command", "false"];
    let down = node.join("etcd", &quick);
    assert_eq!(down.code, Some(1));
    assert!(
        down.failure().starts_with("E-CLUSTER-UNREACHABLE reaching the leader, 2 attempts: connecting to 127.0.0.1")
    );
    assert!(down.remedy().contains("leader runs"));
    node.config["leader_url"] = json!("https://nobody.invalid:2379");
    let nameless = node.join("etcd", &quick);
    assert!(nameless.failure().contains("resolving nobody.invalid"), "{}", nameless.failure());
    assert!(nameless.remedy().contains("DNS"));
    assert!(!node.path("state/etcd.env").exists() && !node.has_marker(".etcd-joined"));
}

#[test]
fn wrong_certificates_are_refused_with_what_is_wrong() {
    let (ca, other) = (Ca::new("cluster"), Ca::new("other"));
    let first = Node::founder(&ca, "m1");
    let first_etcd = Etcd::of(&first);
    assert_eq!(first_etcd.join().code, Some(0));
    let node = Node::joiner(&ca, "m2", first.port);
    let now = OffsetDateTime::now_utc();
    let expired = ca.leaf_until(now - time::Duration::days(7), now - time::Duration::hours(1));
    let both = format!("{}{}", ca.pem, other.pem);
    for (ca_pem, leaf, part) in [
        (&ca.pem, &other.leaf(), "E-PREFLIGHT checking the node's certificate: the CA in ca.crt did not issue it"),
        (&ca.pem, &expired, "E-PREFLIGHT checking the node's certificate: valid until"),
        (&other.pem, &other.leaf(), "E-TLS TLS to 127.0.0.1"),
        (&both, &other.leaf(), "E-TLS TLS to 127.0.0.1"),
    ] {
        node.use_certificate(ca_pem, leaf);
        let run = node.join("etcd", &["--start-command", "false"]);
        assert_eq!(run.code, Some(1));
        assert!(run.failure().starts_with(part), "{}", run.failure());
    }
    fs::remove_file(node.path("secrets/node.key")).unwrap();
    let run = node.join("etcd", &["--start-command", "false"]);
    assert!(run.failure().starts_with("E-PREFLIGHT reading") && run.failure().contains("node.key"));
    assert_eq!(first_etcd.members().len(), 1);
}

#[test]
fn a_service_that_does_not_start_is_a_failure_that_leaves_no_marker() {
    let ca = Ca::new("cluster");
    let founder = Node::founder(&ca, "m1");
    let run = founder.join("etcd", &["--start-command", "true", "--health-timeout", "1"]);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().starts_with("E-SERVICE-UNHEALTHY"), "{}", run.failure());
    let broken = founder.join("etcd", &["--start-command", "false"]);
    assert!(broken.failure().starts_with("E-TOOL"));
    assert!(!founder.has_marker(".etcd-initialized"));
    let health = founder.health_check(&["etcd", "--timeout", "1"]);
    assert_eq!((health.code, &health.lines[0]["healthy"]), (Some(1), &json!(false)));
}
