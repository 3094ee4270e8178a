//! What somebody may take, and make the server keep, who has neither certificate nor token.

use super::{
    lab::{Lab, spec},
    machine::{Machine, event, line, telemetry},
};
use hyper::StatusCode;
use protocol::{
    enrol::{EnrolReply, EnrolState},
    step::Step,
    telemetry::EventKind,
};
use serde_json::{Value, json};

const MAC: &str = "52:54:00:00:00:01";

#[tokio::test]
async fn of_a_machine_that_has_only_greeted_nothing_is_kept() {
    let lab = Lab::strict();
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let said = telemetry(&machine.run, Some(&greeted.session), vec![], vec![line(1, "hello")]);
    let (status, ack) = lab.nobody().post("/v1/telemetry", &said).await;
    assert_eq!((status, &ack["lines_through"]), (StatusCode::OK, &json!(0)), "it is to be sent again");
    let nobody = telemetry(&machine.run, Some("nobody"), vec![], vec![line(1, "hello")]);
    assert_eq!(lab.nobody().post("/v1/telemetry", &nobody).await.1["code"], "E-ENROL-UNKNOWN");
    machine.ask(&lab, &greeted).await;
    let (status, ack) = lab.nobody().post("/v1/telemetry", &said).await;
    assert_eq!((status, &ack["lines_through"]), (StatusCode::OK, &json!(1)));
}

#[tokio::test]
async fn claims_and_inventories_are_kept_no_larger_than_those_of_machines() {
    let lab = Lab::strict();
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let mut request = serde_json::to_value(machine.request(&greeted.session)).unwrap();
    let macs: Vec<String> = (0..40_000).map(|n| format!("02:00:00:{:02x}:{:02x}:00", n / 256, n % 256)).collect();
    request["claims"]["macs"] = json!(macs);
    request["inventory"]["kernel"] = json!("k".repeat(1 << 20));
    request["agent_version"] = json!("v".repeat(1 << 20));
    let (status, _) = lab.nobody().post("/v1/enrol", &request).await;
    assert!(status.is_success());
    let list = lab.says(&["get", "nodes", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let shown = lab.describe(list[0]["name"].as_str().unwrap());
    assert_eq!(shown["claims"]["macs"].as_array().unwrap().len(), 32);
    assert!(shown["inventory"].to_string().len() < 2000, "{shown}");
}

#[tokio::test]
async fn a_machine_that_waits_for_a_code_has_its_timeline_also_where_a_spec_matches_it() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    machine.ask(&lab, &greeted).await;
    let finished = EventKind::Finished { duration_ms: 5, detail: "eth0".into() };
    let said = telemetry(&machine.run, Some(&greeted.session), vec![event(1, Step::Network, finished)], vec![]);
    assert!(lab.nobody().post("/v1/telemetry", &said).await.0.is_success());
    let shown = lab.describe("n1");
    assert_eq!((&shown["summary"]["state"], shown["events"].as_array().unwrap().len()), (&json!("pending"), 1));
}

#[tokio::test]
async fn the_newest_lines_come_first_and_earlier_ones_on_demand() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.tell(vec![], (1..=30).map(|n| line(n, &format!("line {n}"))).collect()).await;
    let admin = lab.admin();
    let seqs = |page: &Value| -> Vec<u64> {
        page.as_array().unwrap().iter().map(|entry| entry["line"]["seq"].as_u64().unwrap()).collect()
    };
    let (_, newest) = admin.get("/v1/nodes/n1/logs?tail=10").await;
    assert_eq!(seqs(&newest), (21..=30).collect::<Vec<_>>());
    let (_, earlier) = admin.get(&format!("/v1/nodes/n1/logs?tail=15&before={}", newest[0]["id"])).await;
    assert_eq!(seqs(&earlier), (6..=20).collect::<Vec<_>>());
    let (_, first) = admin.get(&format!("/v1/nodes/n1/logs?tail=500&before={}", earlier[0]["id"])).await;
    assert_eq!(seqs(&first), (1..=5).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_machine_is_one_node_and_a_retired_node_lets_go_of_its_machine() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let second = lab.file("n2.json", &spec("n2", MAC).to_string());
    let refused = lab.verb(&["apply", "-f", second.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("the machine that n1 names as well"), "{told}");
    assert_eq!(lab.says(&["get", "nodes", "-o", "name"]), "n1\n", "nothing of it is stored");

    Machine::new(MAC, "run-1").admitted(&lab).await;
    lab.says(&["cluster", "decommission", "n1", "--yes", "--keep-disks", "--force"]);
    let again = lab.file("n1.json", &spec("n1", "52:54:00:00:00:09").to_string());
    let told = lab.says(&["apply", "-f", again.to_str().unwrap()]);
    assert!(told.contains("configured") && told.contains("apply --reopen"), "{told}");
    assert_eq!(lab.state_of("n1"), "retired");
    lab.says(&["apply", "-f", second.to_str().unwrap()]);
    let machine = Machine::new(MAC, "run-2");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert_eq!((reply.state, reply.node.unwrap().as_str()), (EnrolState::Approved, "n2"));
    let told = lab.says(&["apply", "--reopen", "-f", again.to_str().unwrap()]);
    assert!(told.contains("reopened"), "{told}");
    assert_eq!(lab.state_of("n1"), "expected");
}

/// Bytes of the database, the log that is written ahead included.
fn state_bytes(lab: &Lab) -> u64 {
    let size = |name: &str| std::fs::metadata(lab.dir().join(name)).map_or(0, |file| file.len());
    size("state.db") + size("state.db-wal")
}

#[tokio::test]
async fn a_hello_leaves_nothing_on_the_disk() {
    let lab = Lab::strict();
    let before = state_bytes(&lab);
    for number in 0..50 {
        let greeted = Machine::new(MAC, &format!("run-{number}")).greet(&lab).await;
        let lines = (1..=10).map(|n| line(n, &"x".repeat(4000))).collect();
        let said = telemetry(&"run".parse().unwrap(), Some(&greeted.session), vec![], lines);
        assert!(lab.nobody().post("/v1/telemetry", &said).await.0.is_success());
    }
    assert_eq!(state_bytes(&lab), before);
}

#[tokio::test]
async fn a_machine_that_asks_again_and_again_leaves_little_on_the_disk() {
    let lab = Lab::strict();
    let before = state_bytes(&lab);
    let machine = Machine::new(MAC, "run-1");
    for _ in 0..100 {
        let greeted = machine.greet(&lab).await;
        let mut request = serde_json::to_value(machine.request(&greeted.session)).unwrap();
        request["inventory"]["kernel"] = json!("k".repeat(120 << 10));
        assert!(lab.nobody().post("/v1/enrol", &request).await.0.is_success());
    }
    let list: Value = serde_json::from_str(&lab.says(&["get", "nodes", "-o", "json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "each took the place of the one before it");
    let grown = state_bytes(&lab) - before;
    // 12 MB of inventories; the log that is written ahead is used again from 4 MB on.
    assert!(grown < 8 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_node_that_tells_too_much_is_told_when_it_is_heard_again_and_others_are_heard() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    lab.apply("n2", "52:54:00:00:00:02");
    let loud = Machine::new(MAC, "run-1").admitted(&lab).await;
    let quiet = Machine::new("52:54:00:00:00:02", "run-2").admitted(&lab).await;
    let lines = (1..=500).map(|n| line(n, &"x".repeat(8000))).collect();
    let body = serde_json::to_vec(&telemetry(&loud.run, None, vec![], lines)).unwrap();
    let mut refused = None;
    for _ in 0..4 {
        let headers = [("content-type", "application/json")];
        let answer = loud.caller.send(hyper::Method::POST, "/v1/telemetry", &headers, body.clone().into()).await;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            refused = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse::<u64>().ok());
        }
    }
    assert!(refused.is_some_and(|after| after > 0), "16 MB were taken");
    assert_eq!(quiet.tell(vec![], vec![line(1, "x")]).await.lines_through, 1);
    let (status, _) = loud.caller.post("/v1/node/manifest", &loud.manifest_request()).await;
    assert!(status.is_success(), "what it does beside its log goes on: {status}");
}

#[tokio::test]
async fn whoever_has_filled_the_room_of_his_source_keeps_out_neither_a_token_nor_a_node_by_its_key() {
    let lab = Lab::strict();
    for (name, mac) in [("n1", MAC), ("n2", "52:54:00:00:00:02")] {
        lab.apply(name, mac);
    }
    let node = Machine::new(MAC, "run-of-n1");
    let greeted = node.greet(&lab).await;
    node.ask(&lab, &greeted).await;
    lab.says(&["approve", &greeted.code]);
    for number in 0..256 {
        let stranger = Machine::new(&format!("02:00:00:00:00:{number:02x}"), &format!("run-{number}"));
        let greeted = stranger.greet(&lab).await;
        assert_eq!(stranger.ask(&lab, &greeted).await.state, EnrolState::Pending);
    }
    let machine = Machine::new("52:54:00:00:00:02", "run-of-n2");
    let mut request = machine.request(&machine.greet(&lab).await.session);
    let (status, refused) = lab.nobody().post("/v1/enrol", &request).await;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("E-BUSY")));
    let remedy = refused["remedy"].as_str().unwrap();
    assert!(remedy.contains("approves or rejects") && remedy.contains("one-time token"), "{refused}");
    let token = lab.says(&["enrol-token", "create", "--any"]);
    request.token = protocol::enrol_token::EnrolToken::parse(token.trim());
    let reply: EnrolReply = lab.nobody().done("/v1/enrol", &request).await;
    assert_eq!(reply.state, EnrolState::Approved);
    let back = Machine { run: "run-again".parse().unwrap(), ..node };
    let greeted = back.greet(&lab).await;
    assert_eq!(back.ask(&lab, &greeted).await.state, EnrolState::Approved);
}
