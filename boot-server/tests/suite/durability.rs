//! What is acknowledged survives kill -9, and is stored once.

use super::{
    lab::{BINARY, Lab, path},
    machine::{Machine, Node, event, line, telemetry},
};
use hyper::StatusCode;
use protocol::{enrol::EnrolState, step::Step, telemetry::EventKind};
use std::process::Command;

const MAC: &str = "52:54:00:00:00:01";

async fn admitted(lab: &Lab, mac: &str, run: &str) -> (Machine, Node) {
    let machine = Machine::new(mac, run);
    let node = machine.admitted(lab).await;
    (machine, node)
}

#[tokio::test]
async fn acknowledged_events_survive_kill_9_and_are_stored_once() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let (machine, node) = admitted(&lab, MAC, "run-1").await;
    node.manifest(&lab).await;
    let events = || (1..=3).map(|seq| event(seq, Step::Disk, EventKind::Started)).collect::<Vec<_>>();
    let ack = node.tell(events(), vec![line(1, "one"), line(2, "two")]).await;
    assert_eq!((ack.events_through, ack.lines_through), (3, 2));
    lab.kill();
    lab.serve();
    assert_eq!(lab.state_of("n1"), "installing");
    let node = machine.admitted(&lab).await;
    let mut again = events();
    again.push(event(4, Step::Disk, EventKind::Finished { duration_ms: 7, detail: "done".into() }));
    let ack = node.tell(again, vec![line(2, "two")]).await;
    assert_eq!((ack.events_through, ack.lines_through), (4, 2));
    let shown = lab.describe("n1");
    let seqs: Vec<u64> =
        shown["events"].as_array().unwrap().iter().map(|event| event["event"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert_eq!(lab.says(&["logs", "n1"]).matches("two").count(), 1);
    assert_eq!(node.manifest(&lab).await.generation, 1);
}

#[tokio::test]
async fn a_certificate_goes_on_working_after_a_restart() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert!(lab.stop(), "SIGTERM ends the server in order");
    lab.serve();
    machine.node(&lab, &reply).manifest(&lab).await;
    // The session is still known: a poll that was cut off is answered.
    assert_eq!(machine.ask(&lab, &greeted).await.state, EnrolState::Approved);
}

#[tokio::test]
async fn a_machine_that_greeted_before_a_restart_greets_again_and_keeps_its_run() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let body =
        telemetry(&machine.run, Some(&greeted.session), vec![event(1, Step::Coldplug, EventKind::Started)], vec![]);
    let (status, ack) = lab.nobody().post("/v1/telemetry", &body).await;
    assert!(status.is_success() && ack["events_through"] == 0, "of a greeting nothing is kept: {ack}");
    lab.kill();
    lab.serve();
    assert_eq!(lab.nobody().post("/v1/enrol", &machine.request(&greeted.session)).await.0, StatusCode::UNAUTHORIZED);
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    let told = [(1, Step::Coldplug), (2, Step::Network)].map(|(seq, step)| event(seq, step, EventKind::Started));
    let body = telemetry(&machine.run, Some(&greeted.session), told.to_vec(), vec![]);
    assert!(lab.nobody().post("/v1/telemetry", &body).await.0.is_success());
    let node = machine.node(&lab, &reply);
    let ack = node.tell(vec![event(3, Step::Enrol, EventKind::Started)], vec![]).await;
    assert_eq!(ack.events_through, 3);
    assert_eq!(lab.describe("n1")["events"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_largest_batch_of_an_agent_is_taken_and_no_larger_one() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let (_, node) = admitted(&lab, MAC, "run-1").await;
    let batch = |count| {
        let events = (1..=count).map(|seq| event(seq, Step::Disk, EventKind::Started)).collect();
        telemetry(&node.run, None, events, (1..=count).map(|seq| line(seq, "x")).collect())
    };
    assert!(node.caller.post("/v1/telemetry", &batch(500)).await.0.is_success());
    assert_eq!(node.caller.post("/v1/telemetry", &batch(501)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nobody_beats_the_heart_of_another_s_run() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let (_, node) = admitted(&lab, MAC, "run-1").await;
    node.tell(vec![], vec![line(1, "mine")]).await;
    let stranger = Machine::new("52:54:00:00:00:99", "run-9");
    let greeted = stranger.greet(&lab).await;
    stranger.ask(&lab, &greeted).await;
    let body = telemetry(&node.run, Some(&greeted.session), vec![], vec![]);
    assert_eq!(lab.nobody().post("/v1/telemetry", &body).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn one_node_cannot_write_into_another_s_run() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    lab.apply("n2", "52:54:00:00:00:02");
    let (_, one) = admitted(&lab, MAC, "run-1").await;
    let (_, two) = admitted(&lab, "52:54:00:00:00:02", "run-2").await;
    one.tell(vec![], vec![line(1, "mine")]).await;
    let body = telemetry(&one.run, None, vec![], vec![line(2, "not yours")]);
    assert_eq!(two.caller.post("/v1/telemetry", &body).await.0, StatusCode::FORBIDDEN);
    let body = telemetry(&one.run, None, vec![], vec![line(2, "nobody's")]);
    assert_eq!(lab.nobody().post("/v1/telemetry", &body).await.0, StatusCode::FORBIDDEN);
    let request = protocol::manifest::ManifestRequest { nonce: vec![1; 32], run: one.run.clone() };
    assert_eq!(two.caller.post("/v1/node/manifest", &request).await.0, StatusCode::FORBIDDEN);
}

#[test]
fn a_damaged_database_is_told_by_every_command_with_the_way_back_and_that_is_one() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    assert!(lab.stop());
    let (state, out) = (lab.dir().join("state.db"), lab.dir().parent().unwrap().join("backups"));
    lab.says(&["cluster", "backup", "--server-only", "--out", path(&out)]);
    std::fs::write(&state, "garbage").unwrap();
    let config = lab.dir().join("config.toml");
    let commands = [
        vec!["serve", "--config", path(&config)],
        vec!["serve", "--check", "--config", path(&config)],
        vec!["audit", "verify", "--offline"],
        vec!["token", "create", "alice", "--offline"],
        vec!["cluster", "backup", "--server-only", "--out", path(&out)],
        vec!["ca", "rotate"],
        vec!["certificate", "--name", "outside", "--address", "10.0.0.1", "--out", path(&out)],
    ];
    for words in commands {
        let mut command = Command::new(BINARY);
        command.args(&words);
        if words[0] != "serve" {
            command.arg("--dir").arg(lab.dir());
        }
        let refused = command.output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let remedy = "boot-server cluster restore --from BACKUP --dir DIR --force";
        assert!(!refused.status.success() && said.contains("state.db") && said.contains(remedy), "{words:?}: {said}");
    }
    assert!(!lab.dir().join("next").exists() && !out.join("outside.key").exists(), "nothing is done that is not noted");
    let backup = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let said = lab.says(&["cluster", "restore", "--from", path(&backup), "--force"]);
    let aside = said.lines().find_map(|line| line.strip_prefix("What was there before is in ")).unwrap();
    let kept = std::path::Path::new(aside.trim_end_matches('.')).join("state.db");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "garbage");
    lab.serve();
    assert_eq!(lab.state_of("n1"), "expected");
}
