//! Against a peer that implements the documented admin API of chainfire and flaredb.

use crate::node::Node;
use qemu_tests::certificates::{Ca, ELSEWHERE, OTHER};
use qemu_tests::cluster_peer::{
    Peer, Reply,
    documented::{Documented, Service, member},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub const QUICK: [&str; 4] = ["--retry-base", "20", "--call-timeout", "400"];

fn n1() -> Value {
    member("n1", "127.0.0.1:1", "leader")
}

fn n2() -> Value {
    member("n2", "127.0.0.1:2380", "follower")
}

/// A cluster of n1.
pub fn cluster(ca: &Ca, service: Service, faults: &str) -> Peer {
    ca.plays(Documented::new(service, vec![n1()]).with_faults(faults.parse().unwrap()))
}

/// n2, whose local service the same peer plays.
pub fn joiner(ca: &Ca, peer: &Peer) -> Node {
    let mut node = Node::joiner(ca, "n2", peer.port);
    node.port = peer.port;
    node.config["leader_url"] = json!(format!("https://{OTHER}:{}", peer.port));
    node.config["raft_addr"] = json!("127.0.0.1:2380");
    node.config["flaredb_peers"] = json!(["n2:2380"]);
    node
}

#[test]
fn flaredb_is_joined_on_the_leaders_host_by_its_own_ports() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Flaredb, "503");
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
    let local = cluster(&ca, Service::Flaredb, "201");
    node.port = local.port;
    node.config["flaredb_peers"] = json!(["n1:2480"]);
    assert_eq!(node.join("flaredb", &QUICK).code, Some(0));
    assert!(node.has_marker(".flaredb-initialized"));
}

#[test]
fn a_member_leaves_by_another_member_and_loses_its_marker() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Chainfire, "201,204");
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
fn a_member_leaves_though_the_first_that_it_asks_does_not_lead() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Chainfire, "201,307,204");
    let mut node = joiner(&ca, &peer);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    node.config["node_ip"] = json!(OTHER);
    assert_eq!(node.run_verb("leave", &["chainfire", "--retry-base", "20"]).code, Some(0));
    assert_eq!(peer.bodies("DELETE /admin/member/n2").len(), 2);
}

#[test]
fn a_member_that_the_quorum_needs_stays() {
    let ca = Ca::new("cluster");
    let mut down = n1();
    down["status"] = json!("down");
    let peer = ca.plays(Documented::new(Service::Chainfire, vec![down, n2()]));
    let node = joiner(&ca, &peer);
    let run = node.run_verb("leave", &["chainfire", "--retry-base", "20"]);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("0 of them healthy, and 1 are needed"), "{}", run.failure());
    assert!(peer.bodies("DELETE").is_empty());
}

#[test]
fn both_documented_successes_join_with_the_id_and_the_address() {
    for (service, name, answer) in [(Service::Chainfire, "chainfire", "200"), (Service::Flaredb, "flaredb", "201")] {
        let ca = Ca::new("cluster");
        let peer = cluster(&ca, service, answer);
        let node = joiner(&ca, &peer);
        assert_eq!(node.join(name, &QUICK).code, Some(0));
        assert!(node.has_marker(&format!(".{name}-joined")));
        assert_eq!(peer.bodies("POST /admin/member/add"), [json!({"id": "n2", "raft_addr": "127.0.0.1:2380"})]);
        assert_eq!(node.join(name, &QUICK).code, Some(0));
        assert_eq!(peer.bodies("POST /admin/member/add").len(), 1, "a marker: nothing is asked again");
        assert_eq!(node.health_check(&[]).code, Some(0));
    }
}

#[test]
fn a_conflict_is_a_member_already_with_a_warning_and_a_marker() {
    for (service, name) in [(Service::Chainfire, "chainfire"), (Service::Flaredb, "flaredb")] {
        let ca = Ca::new("cluster");
        let peer = ca.plays(Documented::new(service, vec![n1(), n2()]));
        let node = joiner(&ca, &peer);
        let run = node.join(name, &QUICK);
        assert_eq!(run.code, Some(2));
        assert!(run.says("WARN", "member already"));
        assert!(node.has_marker(&format!(".{name}-joined")));
    }
}

#[test]
fn a_founder_stands_in_for_a_leader_that_is_gone() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Chainfire, "200");
    let mut node = joiner(&ca, &peer);
    node.config["leader_url"] = json!("https://nobody.invalid:2379");
    node.config["services"] = json!({"chainfire": {"port": peer.port}});
    node.config["initial_peers"] = json!([format!("{OTHER}:2380"), "n2:2380"]);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 1);
}

#[test]
fn after_five_attempts_it_fails_with_the_last_answer_and_leaves_no_marker() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Chainfire, "503,503,503,503,503");
    let node = joiner(&ca, &peer);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("5 attempts") && run.failure().contains("503"), "{}", run.failure());
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 5);
    assert!(!node.has_marker(".chainfire-joined"));
}

#[test]
fn a_member_that_the_cluster_does_not_list_is_not_joined() {
    let ca = Ca::new("cluster");
    let peer = ca.plays(Documented::new(Service::Chainfire, vec![n1(), n2()]).with_faults("200".parse().unwrap()));
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
    let service = Documented::new(Service::Chainfire, vec![n1(), n2()]);
    let local = ca.peer(move |request| {
        let starting = request.path() == "/health" && count.fetch_add(1, Ordering::SeqCst) < 3;
        if starting { Reply::Json(503, json!({"status": "starting"})) } else { service.answer(request) }
    });
    let leader = cluster(&ca, Service::Chainfire, "200");
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
    let peer = cluster(&ca, Service::Chainfire, "200");
    let mut node = joiner(&ca, &peer);
    node.config["node_ip"] = json!(ELSEWHERE);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().starts_with("E-PREFLIGHT waiting for the address, 5 attempts"), "{}", run.failure());
    assert!(peer.bodies("").is_empty());
}

/// n1 says that another leads, by a 307 as people report it; n3 takes joins.
#[test]
fn a_member_that_does_not_lead_is_followed_to_who_does_as_far_as_the_list_goes() {
    let ca = Ca::new("cluster");
    let leader = Arc::new(Documented::new(
        Service::Chainfire,
        vec![member("n1", "127.0.0.1:1", "follower"), member("n3", format!("{OTHER}:2380"), "leader")],
    ));
    let shared = leader.clone();
    let adds = Arc::new(AtomicUsize::new(0));
    let count = adds.clone();
    // One peer plays both: the first add is n1's to refuse, the second reaches n3.
    let peer = ca.peer(move |request| match (request.method(), request.path()) {
        ("POST", "/admin/member/add") if count.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::Json(307, json!({"error": "not the leader"}))
        }
        ("GET", "/admin/cluster/leader") => Reply::Json(200, json!({"id": "n3"})),
        _ => shared.answer(request),
    });
    let mut node = joiner(&ca, &peer);
    node.config["leader_url"] = json!(format!("https://localhost:{}", peer.port));
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.says("INFO", "asking https://127.0.0.2"), "{run:?}");
    assert_eq!((adds.load(Ordering::SeqCst), leader.members().len()), (2, 3));
}

#[test]
fn whom_nobody_leads_to_a_leader_fails_after_all_attempts_with_what_they_said() {
    let ca = Ca::new("cluster");
    let peer = cluster(&ca, Service::Chainfire, "307,307,307,307,307,307,307,307,307,307");
    let node = joiner(&ca, &peer);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("5 attempts") && run.failure().contains("307"), "{}", run.failure());
    assert!(run.remedy().contains("which of them leads"), "{}", run.remedy());
}

#[test]
fn an_answer_that_broke_off_after_the_node_was_taken_in_is_no_failure() {
    let ca = Ca::new("cluster");
    let service = Documented::new(Service::Chainfire, vec![n1()]);
    let peer = ca.peer(move |request| match service.answer(request) {
        Reply::Json(201, _) => Reply::Half,
        reply => reply,
    });
    let node = joiner(&ca, &peer);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_eq!(peer.bodies("POST /admin/member/add").len(), 1, "the list says that it is in");
}

#[test]
fn a_success_that_says_false_and_a_member_elsewhere_are_refusals_at_once() {
    let ca = Ca::new("cluster");
    let service = Documented::new(Service::Chainfire, vec![n1()]);
    let denies = ca.peer(move |request| match request.method() {
        "POST" => Reply::Json(200, json!({"success": false, "error": "no"})),
        _ => service.answer(request),
    });
    let run = joiner(&ca, &denies).join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("success") && !run.failure().contains("waiting"), "{}", run.failure());
    let elsewhere = ca.plays(Documented::new(Service::Chainfire, vec![n1(), member("n2", "127.0.0.1:9", "follower")]));
    let run = joiner(&ca, &elsewhere).join("chainfire", &QUICK);
    assert_eq!(run.code, Some(1));
    assert!(run.failure().contains("with raft_addr 127.0.0.1:9, not 127.0.0.1:2380"), "{}", run.failure());
}
