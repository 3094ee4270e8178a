//! Manifest, secrets, plan, reports: what a certificate opens, and what it does not.

use super::{
    lab::{Lab, spec},
    machine::{Machine, Node, event},
};
use hyper::StatusCode;
use protocol::{
    Code, Failure,
    manifest::SecretBundle,
    report::{Fate, Lost, PlanDecision, PlanReply, PlanReport, PlannedDisk},
    step::Step,
    telemetry::EventKind,
};
use serde_json::json;

const MAC: &str = "52:54:00:00:00:01";

async fn node(lab: &Lab, name: &str, mac: &str, run: &str) -> Node {
    lab.apply(name, mac);
    Machine::new(mac, run).admitted(lab).await
}

#[tokio::test]
async fn nothing_of_a_node_is_given_to_somebody_without_its_certificate() {
    let lab = Lab::open();
    let own = node(&lab, "n1", MAC, "run-1").await;
    own.manifest(&lab).await;
    for caller in [lab.nobody(), lab.admin()] {
        assert_eq!(caller.post("/v1/node/manifest", &own.manifest_request()).await.0, StatusCode::FORBIDDEN);
        assert_eq!(caller.get("/v1/node/secrets?generation=1").await.0, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_node_gets_its_own_secrets_and_only_while_its_generation_is_open() {
    let lab = Lab::open();
    let (one, two) = (node(&lab, "n1", MAC, "run-1").await, node(&lab, "n2", "52:54:00:00:00:02", "run-2").await);
    // Not before the manifest has opened the generation.
    assert_eq!(one.caller.get("/v1/node/secrets?generation=1").await.0, StatusCode::CONFLICT);
    for (node, name) in [(&one, "n1"), (&two, "n2")] {
        node.manifest(&lab).await;
        let (status, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
        assert!(status.is_success(), "{bundle}");
        let bundle: SecretBundle = serde_json::from_value(bundle).unwrap();
        let contents: Vec<&str> = bundle.files.iter().map(|file| file.content.as_text().unwrap()).collect();
        assert_eq!(contents[0], format!("secret of {name}"));
        assert!(contents[1].contains(&format!("\"node_id\": \"{name}\"")));
        assert_eq!(bundle.files[1].path, "/etc/nixos/secrets/cluster-config.json");
    }
    assert_eq!(one.caller.get("/v1/node/secrets?generation=2").await.0, StatusCode::CONFLICT);
    one.installed(1).await;
    let (_, failure) = one.caller.get("/v1/node/secrets?generation=1").await;
    assert_eq!(failure["code"], "E-GENERATION-USED");
    let history = lab.describe("n1")["history"].to_string();
    assert!(history.contains("handed out 2 secret files"), "{history}");
    let everything = lab.describe("n1").to_string() + &lab.log();
    assert!(!everything.contains("secret of n1"), "a secret is in a description or the log");
}

#[tokio::test]
async fn a_used_generation_gives_no_second_manifest() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    assert!(node.installed(1).await.0.is_success(), "the report may come twice");
    let (status, failure) = node.caller.post("/v1/node/manifest", &node.manifest_request()).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::CONFLICT, Some("E-GENERATION-USED")));
    assert_eq!(node.installed(2).await.0, StatusCode::CONFLICT);
    // Applying the spec again, changed or not, opens nothing.
    let mut changed = spec("n1", MAC);
    changed["hostname"] = json!("other");
    lab.apply_spec(&changed);
    assert_eq!(node.caller.post("/v1/node/manifest", &node.manifest_request()).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_report_before_the_node_was_admitted_is_refused() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    assert_eq!(node.installed(7).await.0, StatusCode::CONFLICT);
    assert_eq!(node.ready(0).await.0, StatusCode::CONFLICT);
    assert_eq!(lab.state_of("n1"), "approved");
}

#[tokio::test]
async fn failed_runs_lead_to_quarantine() {
    let lab = Lab::open();
    let mut node = node(&lab, "n1", MAC, "run-0").await;
    for n in 1..=5 {
        node.run = format!("run-{n}").parse().unwrap();
        node.manifest(&lab).await;
        let failure = Failure::new(Code::DiskNotFound, "no disk matches");
        node.tell(vec![event(1, Step::Plan, EventKind::Failed { failure, retry_in_ms: None })], vec![]).await;
        assert_eq!(lab.state_of("n1"), "failed");
    }
    node.run = "run-6".parse().unwrap();
    let (status, failure) = node.caller.post("/v1/node/manifest", &node.manifest_request()).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::CONFLICT, Some("E-QUARANTINE")));
    let shown = lab.says(&["describe", "node", "n1"]);
    assert!(shown.contains("E-DISK-NOT-FOUND") && shown.contains("quarantine"), "{shown}");
    let script = boot_script(&lab, MAC);
    assert!(script.contains("quarantine"), "{script}");
    assert!(!lab.verb(&["reinstall", "n1"]).status.success(), "it asks for --yes");
    lab.says(&["reinstall", "n1", "--yes"]);
    assert_eq!(node.manifest(&lab).await.generation, 2);
}

#[tokio::test]
async fn what_a_machine_boots_follows_its_life() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    let before = boot_script(&lab, MAC);
    node.manifest(&lab).await;
    node.installed(1).await;
    let after = boot_script(&lab, MAC);
    assert!(before.contains("n1"), "{before}");
    assert_ne!(before, after);
    assert!(!after.contains("bzImage"), "{after}");
    assert!(!boot_script(&lab, "52:54:00:00:00:77").is_empty(), "an unknown machine is answered");
}

/// The boot script over plain HTTP.
fn boot_script(lab: &Lab, mac: &str) -> String {
    use std::io::{Read, Write};
    let port = u16::try_from(lab.port("http")).unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let path = format!("/boot/ipxe/boot.ipxe?mac={mac}&platform=efi&arch=x86_64");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[tokio::test]
async fn a_plan_is_held_until_an_admin_agrees_to_exactly_that_plan() {
    let lab = Lab::open();
    let node = node_with_held_plan(&lab).await;
    let decided = async |line: &str| decision(&node, &[line]).await;
    assert_eq!(decided("wipe vda").await, PlanDecision::Hold);
    assert!(lab.says(&["describe", "node", "n1"]).contains("approve the plan"));
    assert_eq!(lab.says(&["approve", "n1"]), "the plan of node n1 is approved\n");
    assert_eq!(decided("wipe vda").await, PlanDecision::Proceed);
    assert_eq!(decided("wipe vdb").await, PlanDecision::Hold);
    assert_eq!(decided("wipe vda").await, PlanDecision::Hold, "an approval is for the plan that follows it");
}

/// A node that has its manifest, and whose plans an admin approves.
async fn node_with_held_plan(lab: &Lab) -> Node {
    let mut held = spec("n1", MAC);
    held["disks"]["hold"] = json!(true);
    lab.apply_spec(&held);
    let node = Machine::new(MAC, "run-1").admitted(lab).await;
    node.manifest(lab).await;
    node
}

fn plan(node: &Node, lines: &[&str]) -> PlanReport {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    PlanReport { run: node.run.clone(), generation: 1, lines, resumes: false, hold: false, disks: Some(vec![]) }
}

/// The plan destroys what its first line says.
fn losing(node: &Node, lines: &[&str]) -> PlanReport {
    let fate = Fate::Make { loses: Lost::Foreign };
    PlanReport { disks: Some(vec![PlannedDisk { name: "main".into(), line: 0, fate }]), ..plan(node, lines) }
}

async fn decision(node: &Node, lines: &[&str]) -> PlanDecision {
    judged(node, &plan(node, lines)).await
}

async fn judged(node: &Node, report: &PlanReport) -> PlanDecision {
    node.caller.done::<PlanReply>("/v1/node/plan", report).await.decision
}

#[tokio::test]
async fn what_a_plan_destroys_is_told_and_agreed_to_by_name() {
    let lab = Lab::open();
    let node = node_with_held_plan(&lab).await;
    let lost = "disk main = /dev/vda (8 GiB, serial X, wwn -), DESTROYS: vda1: ext4 \"\u{1b}[2Jdata\"";
    let lines = [lost, "  partition 1 disk-main-root 8 GiB", "  1. clear /dev/vda"];
    assert_eq!(judged(&node, &losing(&node, &lines)).await, PlanDecision::Hold);

    let shown = lab.says(&["describe", "node", "n1"]);
    assert!(shown.contains("!! disk main") && shown.contains("1. clear /dev/vda"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "a machine writes no escapes to the admin's terminal");
    let refused = lab.verb(&["approve", "n1"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("DESTROYS") && said.contains("--plan"), "{said}");
    assert_eq!(judged(&node, &losing(&node, &lines)).await, PlanDecision::Hold);

    let id = lab.describe("n1")["held_plan"].as_str().unwrap().to_owned();
    assert!(shown.contains(&id[..12]), "{shown}");
    assert!(!lab.verb(&["approve", "n1", "--plan", "0123456789ab"]).status.success());
    lab.says(&["approve", "n1", "--plan", &id[..12]]);
    assert_eq!(judged(&node, &losing(&node, &lines)).await, PlanDecision::Proceed);
    assert!(lab.describe("n1")["history"].to_string().contains(&format!("approved plan {}", &id[..12])));
}

#[tokio::test]
async fn what_neither_the_spec_nor_an_admin_lets_go_is_held_whatever_the_agent_thinks() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    node.manifest(&lab).await;
    assert_eq!(judged(&node, &losing(&node, &["any words"])).await, PlanDecision::Hold);
    assert!(!lab.verb(&["approve", "n1"]).status.success(), "the plan has to be named");
    // An agent of an earlier release does not say what becomes of each disk.
    let silent = PlanReport { disks: None, ..plan(&node, &["any words"]) };
    assert_eq!(judged(&node, &silent).await, PlanDecision::Hold);
    assert!(!lab.verb(&["approve", "n1"]).status.success(), "the plan has to be named");
    let mut wipe = spec("n1", MAC);
    wipe["disks"]["wipe"] = json!({"main": "wipe"});
    lab.apply_spec(&wipe);
    for report in [losing(&node, &["any words"]), silent] {
        assert_eq!(judged(&node, &report).await, PlanDecision::Proceed);
    }
}

#[tokio::test]
async fn a_plan_that_changed_under_the_admin_s_eyes_is_not_approved() {
    let lab = Lab::open();
    let node = node_with_held_plan(&lab).await;
    decision(&node, &["wipe vda"]).await;
    let read = json!({"plan": lab.describe("n1")["held_plan"]});
    decision(&node, &["wipe vdb"]).await;
    let (status, failure) = lab.admin().post("/v1/nodes/n1/plan/approve", &read).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::CONFLICT, Some("E-WRONG-STATE")));
    assert_eq!(decision(&node, &["wipe vdb"]).await, PlanDecision::Hold);
}

#[tokio::test]
async fn a_plan_that_was_never_held_is_not_taken_for_an_approved_one() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    node.manifest(&lab).await;
    assert_eq!(decision(&node, &["wipe vda"]).await, PlanDecision::Proceed);
    // The manifest said that the plan is held, and its spec no longer does.
    let counting_on_it = PlanReport { hold: true, ..plan(&node, &["wipe vda"]) };
    let reply: PlanReply = node.caller.done("/v1/node/plan", &counting_on_it).await;
    assert_eq!(reply.decision, PlanDecision::Hold);
    let mut held = spec("n1", MAC);
    held["disks"]["hold"] = json!(true);
    lab.apply_spec(&held);
    assert_eq!(decision(&node, &["wipe vda"]).await, PlanDecision::Hold);
}

#[tokio::test]
async fn a_plan_is_approved_to_its_last_line_and_refused_where_nobody_could_read_it() {
    let lab = Lab::open();
    let node = node_with_held_plan(&lab).await;
    let mut lines = vec!["mount"; 600];
    lines.push("wipe vda");
    decision(&node, &lines).await;
    lab.says(&["approve", "n1"]);
    assert_eq!(decision(&node, &lines).await, PlanDecision::Proceed);
    lines[600] = "wipe vdb";
    assert_eq!(decision(&node, &lines).await, PlanDecision::Hold);
    let (status, failure) = node.caller.post("/v1/node/plan", &plan(&node, &vec!["x"; 5001])).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::BAD_REQUEST, Some("E-LAYOUT")));
}

#[tokio::test]
async fn a_nonce_of_another_length_is_refused() {
    let lab = Lab::open();
    let node = node(&lab, "n1", MAC, "run-1").await;
    let (status, failure) = node.caller.post("/v1/node/manifest", &json!({"nonce": "AAAA", "run": "run-1"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(failure["cause"].as_str().unwrap().contains("nonce"), "{failure}");
}
