//! The report to the boot-server: complete where it listens, kept and repeated where it does not.

use crate::{
    certificates::Ca,
    node::{Node, free_port},
    peer::{Peer, Reply, Request},
};
use protocol::{
    encoding::Sha256,
    marker::{InstallMarker, MarkerState},
    step::Step,
    telemetry::{EventKind, Telemetry},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const QUICK: [&str; 2] = ["--retry-base", "20"];

/// A chainfire founder, the shortest way to a member, and the peer that plays its service.
fn founder(ca: &Ca, server_port: u16) -> (Node, Peer) {
    let local = Peer::start(ca, |_| Reply::Json(200, json!({"status": "healthy", "members": []})));
    let mut node = Node::founder(ca, "n1");
    node.port = local.port;
    install_marker(ca, &node, server_port);
    (node, local)
}

fn install_marker(ca: &Ca, node: &Node, port: u16) {
    let marker = InstallMarker {
        node: "n1".parse().unwrap(),
        generation: 7,
        run: "run-1".parse().unwrap(),
        state: MarkerState::Installed,
        toplevel: "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos".parse().unwrap(),
        server: format!("https://127.0.0.1:{port}"),
        ca_spki_sha256: vec![Sha256::of(&ca.spki)],
        written: protocol::Timestamp::UNIX_EPOCH,
    };
    fs::write(node.path("install.json"), serde_json::to_vec(&marker).unwrap()).unwrap();
}

fn acknowledges(request: &Request) -> Reply {
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
}

#[test]
fn every_step_and_the_readiness_reach_the_server_with_the_nodes_certificate() {
    let ca = Ca::new("centra");
    let server = Peer::start(&ca, acknowledges);
    let (node, _local) = founder(&ca, server.port);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_complete(&telemetry(&server), &server.bodies("POST /v1/node/ready"));
    assert!(!is_kept(&node));
}

#[test]
fn a_node_joins_without_its_server_and_reports_when_the_unit_starts_next() {
    let ca = Ca::new("centra");
    let (node, local) = founder(&ca, free_port());
    let alone = node.join("chainfire", &QUICK);
    assert_eq!(alone.code, Some(0));
    assert!(alone.says("WARN", "is kept") && is_kept(&node) && node.has_marker(".chainfire-initialized"));

    let server = Peer::start(&ca, acknowledges);
    install_marker(&ca, &node, server.port);
    let polls = local.bodies("").len();
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert_complete(&telemetry(&server), &server.bodies("POST /v1/node/ready"));
    assert_eq!(local.bodies("").len(), polls, "the report alone is repeated");
    assert!(!is_kept(&node));
}

#[test]
fn a_server_with_another_ca_gets_no_report_and_the_node_joins_all_the_same() {
    let ca = Ca::new("centra");
    let server = Peer::start(&Ca::new("rogue"), acknowledges);
    let (node, _local) = founder(&ca, server.port);
    assert_eq!(node.join("chainfire", &QUICK).code, Some(0));
    assert!(server.bodies("").is_empty() && is_kept(&node));
}

#[test]
fn a_failed_step_is_reported_with_its_code() {
    let ca = Ca::new("centra");
    let server = Peer::start(&ca, acknowledges);
    let (mut node, _local) = founder(&ca, server.port);
    node.config["bootstrap"] = json!(false);
    node.config["leader_url"] = json!(format!("https://127.0.0.1:{}", free_port()));
    assert_eq!(node.join("chainfire", &["--retry-base", "20", "--attempts", "1"]).code, Some(1));
    let reports = telemetry(&server);
    let failed = reports.iter().flat_map(|report| &report.events).find_map(|event| match &event.kind {
        EventKind::Failed { failure, .. } => Some((event.step, failure.code)),
        _ => None,
    });
    assert_eq!(failed, Some((Step::Preflight, protocol::Code::ClusterUnreachable)));
}
