//! The report to the boot-server: complete where it listens, kept and repeated where it does not.

use crate::node::{Node, free_port};
use protocol::{
    encoding::Sha256,
    marker::{InstallMarker, MarkerState},
    report::HealthReport,
    step::Step,
    telemetry::{EventKind, Telemetry},
};
use qemu_tests::certificates::{self, Ca};
use qemu_tests::cluster_peer::{
    Peer, Reply, Request,
    documented::{Documented, Service},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, time::Duration};

const QUICK: [&str; 2] = ["--retry-base", "20"];
const MORE: [&str; 6] = ["--retry-base", "20", "--then", "flaredb", "--then", "iam"];

/// A chainfire founder, the shortest way to a member, and the peer that plays its service.
fn founder(ca: &Ca, server_port: u16) -> (Node, Peer) {
    let local = ca.plays(Documented::new(Service::Chainfire, Vec::new()));
    let mut node = Node::founder(ca, "n1");
    node.port = local.port;
    node.config["flaredb_peers"] = json!(["127.0.0.1:2480"]);
    install_marker(ca, &node, server_port);
    (node, local)
}

pub fn install_marker(ca: &Ca, node: &Node, port: u16) {
    let marker = InstallMarker {
        node: "n1".parse().unwrap(),
        generation: 7,
        run: "run-1".parse().unwrap(),
        state: MarkerState::Installed,
        toplevel: "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos".parse().unwrap(),
        server: format!("https://127.0.0.1:{port}"),
        ca_spki_sha256: vec![Sha256::of(&ca.spki)],
        manifest_keys: vec![],
        written: protocol::Timestamp::UNIX_EPOCH,
    };
    fs::write(node.path("install.json"), serde_json::to_vec(&marker).unwrap()).unwrap();
}

/// As if the installation had been then.
pub fn installed_at(node: &Node, time: protocol::Timestamp) {
    let path = node.path("install.json");
    let marker: InstallMarker = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(path, serde_json::to_vec(&InstallMarker { written: time, ..marker }).unwrap()).unwrap();
}

/// Has every node found its cluster.
fn founds(request: &Request) -> Reply {
    if request.line.starts_with("POST /v1/node/turn") {
        assert_eq!((&request.body["service"], &request.body["generation"]), (&json!("chainfire"), &json!(7)));
        return Reply::Json(200, json!({"turn": "found", "peers": ["127.0.0.1:2380"]}));
    }
    Reply::Json(503, json!({}))
}

fn acknowledges(request: &Request) -> Reply {
    if request.line.starts_with("POST /v1/node/turn") {
        return founds(request);
    }
    if request.line.starts_with("POST /v1/node/ready") {
        return Reply::Json(200, json!({}));
    }
    let last = |key: &str| request.body[key].as_array().unwrap().last().map_or(json!(0), |item| item["seq"].clone());
    Reply::Json(200, json!({"events_through": last("events"), "lines_through": last("lines")}))
}

fn telemetry(server: &Peer) -> Vec<Telemetry> {
    server.bodies("POST /v1/telemetry").into_iter().map(|body| serde_json::from_value(body).unwrap()).collect()
}

fn is_kept(node: &Node) -> bool {
    node.path("state/report-chainfire.json").exists()
}

fn assert_complete(reports: &[Telemetry], ready: &[Value]) {
    let events: Vec<_> = reports.iter().flat_map(|report| &report.events).collect();
    let numbers: BTreeSet<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=6).collect());
    for step in [Step::Preflight, Step::Join, Step::Ready] {
        let of = |wanted: fn(&EventKind) -> bool| events.iter().any(|event| event.step == step && wanted(&event.kind));
        assert!(of(|kind| matches!(kind, EventKind::Started)) && of(|kind| matches!(kind, EventKind::Finished { .. })));
    }
    let runs: BTreeSet<_> = reports.iter().map(|report| report.run.as_str()).collect();
    assert!(runs.len() == 1 && runs.first().unwrap().starts_with("run-1-join-"), "{runs:?}");
    let last = ready.last().unwrap();
    assert_eq!((&last["run"], &last["generation"]), (&json!("run-1"), &json!(7)));
    assert_eq!((&last["service"], &last["outcome"]), (&json!("chainfire"), &json!("bootstrapped")));
    assert_eq!((&last["awaits"], &last["boot_order"]), (&json!(["flaredb", "iam"]), &json!([])));
    assert_eq!(last["versions"]["agent"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_step_and_the_readiness_reach_the_server_with_the_nodes_certificate() {
    let ca = Ca::new("centra");
    let server = ca.peer(acknowledges);
    let (node, _local) = founder(&ca, server.port);
    assert_eq!(node.join("chainfire", &MORE).code, Some(0));
    assert_complete(&telemetry(&server), &server.bodies("POST /v1/node/ready"));
    assert!(!is_kept(&node));
}

#[test]
fn what_the_server_does_not_take_is_reported_when_the_unit_starts_next() {
    let ca = Ca::new("centra");
    let deaf = ca.peer(founds);
    let (node, local) = founder(&ca, deaf.port);
    let alone = node.join("chainfire", &MORE);
    assert_eq!(alone.code, Some(0));
    assert!(alone.says("WARN", "is kept") && is_kept(&node) && node.has_marker(".chainfire-initialized"));

    let server = ca.peer(acknowledges);
    install_marker(&ca, &node, server.port);
    let polls = local.bodies("").len();
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_complete(&telemetry(&server), &server.bodies("POST /v1/node/ready"));
    assert_eq!(local.bodies("").len(), polls, "the report alone is repeated");
    assert!(!is_kept(&node));
    assert!(server.bodies("POST /v1/node/turn").is_empty(), "who is in needs no turn");
}

#[test]
fn a_server_with_another_ca_is_not_listened_to_and_gets_no_report() {
    let ca = Ca::new("centra");
    let server = Ca::new("rogue").peer(acknowledges);
    let (node, _local) = founder(&ca, server.port);
    let waiting = node.join_for(Duration::from_secs(1), "chainfire", &QUICK);
    assert_eq!(waiting.code, None, "it waits");
    assert!(waiting.says("WARN", "waiting for the boot-server's word"));
    assert!(!node.has_marker(".chainfire-initialized"));
    // The way on where the boot-server is lost.
    assert_eq!(node.join("chainfire", &["--retry-base", "20", "--no-arbiter"]).code, Some(0));
    assert!(server.bodies("").is_empty() && is_kept(&node));
}

#[test]
fn the_health_check_tells_the_server_and_does_not_mind_its_absence() {
    let ca = Ca::new("centra");
    let server = ca.peer(acknowledges);
    let (node, _local) = founder(&ca, server.port);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    let check = node.health_check(&["--timeout", "1"]);
    // The local service lists nobody, not even itself.
    assert_eq!((check.code, &check.lines[0]["healthy"]), (Some(1), &json!(false)));
    let report: HealthReport = serde_json::from_value(server.bodies("POST /v1/node/health")[0].clone()).unwrap();
    assert_eq!((report.generation, report.healthy, report.services[0].healthy), (7, false, false));
    assert!(report.services[0].failure.as_ref().unwrap().cause.contains("not in the member list"));
    assert!(!report.versions.agent.is_empty() && !report.versions.kernel.is_empty());
    install_marker(&ca, &node, free_port());
    assert_eq!(node.health_check(&["--timeout", "1"]).lines[0]["services"][0]["service"], "chainfire");
}

#[test]
fn a_failed_step_is_reported_with_its_code() {
    let ca = Ca::new("centra");
    let server = ca.peer(|request| match request.line.starts_with("POST /v1/node/turn") {
        true => Reply::Json(200, json!({"turn": "join", "members": [], "replaces": false, "lease_seconds": 60})),
        false => acknowledges(request),
    });
    let (mut node, _local) = founder(&ca, server.port);
    node.config["leader_url"] = json!(format!("https://127.0.0.1:{}", free_port()));
    assert_eq!(node.join("chainfire", &["--retry-base", "20", "--attempts", "1"]).code, Some(1));
    let reports = telemetry(&server);
    let failed = reports.iter().flat_map(|report| &report.events).find_map(|event| match &event.kind {
        EventKind::Failed { failure, .. } => Some((event.step, failure.code)),
        _ => None,
    });
    assert_eq!(failed, Some((Step::Preflight, protocol::Code::ClusterUnreachable)));
}

#[test]
fn what_keeps_a_node_from_beginning_is_told_to_the_boot_server() {
    let (ca, other) = (Ca::new("cluster"), Ca::new("another"));
    let past = |hours: u64| protocol::Timestamp::now_utc() - Duration::from_secs(hours * 3600);
    for (wrong, status, named, leaf) in [
        ("a missing key", 3, "raft_addr", None),
        ("a foreign certificate", 1, "did not issue", Some(other.leaf())),
        ("an expired certificate", 1, "valid until", Some(ca.leaf_until(past(9), past(1)))),
    ] {
        let server = ca.peer(acknowledges);
        let (mut node, _) = founder(&ca, server.port);
        if let Some(leaf) = leaf {
            certificates::write(&node.path("foreign"), &ca.pem, &leaf);
            let path = |name: &str| node.path("foreign").join(name).display().to_string();
            node.config["tls"] = json!({"ca_cert_path": path("ca.crt"), "node_cert_path": path("node.crt"),
                "node_key_path": path("node.key")});
        } else {
            node.config.as_object_mut().unwrap().remove("raft_addr");
        }
        let run = node.join("chainfire", &QUICK);
        assert_eq!(run.code, Some(status), "{wrong}");
        assert!(run.failure().contains(named), "{wrong}: {}", run.failure());
        let events = telemetry(&server).into_iter().flat_map(|telemetry| telemetry.events);
        let mut failures = events.filter_map(|event| match event.kind {
            EventKind::Failed { failure, .. } => Some(failure.cause),
            _ => None,
        });
        assert!(failures.next_back().is_some_and(|cause| cause.contains(named)), "{wrong}");
    }
}
