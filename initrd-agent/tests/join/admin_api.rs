//! Against a peer that implements the documented admin API of chainfire and flaredb.

use crate::{
    certificates::{Ca, ELSEWHERE, OTHER},
    node::Node,
    peer::{Peer, Reply, Request},
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const QUICK: [&str; 4] = ["--retry-base", "20", "--call-timeout", "400"];

/// A cluster of n1 and n2 that answers the requests to add a member with these, the last one for ever.
fn cluster(ca: &Ca, answers: Vec<fn() -> Reply>) -> Peer {
    let count = AtomicUsize::new(0);
    Peer::start(ca, move |request| match request.line.split(' ').nth(1).unwrap() {
        "/admin/member/add" => answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)](),
        _ => documented(request),
    })
}

fn documented(request: &Request) -> Reply {
    match request.line.split(' ').nth(1).unwrap() {
        "/health" => Reply::Json(200, json!({"status": "healthy", "raft": "leader", "cluster_size": 2})),
        "/admin/member/n2" if request.line.starts_with("DELETE ") => Reply::Json(204, json!({})),
        "/admin/cluster/leader" => Reply::Json(200, json!({"id": "n1"})),
        "/admin/cluster/members" => Reply::Json(
            200,
            json!({"members": [
                {"id": "n1", "raft_addr": "127.0.0.1:1", "status": "healthy", "role": "leader"},
                {"id": "n2", "raft_addr": "127.0.0.1:2380", "status": "healthy", "role": "follower"}]}),
        ),
        _ => Reply::Json(404, json!({})),
    }
}

/// n2, whose local service the same peer plays.
fn joiner(ca: &Ca, peer: &Peer) -> Node {
    let mut node = Node::joiner(ca, "n2", peer.port);
    node.port = peer.port;
    node.config["leader_url"] = json!(format!("https://{OTHER}:{}", peer.port));
    node.config["raft_addr"] = json!("127.0.0.1:2380");
    node.config["flaredb_peers"] = json!(["n2:2380"]);
    node
}

fn status<const CODE: u16>() -> Reply {
    Reply::Json(CODE, json!({}))
}

#[test]
fn flaredb_is_joined_on_the_leaders_host_by_its_own_ports() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<503>, status::<201>]);
    let mut node = joiner(&ca, &peer);
    node.config["leader_url"] = json!(format!("https://{OTHER}:2379"));
    node.config["flaredb_peers"] = json!(["n1:2380", "n2:2380"]);
    let run = node.join("flaredb", &QUICK);
    assert_eq!(run.code, Some(0));
    assert!(node.has_marker(".flaredb-joined") && !node.has_marker(".chainfire-joined"));
    assert_eq!(peer.bodies("POST /admin/member/add")[1], json!({"id": "n2", "raft_addr": "127.0.0.1:2380"}));
}

#[test]
fn a_founder_of_flaredb_needs_its_founders() {
    let ca = Ca::new("cluster");
    let mut node = Node::founder(&ca, "n1");
    for (service, then) in [("flaredb", "iam"), ("chainfire", "flaredb")] {
        let run = node.join(service, &["--then", then]);
        assert_eq!(run.code, Some(3));
        assert!(run.failure().contains("flaredb_peers"), "{}", run.failure());
    }
    let local = Peer::start(&ca, documented);
    node.port = local.port;
    node.config["flaredb_peers"] = json!(["n1:2480"]);
    assert_eq!(node.join("flaredb", &QUICK).code, Some(0));
    assert!(node.has_marker(".flaredb-initialized"));
}

#[test]
fn a_member_leaves_by_another_member_and_loses_its_marker() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<200>]);
    let mut node = joiner(&ca, &peer);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    let list = node.run_verb("members", &["chainfire", "-o", "json"]);
    assert_eq!((list.code, &list.lines[0]["members"][1]["name"]), (Some(0), &json!("n2")));

    // The others of its list are asked; n1 is at 127.0.0.1 as well, so that this node is elsewhere.
    node.config["node_ip"] = json!(OTHER);
    let left = node.run_verb("leave", &["chainfire", "--retry-base", "20"]);
    assert_eq!(left.code, Some(0));
    assert_eq!(peer.bodies("DELETE /admin/member/n2").len(), 1);
    assert!(!node.has_marker(".chainfire-joined"));
}

#[test]
fn a_member_that_the_quorum_needs_stays() {
    let ca = Ca::new("cluster");
    let peer = Peer::start(&ca, |request| match request.line.contains("/admin/cluster/members") {
        true => Reply::Json(
            200,
            json!({"members": [
                {"id": "n1", "raft_addr": "127.0.0.1:1", "status": "down"},
                {"id": "n2", "raft_addr": "127.0.0.1:2380", "status": "healthy"}]}),
        ),
        false => documented(request),
    });
    let node = joiner(&ca, &peer);
    let run = node.run_verb("leave", &["chainfire", "--retry-base", "20"]);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("0 of them healthy, and 1 are needed"), "{}", run.failure());
    assert!(peer.bodies("DELETE").is_empty());
}

#[test]
fn both_documented_successes_join_with_the_id_and_the_address() {
    for (service, answer) in ["chainfire", "flaredb"].into_iter().zip([status::<200> as fn() -> Reply, status::<201>]) {
        let ca = Ca::new("cluster");
        let peer = cluster(&ca, vec![answer]);
        let node = joiner(&ca, &peer);
        assert_eq!(node.join(service, &QUICK).code, Some(0));
        assert!(node.has_marker(&format!(".{service}-joined")));
        assert_eq!(peer.bodies("POST /admin/member/add"), [json!({"id": "n2", "raft_addr": "127.0.0.1:2380"})]);
        assert_eq!(node.join(service, &QUICK).code, Some(0));
        assert_eq!(peer.bodies("POST /admin/member/add").len(), 1, "a marker: nothing is asked again");
        assert_eq!(node.health_check(&[]).code, Some(0));
    }
}

#[test]
fn a_conflict_is_a_member_already_with_a_warning_and_a_marker() {
    for service in ["chainfire", "flaredb"] {
        let ca = Ca::new("cluster");
        let peer = cluster(&ca, vec![status::<409>]);
        let node = joiner(&ca, &peer);
        let run = node.join(service, &QUICK);
        assert_eq!(run.code, Some(2));
        assert!(run.says("WARN", "member already"));
        assert!(node.has_marker(&format!(".{service}-joined")));
    }
}

#[test]
fn a_founder_stands_in_for_a_leader_that_is_gone() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<200>]);
    let mut node = joiner(&ca, &peer);
    node.config["leader_url"] = json!("https://nobody.invalid:2379");
    node.config["services"] = json!({"chainfire": {"port": peer.port}});
    node.config["initial_peers"] = json!([format!("{OTHER}:2380"), "n2:2380"]);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 1);
}

#[test]
fn errors_half_answers_and_silence_are_asked_again() {
    let ca = Ca::new("cluster");
    let slow = || Reply::Slow(Duration::from_secs(2));
    let peer = cluster(&ca, vec![status::<500>, status::<503>, || Reply::Half, slow, status::<201>]);
    let node = joiner(&ca, &peer);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 5);
}

#[test]
fn after_five_attempts_it_fails_with_the_last_answer_and_leaves_no_marker() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<503>]);
    let node = joiner(&ca, &peer);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("5 attempts") && run.failure().contains("503"), "{}", run.failure());
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 5);
    assert!(!node.has_marker(".chainfire-joined"));
}

#[test]
fn a_refusal_is_not_asked_again() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<403>]);
    assert_eq!(joiner(&ca, &peer).join("chainfire", &QUICK).code, Some(1));
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 1);
}

#[test]
fn a_member_that_the_cluster_does_not_list_is_not_joined() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<200>]);
    let mut node = joiner(&ca, &peer);
    node.config["raft_addr"] = json!("127.0.0.1:9");
    let run = node.join("chainfire", &[&QUICK[..], &["--health-timeout", "1"]].concat());
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("raft_addr"), "{}", run.failure());
    assert!(!node.has_marker(".chainfire-joined"));
}

#[test]
fn a_founder_waits_for_its_own_service_and_calls_nobody() {
    let ca = Ca::new("cluster");
    let polls = Arc::new(AtomicUsize::new(0));
    let count = polls.clone();
    let local = Peer::start(&ca, move |request| {
        let starting = request.line.starts_with("GET /health") && count.fetch_add(1, Ordering::SeqCst) < 3;
        if starting { Reply::Json(503, json!({"status": "starting"})) } else { documented(request) }
    });
    let leader = cluster(&ca, vec![status::<200>]);
    let mut node = joiner(&ca, &local);
    node.config["bootstrap"] = json!(true);
    node.config["initial_peers"] = json!(["n1:2380", "n2:2380"]);
    node.config["leader_url"] = json!(format!("https://127.0.0.1:{}", leader.port));
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert!(node.has_marker(".chainfire-initialized"));
    assert!(polls.load(Ordering::SeqCst) >= 4);
    assert!(leader.bodies("").is_empty(), "no call to a leader");
}

#[test]
fn an_address_that_this_node_does_not_have_is_found_before_anybody_is_asked() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, vec![status::<200>]);
    let mut node = joiner(&ca, &peer);
    node.config["node_ip"] = json!(ELSEWHERE);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().starts_with("E-PREFLIGHT waiting for the address, 5 attempts"), "{}", run.failure());
    assert!(peer.bodies("").is_empty());
}
