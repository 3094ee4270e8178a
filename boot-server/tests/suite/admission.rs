//! Who becomes a node where several want to: strangers with a node's labels, one-time tokens, policies.

use super::{
    lab::{Lab, serial_of, spec},
    machine::{Greeted, Machine, telemetry},
};
use hyper::StatusCode;
use protocol::{
    enrol::{EnrolReply, EnrolState},
    enrol_token::{EnrolToken, medium},
};
use serde_json::{Value, json};

const MAC: &str = "52:54:00:00:00:01";
const OTHER: &str = "52:54:00:00:00:02";

fn row(lab: &Lab, name: &str) -> Value {
    let list: Vec<Value> = serde_json::from_str(&lab.says(&["get", "nodes", "-o", "json"])).unwrap();
    list.into_iter().find(|node| node["name"] == name).unwrap_or_default()
}

async fn ask_with(lab: &Lab, machine: &Machine, greeted: &Greeted, token: &str) -> EnrolReply {
    let mut request = machine.request(&greeted.session);
    request.token = EnrolToken::parse(token);
    lab.nobody().done("/v1/enrol", &request).await
}

fn make_token(lab: &Lab, of: &[&str]) -> String {
    lab.says(&[&["enrol-token", "create"], of].concat()).trim().to_owned()
}

#[tokio::test]
async fn a_stranger_with_the_labels_of_a_machine_that_waits_takes_neither_its_row_nor_its_code() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let (first, second) = (Machine::new(MAC, "run-1"), Machine::new(MAC, "run-2"));
    let greeted = first.greet(&lab).await;
    first.ask(&lab, &greeted).await;
    let rogue = second.greet(&lab).await;
    second.ask(&lab, &rogue).await;
    let row = row(&lab, "n1");
    assert_eq!(row["code"], greeted.code.as_str());
    assert!(row["missing"][0]["text"].as_str().unwrap().contains("2 machines claim to be n1"), "{row}");
    let list = lab.says(&["get", "nodes", "-o", "wide"]);
    assert_eq!(list.matches("2 machines claim").count(), 2, "{list}");
}

#[tokio::test]
async fn a_stranger_that_knows_a_run_neither_enrols_with_it_nor_makes_its_node_look_alive() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let waiting = Machine::new(OTHER, "run-2");
    waiting.ask(&lab, &waiting.greet(&lab).await).await;
    for run in ["run-1", "run-2"] {
        let stranger = Machine::new("52:54:00:00:00:99", run);
        let greeted = stranger.greet(&lab).await;
        let (status, failure) = lab.nobody().post("/v1/enrol", &stranger.request(&greeted.session)).await;
        assert_eq!((status, failure["code"].as_str()), (StatusCode::FORBIDDEN, Some("E-FORBIDDEN")), "{run}");
    }
    assert_eq!(row(&lab, &format!("machine-{}", &waiting.spki().hex()[..8]))["state"], "pending");
}

#[tokio::test]
async fn in_an_open_lab_a_rogue_does_not_take_over_a_node_that_is_being_installed() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    let rogue = Machine::new(MAC, "run-2");
    for with_manifest in [false, true] {
        if with_manifest {
            node.manifest(&lab).await;
        }
        let reply = rogue.ask(&lab, &rogue.greet(&lab).await).await;
        assert_eq!((reply.state, reply.certificate), (EnrolState::Conflict, None));
        assert!(reply.missing[0].contains("is being installed as n1"), "{:?}", reply.missing);
    }
    assert_eq!(node.caller.get("/v1/node/secrets?generation=1").await.0, StatusCode::OK);
    let history = lab.says(&["describe", "node", "n1"]);
    assert!(history.contains("a machine with the node's claims and another key"), "{history}");
    assert!(history.contains("admitted a machine by its claims (open-lab): from 127.0.0.1, key"), "{history}");
}

#[tokio::test]
async fn a_one_time_token_admits_its_machine_once() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    lab.apply("n2", OTHER);
    let token = make_token(&lab, &["--serial", &serial_of(MAC)]);
    let thief = Machine::new(OTHER, "run-1");
    let greeted = thief.greet(&lab).await;
    let reply = ask_with(&lab, &thief, &greeted, &token).await;
    assert_eq!(reply.state, EnrolState::Pending);
    assert!(reply.missing[0].contains(&format!("is for serial {}", serial_of(MAC))), "{:?}", reply.missing);

    let machine = Machine::new(MAC, "run-2");
    let greeted = machine.greet(&lab).await;
    assert_eq!(machine.ask(&lab, &greeted).await.state, EnrolState::Pending, "it has no token yet");
    let reply = ask_with(&lab, &machine, &greeted, &token.to_lowercase()).await;
    assert_eq!(reply.node.as_ref().map(|node| node.as_str()), Some("n1"), "typed on its console: {reply:?}");
    machine.node(&lab, &reply).manifest(&lab).await;
    let list = lab.says(&["enrol-token", "list"]);
    assert!(list.contains("made n1") && !list.contains(&token), "{list}");
    assert!(lab.says(&["describe", "node", "n1"]).contains("by the one-time token"));

    lab.says(&["reinstall", "n1", "--yes"]);
    let again = Machine::new(MAC, "run-3");
    let reply = ask_with(&lab, &again, &again.greet(&lab).await, &token).await;
    assert_ne!(reply.state, EnrolState::Approved, "a token is good once");
}

#[tokio::test]
async fn a_token_that_ended_was_revoked_or_was_never_made_admits_nobody_and_the_machine_is_told() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let ended = make_token(&lab, &["--any", "--life", "1s"]);
    let revoked = make_token(&lab, &["--mac", MAC]);
    let list: Vec<Value> = serde_json::from_str(&lab.says(&["enrol-token", "list", "--json"])).unwrap();
    let id = list.iter().find(|token| token["bound"]["mac"] == MAC).unwrap()["id"].as_str().unwrap();
    lab.says(&["enrol-token", "revoke", id]);
    assert!(!lab.verb(&["enrol-token", "revoke", id]).status.success());
    let never = EnrolToken::new(&[3; 16]).shown();
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for (token, why) in [(ended, "ended"), (revoked, "was revoked"), (never, "none of this server's")] {
        let reply = ask_with(&lab, &machine, &greeted, &token).await;
        assert_eq!(reply.state, EnrolState::Pending);
        let missing = &reply.missing[0];
        assert!(missing.contains(why) && missing.contains("or an admin to type the code"), "{missing}");
    }
    let request = json!({ "token": "short" });
    let mut malformed = serde_json::to_value(machine.request(&greeted.session)).unwrap();
    malformed["token"] = request["token"].clone();
    assert_eq!(lab.nobody().post("/v1/enrol", &malformed).await.0, StatusCode::BAD_REQUEST);
}

#[test]
fn a_token_that_no_machine_could_ever_use_is_not_made() {
    let lab = Lab::strict();
    for (words, why) in [
        (&["enrol-token", "create", "--any", "--life", "0s"][..], "it would have ended already"),
        (&["enrol-token", "create", "--serial", " "], "it is blank"),
        (&["enrol-token", "create", "--serial", ""], "it is blank"),
        (&["token", "create", "short", "--expires", "0d"], "it would have ended already"),
        (&["token", "create", "short", "--expires", "0d", "--offline"], "it would have ended already"),
    ] {
        let refused = lab.verb(words);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("E-INPUT") && said.contains(why), "{words:?}: {said}");
    }
    assert_eq!(lab.says(&["enrol-token", "list"]).lines().count(), 1, "the header");
    assert!(!lab.says(&["token", "list"]).contains("short"));
}

#[tokio::test]
async fn a_machine_with_a_token_is_admitted_as_soon_as_a_spec_matches_it() {
    let lab = Lab::strict();
    let token = make_token(&lab, &["--any"]);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = ask_with(&lab, &machine, &greeted, &token).await;
    assert_eq!(reply.missing, ["a NodeSpec that matches this machine"]);
    lab.apply("n1", MAC);
    assert_eq!(machine.ask(&lab, &greeted).await.state, EnrolState::Approved);
}

#[tokio::test]
async fn a_medium_carries_its_token_is_private_and_is_never_written_over() {
    let lab = Lab::strict();
    let path = lab.dir().join("token.iso");
    let file = path.to_str().unwrap();
    let said = lab.verb(&["enrol-token", "create", "--any", "--medium", file]);
    assert!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    let token = medium::read(&std::fs::read(&path).unwrap()).unwrap();
    assert!(!String::from_utf8_lossy(&said.stderr).contains(&token.shown()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = lab.verb(&["enrol-token", "create", "--any", "--medium", file]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is there already"), "{again:?}");
    assert_eq!(lab.says(&["enrol-token", "list"]).lines().count(), 2, "none was made for nothing");
}

#[tokio::test]
async fn a_node_that_wants_a_token_is_not_admitted_by_a_code() {
    let lab = Lab::strict();
    let mut strict = spec("n1", MAC);
    strict["admission"] = json!(["token"]);
    lab.apply_spec(&strict);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert_eq!(reply.missing, ["a one-time token: boot-server enrol-token create"]);
    let refused = lab.verb(&["approve", &greeted.code]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains("E-WRONG-STATE") && stderr.contains("no code"), "{stderr}");
    let token = make_token(&lab, &["--mac", MAC]);
    assert_eq!(ask_with(&lab, &machine, &greeted, &token).await.state, EnrolState::Approved);
    // What is told of a machine that waits is its own.
    let told = telemetry(&machine.run, Some(&greeted.session), vec![], vec![]);
    assert!(lab.nobody().post("/v1/telemetry", &told).await.0.is_success());
}
