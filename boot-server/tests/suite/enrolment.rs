//! Hello, enrol, code, certificate.

use super::{
    lab::{Lab, spec},
    machine::{Machine, anchors, telemetry},
};
use hyper::StatusCode;
use protocol::{
    enrol::{EnrolReply, EnrolState},
    telemetry::TelemetryAck,
};
use serde_json::json;

const MAC: &str = "52:54:00:00:00:01";

#[tokio::test]
async fn an_open_lab_admits_a_machine_that_a_spec_matches_and_the_way_leads_to_ready() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    assert_eq!(lab.state_of("n1"), "expected");
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    assert_eq!(lab.state_of("n1"), "approved");
    let manifest = node.manifest(&lab).await;
    assert_eq!((manifest.node.as_str(), manifest.generation), ("n1", 1));
    assert_eq!(lab.state_of("n1"), "installing");
    assert!(node.installed(1).await.0.is_success());
    assert_eq!(lab.state_of("n1"), "installed");
    assert!(node.ready(1).await.0.is_success());
    assert_eq!(lab.state_of("n1"), "ready");
    assert_eq!(lab.says(&["wait", "n1", "--for", "ready", "--timeout", "1"]), "node n1 is ready\n");
}

#[tokio::test]
async fn the_server_presents_the_ca_that_the_image_pins() {
    let lab = Lab::open();
    let pem = lab.ca_pem();
    let der = rustls::pki_types::CertificateDer::from(pem_body(&pem));
    let pinned = anchors(&lab).ca_spki_sha256.remove(0);
    assert_eq!(host::certificate::spki(&der), Some(pinned));
}

fn pem_body(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    data_encoding::BASE64.decode(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_machine_without_a_spec_waits_until_one_is_applied() {
    let lab = Lab::open();
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert_eq!(reply.state, EnrolState::Pending);
    assert_eq!(reply.missing, ["a NodeSpec that matches this machine"]);
    assert!(lab.says(&["get", "nodes", "-o", "name"]).starts_with("machine-"));
    let poller = lab.nobody();
    let poll = tokio::spawn(async move { poller.get(&format!("/v1/enrol/{}?wait=40", greeted.session)).await });
    lab.apply("n1", MAC);
    let reply: EnrolReply = serde_json::from_value(poll.await.unwrap().1).unwrap();
    assert_eq!(reply.state, EnrolState::Approved);
    assert_eq!(reply.node.unwrap().as_str(), "n1");
}

#[tokio::test]
async fn an_admin_approves_by_the_code_on_the_console() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert_eq!((reply.state, reply.certificate), (EnrolState::Pending, None));
    assert!(reply.missing[0].contains(&greeted.code), "{:?}", reply.missing);
    let list = lab.says(&["get", "nodes"]);
    assert!(list.contains("pending") && list.contains(&greeted.code), "{list}");
    for wrong in ["AAAA-AAAA", "K7QF-2M9X"] {
        let refused = lab.verb(&["approve", wrong]);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && stderr.contains("no machine that waits shows it"), "{stderr}");
    }
    assert_eq!(lab.says(&["approve", &greeted.code.to_lowercase().replace('-', "")]), "the machine is node n1\n");
    let (_, reply) = lab.nobody().get(&format!("/v1/enrol/{}", greeted.session)).await;
    let reply: EnrolReply = serde_json::from_value(reply).unwrap();
    assert_eq!(machine.node(&lab, &reply).manifest(&lab).await.node.as_str(), "n1");
}

#[tokio::test]
async fn a_machine_that_no_spec_matches_is_approved_by_naming_its_node() {
    let lab = Lab::strict();
    lab.apply_spec(&{
        let mut spec = spec("n1", MAC);
        spec["match"] = json!({});
        spec
    });
    let machine = Machine::new("52:54:00:00:00:99", "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    let refused = lab.verb(&["approve", &greeted.code]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("E-NO-SPEC"), "{refused:?}");
    lab.says(&["approve", &greeted.code, "--node", "n1"]);
    assert_eq!(lab.state_of("n1"), "approved");
}

#[tokio::test]
async fn codes_cannot_be_guessed_at_length() {
    let lab = Lab::strict();
    let mut answers = Vec::new();
    for _ in 0..25 {
        answers.push(lab.admin().post("/v1/approve", &json!({"code": "AAAA-AAAA"})).await.0);
    }
    assert!(answers.contains(&StatusCode::FORBIDDEN), "{answers:?}");
}

#[tokio::test]
async fn a_csr_that_hello_did_not_commit_to_is_refused() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let (machine, other) = (Machine::new(MAC, "run-1"), Machine::new(MAC, "run-2"));
    let greeted = machine.greet(&lab).await;
    let (status, failure) = lab.nobody().post("/v1/enrol", &other.request(&greeted.session)).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::BAD_REQUEST, Some("E-INPUT")));
    // After the right one, neither.
    machine.ask(&lab, &greeted).await;
    assert_eq!(lab.nobody().post("/v1/enrol", &other.request(&greeted.session)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_session_that_nobody_began_is_unknown_everywhere() {
    let lab = Lab::open();
    let machine = Machine::new(MAC, "run-1");
    let caller = lab.nobody();
    assert_eq!(caller.post("/v1/enrol", &machine.request("nonsense")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(caller.get("/v1/enrol/nonsense").await.0, StatusCode::UNAUTHORIZED);
    let telemetry = telemetry(&machine.run, Some("nonsense"), vec![], vec![]);
    assert_eq!(caller.post("/v1/telemetry", &telemetry).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_same_request_twice_has_the_same_answer() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let (first, second) = (machine.ask(&lab, &greeted).await, machine.ask(&lab, &greeted).await);
    assert_eq!(first, second);
}

#[tokio::test]
async fn another_key_with_the_claims_of_an_installed_node_is_a_conflict_and_the_node_goes_on() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    node.installed(1).await;
    let rogue = Machine::new(MAC, "run-2");
    let greeted = rogue.greet(&lab).await;
    let reply = rogue.ask(&lab, &greeted).await;
    assert_eq!((reply.state, reply.certificate), (EnrolState::Conflict, None));
    assert!(node.ready(1).await.0.is_success());
    let list = lab.says(&["get", "nodes", "-o", "wide"]);
    assert!(list.contains("conflict") && list.contains("ready"), "{list}");
    // Not even the right code takes an installed node away.
    let refused = lab.verb(&["approve", &greeted.code]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let ways = ["E-ENROL-CONFLICT", "boot-server cluster replace n1 --yes", "boot-server reject MACHINE"];
    assert!(!refused.status.success() && ways.iter().all(|way| said.contains(way)), "{said}");
    // Each is a way, one after the other here.
    let machine = format!("machine-{}", &rogue.spki().hex()[..8]);
    assert!(lab.says(&["get", "nodes", "-o", "name"]).contains(&machine));
    lab.says(&["reject", &machine]);
    assert_eq!(rogue.ask(&lab, &greeted).await.state, EnrolState::Rejected);
    lab.says(&["reject", "--undo", &machine]);
    lab.says(&["cluster", "replace", "n1", "--yes", "--force"]);
    assert_eq!(rogue.ask(&lab, &greeted).await.state, EnrolState::Approved);
}

#[tokio::test]
async fn another_key_before_the_installation_needs_the_code_and_then_takes_over() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let first = Machine::new(MAC, "run-1");
    let greeted = first.greet(&lab).await;
    first.ask(&lab, &greeted).await;
    lab.says(&["approve", &greeted.code]);
    let reply = first.ask(&lab, &greeted).await;
    let first = first.node(&lab, &reply);
    let second = Machine::new(MAC, "run-2");
    let greeted = second.greet(&lab).await;
    assert_eq!(second.ask(&lab, &greeted).await.state, EnrolState::Conflict, "the first still speaks");
    first.manifest(&lab).await;
    lab.says(&["approve", &greeted.code]);
    let (status, failure) = first.caller.post("/v1/node/manifest", &first.manifest_request()).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("E-ENROL-UNKNOWN")));
    let reply = second.ask(&lab, &greeted).await;
    second.node(&lab, &reply).manifest(&lab).await;
}

#[tokio::test]
async fn a_key_that_was_admitted_carries_on_after_a_power_cut_without_a_second_approval() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let mut machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    lab.says(&["approve", &greeted.code]);
    machine.run = "run-2".parse().unwrap();
    machine.admitted(&lab).await.manifest(&lab).await;
}

#[tokio::test]
async fn the_log_of_a_machine_that_waits_is_kept_and_bounded() {
    let lab = Lab::strict();
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    for batch in 0..12u64 {
        let lines = (1..=500).map(|n| super::machine::line(batch * 500 + n, "x")).collect();
        let body = telemetry(&machine.run, Some(&greeted.session), vec![], lines);
        let ack: TelemetryAck = lab.nobody().done("/v1/telemetry", &body).await;
        assert_eq!(ack.lines_through, (batch + 1) * 500, "what is not kept is not to be sent again");
    }
    for n in 0..10 {
        let body = telemetry(&format!("other-{n}").parse().unwrap(), Some(&greeted.session), vec![], vec![]);
        let (status, _) = lab.nobody().post("/v1/telemetry", &body).await;
        assert_eq!(status.is_success(), n < 4, "run {n}: {status}");
    }
}

#[tokio::test]
async fn a_machine_that_asks_twice_at_once_is_answered_twice() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let (greeted, caller) = (machine.greet(&lab).await, lab.nobody());
    let asked: tokio::task::JoinSet<_> = std::iter::repeat_n(machine.request(&greeted.session), 8)
        .map(|request| {
            let caller = caller.clone();
            async move { caller.post("/v1/enrol", &request).await }
        })
        .collect();
    for (status, answer) in asked.join_all().await {
        assert!(status.is_success() && answer["state"] == "approved", "{status} {answer}");
    }
}
