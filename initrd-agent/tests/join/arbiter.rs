//! A boot-server that says who founds and whose turn it is.

use crate::{
    boot_server::install_marker,
    etcd_process::Etcd,
    node::{Node, free_port},
};
use qemu_tests::certificates::{Ca, OTHER};
use qemu_tests::cluster_peer::{
    Peer, Reply,
    documented::{Documented, Service, member},
};
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

const QUICK: [&str; 4] = ["--retry-base", "20", "--call-timeout", "2000"];

/// Answers the requests for a turn with these, the last one for ever; takes every report.
fn server(ca: &Ca, turns: Vec<Value>) -> Peer {
    let count = AtomicUsize::new(0);
    ca.peer(move |request| match request.path() {
        "/v1/node/turn" => Reply::Json(200, turns[count.fetch_add(1, Ordering::SeqCst).min(turns.len() - 1)].clone()),
        "/v1/telemetry" => Reply::Json(200, json!({"events_through": 99, "lines_through": 999})),
        _ => Reply::Json(200, json!({})),
    })
}

fn found(peers: &[String]) -> Value {
    json!({"turn": "found", "peers": peers})
}

fn wait(reason: &str) -> Value {
    json!({"turn": "wait", "reason": reason, "retry_seconds": 0})
}

fn join(members: &[String], replaces: bool, lease_seconds: u64) -> Value {
    json!({"turn": "join", "members": members, "replaces": replaces, "lease_seconds": lease_seconds})
}

/// A cluster of n1 and these, which takes its time to add another.
fn chainfire(ca: &Ca, others: Vec<Value>, add_takes: Duration) -> Peer {
    let members = [vec![member("n1", "127.0.0.1:1", "leader")], others].concat();
    let service = Documented::new(Service::Chainfire, members);
    ca.peer(move |request| {
        if request.path() == "/admin/member/add" {
            thread::sleep(add_takes);
        }
        service.answer(request)
    })
}

/// n2, a founder by its own configuration, whose service the cluster's peer plays as well.
fn node(ca: &Ca, cluster: &Peer, server_port: u16) -> Node {
    let mut node = Node::founder(ca, "n2");
    node.port = cluster.port;
    node.config["raft_addr"] = json!("127.0.0.1:2380");
    node.config["leader_url"] = json!(format!("https://{OTHER}:{}", free_port()));
    install_marker(ca, &node, server_port);
    node
}

#[test]
fn a_node_waits_for_its_turn_and_joins_by_the_members_that_it_is_given() {
    let ca = Ca::new("centra");
    let cluster = chainfire(&ca, Vec::new(), Duration::ZERO);
    let members = [format!("https://{OTHER}:{}", free_port()), format!("https://{OTHER}:{}", cluster.port)];
    let turns = vec![wait("n5 joins now"), wait("n5 joins now"), wait("n6 joins now"), join(&members, false, 60)];
    let server = server(&ca, turns);
    let node = node(&ca, &cluster, server.port);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(0));
    assert!(node.has_marker(".chainfire-joined"), "the arbiter goes before bootstrap: true of the configuration");
    let said = |part: &str| run.lines.iter().filter(|line| line["message"].as_str().unwrap().contains(part)).count();
    assert_eq!((said("n5 joins now"), said("n6 joins now")), (1, 1), "a reason is said when it changes");
    assert_eq!(cluster.requests("POST /admin/member/add").len(), 1);
    assert!(cluster.requests("DELETE").is_empty());
    let ready = &server.bodies("POST /v1/node/ready")[0];
    assert_eq!(ready["outcome"], "joined");
}

#[test]
fn the_turn_is_asked_for_again_while_the_node_joins() {
    let ca = Ca::new("centra");
    let cluster = chainfire(&ca, Vec::new(), Duration::from_millis(1500));
    let members = [format!("https://{OTHER}:{}", cluster.port)];
    let server = server(&ca, vec![join(&members, false, 1), wait("somebody else joins now"), join(&members, false, 1)]);
    let node = node(&ca, &cluster, server.port);
    let run = node.join("chainfire", &QUICK);
    assert_eq!(run.code, Some(0));
    assert!(server.requests("POST /v1/node/turn").len() >= 4, "every third of a second");
    assert!(run.says("WARN", "somebody else joins now"));
}

#[test]
fn the_end_of_a_long_wait_reaches_the_server_and_it_beats_meanwhile() {
    let ca = Ca::new("centra");
    let cluster = chainfire(&ca, Vec::new(), Duration::ZERO);
    let members = [format!("https://{OTHER}:{}", cluster.port)];
    let reasons = (0..600).map(|number| wait(&format!("n{number} joins now")));
    // Then nothing new for as long as three heartbeats take.
    let quiet = json!({"turn": "wait", "reason": "n599 joins now", "retry_seconds": 5});
    let server = server(&ca, reasons.chain([quiet, join(&members, false, 60)]).collect());
    let node = node(&ca, &cluster, server.port);
    assert_eq!(node.join("chainfire", &["--retry-base", "1", "--call-timeout", "2000"]).code, Some(0));
    let reports = server.bodies("POST /v1/telemetry");
    let of = |report: &Value, key: &str| report[key].as_array().unwrap().clone();
    let lines: Vec<_> =
        reports.iter().flat_map(|report| of(report, "lines")).map(|line| line["message"].clone()).collect();
    let has = |part: &str| lines.iter().any(|line| line.as_str().unwrap().contains(part));
    assert!(has("n0 joins now") && has("n599 joins now") && has("it is this node's turn"), "{} lines", lines.len());
    let is_beat = |report: &&Value| of(report, "events").is_empty() && of(report, "lines").is_empty();
    let beats: Vec<_> = reports.iter().filter(is_beat).collect();
    assert!((1..=6).contains(&beats.len()), "{}", beats.len());
    assert!(beats.iter().all(|report| report["heartbeat"]["step"] == "preflight"));
}

#[test]
fn an_earlier_installation_is_removed_once() {
    let ca = Ca::new("centra");
    let cluster = chainfire(&ca, vec![member("n2", "127.0.0.1:9", "follower")], Duration::ZERO);
    let members = [format!("https://{OTHER}:{}", cluster.port)];
    let server = server(&ca, vec![join(&members, true, 60)]);
    let node = node(&ca, &cluster, server.port);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    let lines: Vec<_> = cluster.requests("").into_iter().map(|request| request.line).collect();
    let at = |part: &str| lines.iter().position(|line| line.starts_with(part)).unwrap();
    assert!(at("DELETE /admin/member/n2") < at("POST /admin/member/add"));
    // The unit was killed before it wrote the marker: what is listed now is this installation.
    node.remove_marker(".chainfire-joined");
    assert_eq!(node.join("chainfire", &QUICK).code, Some(2));
    assert_eq!(cluster.requests("DELETE").len(), 1);
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    let ca = Ca::new("centra");
    let cluster = chainfire(&ca, Vec::new(), Duration::ZERO);
    let members = [format!("https://{OTHER}:{}", cluster.port)];
    let port = free_port();
    let node = node(&ca, &cluster, port);
    let run = thread::scope(|scope| {
        let run = scope.spawn(|| node.join("chainfire", &QUICK));
        thread::sleep(Duration::from_millis(700));
        assert!(cluster.requests("POST").is_empty(), "nothing is done without the server's word");
        let server = server(&ca, vec![join(&members, false, 60)]);
        forward(port, server.port);
        run.join().unwrap()
    });
    assert_eq!(run.code, Some(0));
    assert!(run.says("WARN", "waiting for the boot-server's word"));
}

/// The port comes up and is the other one.
fn forward(from: u16, to: u16) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", from)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let other = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut up, mut down) = (stream.try_clone().unwrap(), other.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut up, &mut down));
            let (mut up, mut down) = (other, stream);
            thread::spawn(move || std::io::copy(&mut up, &mut down));
        }
    });
}

#[test]
fn an_etcd_founder_that_was_reinstalled_is_removed_and_joins_its_old_cluster() {
    let ca = Ca::new("centra");
    let mut nodes = ["m1", "m2", "m3"].map(|id| Node::founder(&ca, id));
    let peers = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.raft));
    let founds = server(&ca, vec![wait("two of three founders"), found(&peers)]);
    for node in &mut nodes {
        // Its own list is not the one that was fixed.
        node.config["initial_peers"] = json!([format!("127.0.0.1:{}", node.raft), "127.0.0.1:9"]);
        install_marker(&ca, node, founds.port);
    }
    let etcds = nodes.each_ref().map(Etcd::of);
    thread::scope(|scope| {
        let runs = etcds.each_ref().map(|etcd| scope.spawn(|| etcd.join().code));
        assert_eq!(runs.map(|run| run.join().unwrap()), [Some(0); 3]);
    });
    let before = etcds[0].members();
    assert_eq!(before.len(), 3);

    etcds[2].stop();
    for folder in ["data", "state"] {
        fs::remove_dir_all(nodes[2].path(folder)).unwrap();
    }
    let members = [0, 1].map(|index: usize| format!("https://127.0.0.1:{}", nodes[index].port));
    let joins = server(&ca, vec![join(&members, true, 60)]);
    install_marker(&ca, &nodes[2], joins.port);
    // Killed between the removal and the start: it carries on.
    let killer = nodes[2].path("kill-the-agent");
    fs::write(&killer, "kill -9 $PPID\n").unwrap();
    let killed = nodes[2].join("etcd", &["--start-command", &format!("sh {}", killer.display()), "--attempts", "9"]);
    assert_eq!(killed.code, None);
    assert_eq!(etcds[2].join().code, Some(0));
    assert!(nodes[2].has_marker(".etcd-joined") && !nodes[2].has_marker(".etcd-initialized"));
    let after = etcds[0].members();
    assert_eq!(after.len(), 3, "{after:#?}");
    assert!(after.iter().all(|line| line.contains("started") && line.ends_with("false")), "{after:#?}");
    assert_eq!(after.iter().filter(|line| before.contains(line)).count(), 2);
    assert_eq!(nodes[2].health_check(&[]).code, Some(0), "it is who it joined as");
}
