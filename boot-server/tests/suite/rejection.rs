//! Machines that an admin refuses, and that taken back.

use super::{
    lab::{Lab, spec},
    machine::{Greeted, Machine},
};
use protocol::enrol::{EnrolReply, EnrolState};
use serde_json::Value;

const MAC: &str = "52:54:00:00:00:01";

async fn asks(lab: &Lab, machine: &Machine) -> (Greeted, EnrolReply) {
    let greeted = machine.greet(lab).await;
    let reply = machine.ask(lab, &greeted).await;
    (greeted, reply)
}

async fn poll(lab: &Lab, greeted: &Greeted) -> EnrolReply {
    let (_, reply) = lab.nobody().get(&format!("/v1/enrol/{}", greeted.session)).await;
    serde_json::from_value(reply).unwrap()
}

fn name_of(machine: &Machine) -> String {
    format!("machine-{}", &machine.spki().hex()[..8])
}

fn states(lab: &Lab) -> Vec<(String, String)> {
    let nodes: Vec<Value> = serde_json::from_str(&lab.says(&["get", "nodes", "-o", "json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    nodes.iter().map(|node| (text(&node["name"]), text(&node["state"]))).collect()
}

async fn script(lab: &Lab, mac: &str) -> String {
    let port = lab.port("http");
    let serial = super::lab::serial_of(mac);
    let url = format!("http://127.0.0.1:{port}/boot/ipxe/boot.ipxe?mac={}&serial={serial}", mac.replace(':', "-"));
    let got = tokio::process::Command::new("curl").args(["-s", &url]).output().await.unwrap();
    String::from_utf8(got.stdout).unwrap()
}

#[tokio::test]
async fn a_machine_that_waits_is_refused_is_told_so_and_waits_again_when_that_is_taken_back() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &machine).await;
    let name = name_of(&machine);
    let poller = lab.nobody();
    let path = format!("/v1/enrol/{}?wait=40", greeted.session);
    let waits = tokio::spawn(async move { poller.get(&path).await });
    let said = lab.says(&["reject", "n1", "--reason", "not ours\u{1b}[2J"]);
    assert!(said.starts_with(&format!("{name}, which claims to be n1, is refused")), "{said}");
    let reply: EnrolReply = serde_json::from_value(waits.await.unwrap().1).unwrap();
    assert_eq!((reply.state, reply.certificate), (EnrolState::Rejected, None));
    let told = &reply.missing[0];
    for part in [&name, "not ours\u{fffd}[2J", "reject --undo", &greeted.code] {
        assert!(told.contains(part), "{told}");
    }
    let rejected = |name: &str| (name.to_owned(), "rejected".to_owned());
    assert_eq!(states(&lab), [rejected("n1"), rejected(&name)]);
    let stuck = lab.verb(&["wait", "n1", "--for", "ready"]);
    assert!(!stuck.status.success() && String::from_utf8_lossy(&stuck.stderr).contains("it is rejected"));
    let list = lab.says(&["get", "rejections"]);
    assert!(list.contains(&name) && list.contains("n1") && list.contains("not ours"), "{list}");

    assert_eq!(lab.says(&["reject", "--undo", &name]), format!("{name} is no longer refused\n"));
    assert_eq!(poll(&lab, &greeted).await.state, EnrolState::Pending);
    assert_eq!(states(&lab), [("n1".to_owned(), "pending".to_owned())]);
    assert_eq!(lab.says(&["get", "rejections"]), "No machine is refused.\n");
    assert!(!lab.verb(&["reject", "--undo", &name]).status.success());
    let history = lab.describe("n1")["history"].clone();
    let deeds: Vec<&str> = history.as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert!(deeds.ends_with(&["machine-rejected", "rejection-undone"]), "{history:#}");
    assert_eq!(history[deeds.len() - 1]["from"], "127.0.0.1");
}

#[tokio::test]
async fn a_machine_that_is_refused_again_keeps_its_reason_until_another_one_is_given() {
    let lab = Lab::strict();
    let machine = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &machine).await;
    let name = name_of(&machine);
    for (more, reason) in [
        (&["--reason", "stolen"][..], "stolen"),
        (&[], "stolen"),
        (&["--reason", "  "], "stolen"),
        (&["--reason", "found again"], "found again"),
    ] {
        lab.says(&[&["reject", &name], more].concat());
        let list = lab.says(&["get", "rejections"]);
        assert!(list.matches(&name).count() == 1 && list.contains(reason), "{more:?}: {list}");
        assert!(poll(&lab, &greeted).await.missing[0].contains(reason));
    }
    let audit = lab.says(&["audit", "export"]);
    let last = audit.lines().rfind(|line| line.contains("machine-rejected")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["before"]["reason"], &last["after"]["reason"]), (&"stolen".into(), &"found again".into()));
}

#[tokio::test]
async fn it_stays_refused_with_another_key_over_a_restart_of_the_server_and_in_an_open_lab() {
    let mut lab = Lab::open();
    let machine = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &machine).await;
    lab.says(&["reject", &greeted.code]);
    lab.apply("n1", MAC);
    assert_eq!(poll(&lab, &greeted).await.state, EnrolState::Rejected, "the spec has come meanwhile");
    lab.kill();
    lab.serve();
    let rebooted = Machine::new(MAC, "run-2");
    let (again, reply) = asks(&lab, &rebooted).await;
    assert_eq!(reply.state, EnrolState::Rejected);
    assert!(reply.missing[0].contains(&name_of(&machine)), "{:?}", reply.missing);
    assert_eq!(lab.says(&["reject", "--undo", &name_of(&machine)]).lines().count(), 1);
    assert_eq!(poll(&lab, &again).await.state, EnrolState::Approved, "nobody has to go there");
}

#[tokio::test]
async fn an_admin_who_types_the_code_of_a_refused_machine_admits_it() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &machine).await;
    lab.says(&["reject", "n1"]);
    assert_eq!(lab.says(&["approve", &greeted.code]), "the machine is node n1\n");
    let reply = poll(&lab, &greeted).await;
    assert_eq!(reply.state, EnrolState::Approved);
    machine.node(&lab, &reply).manifest(&lab).await;
    assert_eq!(lab.says(&["get", "rejections", "-o", "name"]), "");
}

#[tokio::test]
async fn who_was_refused_with_another_machine_s_labels_stays_refused_when_that_machine_is_approved() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let stranger = Machine::new(MAC, "run-of-stranger");
    let (his, _) = asks(&lab, &stranger).await;
    lab.says(&["reject", "n1"]);
    let (greeted, reply) = asks(&lab, &Machine::new(MAC, "run-1")).await;
    assert_eq!(reply.state, EnrolState::Rejected, "it has the labels");
    lab.says(&["approve", &greeted.code]);
    assert_eq!(poll(&lab, &greeted).await.state, EnrolState::Approved);
    assert_eq!(poll(&lab, &his).await.state, EnrolState::Rejected);
    assert_eq!(lab.says(&["get", "rejections", "-o", "name"]), format!("{}\n", name_of(&stranger)));
}

#[tokio::test]
async fn a_stranger_with_copied_labels_that_is_refused_locks_nobody_out() {
    let lab = Lab::strict();
    for (name, mac) in [("n1", MAC), ("n2", "52:54:00:00:00:02")] {
        lab.apply(name, mac);
    }
    let own = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &own).await;
    lab.says(&["approve", &greeted.code]);
    let node = own.node(&lab, &poll(&lab, &greeted).await);
    node.manifest(&lab).await;
    node.installed(1).await;
    let stranger = Machine::new(MAC, "run-2");
    let (copied, reply) = asks(&lab, &stranger).await;
    assert_eq!(reply.state, EnrolState::Conflict);
    lab.says(&["reject", &name_of(&stranger)]);
    assert_eq!(poll(&lab, &copied).await.state, EnrolState::Rejected);
    assert_eq!(lab.state_of("n1"), "installed");
    assert!(node.ready(1).await.0.is_success());
    let back = Machine { run: "run-3".parse().unwrap(), key: own.key, csr: own.csr, mac: own.mac };
    assert_eq!(asks(&lab, &back).await.1.state, EnrolState::Approved, "the node's own key");
    assert!(script(&lab, MAC).await.contains("starting from the disk"));

    let other = Machine::new("52:54:00:00:00:02", "run-4");
    asks(&lab, &other).await;
    lab.says(&["reject", "n2"]);
    let right = Machine::new("52:54:00:00:00:02", "run-5");
    let (greeted, reply) = asks(&lab, &right).await;
    assert_eq!(reply.state, EnrolState::Rejected, "nothing tells them apart");
    let token = lab.says(&["enrol-token", "create", "--any"]);
    let mut request = right.request(&greeted.session);
    request.token = protocol::enrol_token::EnrolToken::parse(token.trim());
    let reply: EnrolReply = lab.nobody().done("/v1/enrol", &request).await;
    assert_eq!(reply.state, EnrolState::Approved, "its token does");
}

#[tokio::test]
async fn a_refused_machine_boots_nothing_but_a_script_that_waits_until_that_is_taken_back() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    asks(&lab, &Machine::new(MAC, "run-1")).await;
    assert!(script(&lab, MAC).await.contains("starts the installer"));
    lab.says(&["reject", "n1", "--reason", "wrong rack"]);
    let waits = script(&lab, MAC).await;
    assert!(waits.contains("waiting: an admin has refused this machine") && waits.contains("wrong rack"), "{waits}");
    assert!(!waits.contains("kernel"), "{waits}");
    lab.says(&["reject", "--undo", "n1"]);
    assert!(script(&lab, MAC).await.contains("starts the installer"));
}

#[tokio::test]
async fn several_machines_are_refused_in_one_verb_with_a_result_each() {
    let lab = Lab::strict();
    lab.apply_spec(&spec("n9", "52:54:00:00:00:09"));
    let (first, second) = (Machine::new(MAC, "run-1"), Machine::new("52:54:00:00:00:02", "run-2"));
    for machine in [&first, &second] {
        asks(&lab, machine).await;
    }
    let said = lab.verb(&["reject", &name_of(&first), "nobody", "n9", &name_of(&second)]);
    let (out, err) = (String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap());
    assert!(!said.status.success());
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(err.contains("nobody: E-NOT-FOUND") && err.contains("n9: E-WRONG-STATE"), "{err}");
    assert!(err.contains("2 of 4 machines"), "{err}");
    assert_eq!(lab.says(&["get", "rejections", "-o", "name"]).lines().count(), 2);
    assert!(lab.says(&["get", "nodes"]).matches("rejected").count() == 2);
}

#[tokio::test]
async fn a_refused_machine_that_comes_again_and_again_does_not_fill_the_audit() {
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    asks(&lab, &Machine::new(MAC, "run-0")).await;
    lab.says(&["reject", "n1"]);
    for number in 1..=12 {
        let (_, reply) = asks(&lab, &Machine::new(MAC, &format!("run-{number}"))).await;
        assert_eq!(reply.state, EnrolState::Rejected);
    }
    let history = lab.says(&["describe", "node", "n1"]);
    assert_eq!(history.matches("a machine came that is refused").count(), 5, "{history}");
}

#[tokio::test]
async fn the_node_that_a_machine_was_refused_as_waits_again_once_the_machine_is_another_node() {
    let lab = Lab::strict();
    for (name, mac) in [("n1", MAC), ("n2", "52:54:00:00:00:02")] {
        lab.apply(name, mac);
    }
    let machine = Machine::new(MAC, "run-1");
    let (greeted, _) = asks(&lab, &machine).await;
    lab.says(&["reject", "n1"]);
    assert_eq!(lab.state_of("n1"), "rejected");
    lab.says(&["approve", &greeted.code, "--node", "n2"]);
    assert_eq!((lab.state_of("n1").as_str(), lab.state_of("n2").as_str()), ("discovered", "approved"));
}
