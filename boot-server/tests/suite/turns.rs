//! The arbiter: founders, turns, what survives a restart.

use super::{
    lab::{Lab, spec},
    machine::{Machine, Node},
};
use hyper::StatusCode;
use protocol::{
    arbiter::{RestartTurn, Turn, TurnRequest},
    service::Service,
};
use serde_json::{Value, json};

fn mac(n: u8) -> String {
    format!("52:54:00:00:00:{n:02x}")
}

/// n1 to n3 found, in lists of different orders; others join.
fn member(n: u8) -> Value {
    let mut spec = spec(&format!("n{n}"), &mac(n));
    let cluster = &mut spec["cluster"];
    cluster["raft_addr"] = json!(format!("10.0.0.{n}:2380"));
    cluster["node_ip"] = json!(format!("10.0.0.{n}"));
    if n <= 3 {
        cluster["bootstrap"] = json!(true);
        let mut peers = ["10.0.0.1:2380", "10.0.0.2:2380", "10.0.0.3:2380"];
        peers.rotate_left(usize::from(n));
        cluster["initial_peers"] = json!(peers);
    }
    spec
}

async fn installed(lab: &Lab, n: u8) -> (Machine, Node) {
    lab.apply_spec(&member(n));
    let machine = Machine::new(&mac(n), &format!("run-{n}"));
    let node = machine.admitted(lab).await;
    node.manifest(lab).await;
    assert!(node.installed(1).await.0.is_success());
    (machine, node)
}

fn peers(turn: Turn) -> Vec<String> {
    let Turn::Found { peers, .. } = turn else { panic!("{turn:?}") };
    peers.iter().map(ToString::to_string).collect()
}

fn replaces(turn: &Turn) -> bool {
    let Turn::Join { replaces, .. } = turn else { panic!("{turn:?}") };
    *replaces
}

#[tokio::test]
async fn every_founder_gets_one_list_and_joiners_their_turn_one_by_one_over_kill_9() {
    let mut lab = Lab::open();
    let mut founders = Vec::new();
    for n in 1..=3 {
        founders.push(installed(&lab, n).await);
    }
    let fixed = peers(founders[1].1.turn(Service::Etcd, 1).await);
    lab.kill();
    lab.serve();
    let mut nodes = Vec::new();
    for (machine, _) in &founders {
        let node = machine.admitted(&lab).await;
        assert_eq!(peers(node.turn(Service::Etcd, 1).await), fixed, "the list survives a kill -9");
        nodes.push(node);
    }
    let (four, five) = (installed(&lab, 4).await, installed(&lab, 5).await);
    nodes[0].ready(1).await;
    let Turn::Wait { reason, .. } = four.1.turn(Service::Etcd, 1).await else { panic!() };
    assert_eq!(reason, "1 of 3 founders of etcd of c are ready");
    let shown = lab.says(&["describe", "node", "n4"]);
    assert!(shown.contains("its turn to enter etcd: 1 of 3 founders of etcd of c are ready"), "{shown}");
    nodes[1].ready(1).await;
    let Turn::Join { members, replaces, lease_seconds } = four.1.turn(Service::Etcd, 1).await else { panic!() };
    assert_eq!((replaces, lease_seconds), (false, 60));
    assert!(!lab.says(&["describe", "node", "n4"]).contains("its turn to enter"));
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    assert_eq!(members, ["https://10.0.0.1:2379", "https://10.0.0.2:2379"]);
    lab.kill();
    lab.serve();
    let five = five.0.admitted(&lab).await;
    let Turn::Wait { reason, .. } = five.turn(Service::Etcd, 1).await else { panic!("two turns at once") };
    assert_eq!(reason, "n4 has the turn of etcd of c now");
    let four = four.0.admitted(&lab).await;
    four.ready(1).await;
    assert!(!self::replaces(&five.turn(Service::Etcd, 1).await));
    let history = lab.says(&["describe", "node", "n4"]);
    for line in ["has the turn to join etcd of c", "gave back the turn to join etcd of c"] {
        assert!(history.contains(line), "{history}");
    }
    let list = lab.says(&["cluster", "list"]);
    assert!(list.contains("etcd") && list.contains(&fixed.join(", ")) && list.contains("n5"), "{list}");
}

#[tokio::test]
async fn a_reinstalled_founder_joins_until_an_operator_forgets_the_cluster() {
    let lab = Lab::open();
    let (_, one) = installed(&lab, 1).await;
    let (_, two) = installed(&lab, 2).await;
    for node in [&one, &two] {
        peers(node.turn(Service::Etcd, 1).await);
        node.ready(1).await;
    }
    lab.says(&["reinstall", "n1", "--yes"]);
    let (status, failure) = one.caller.post("/v1/node/turn", &json!({"service": "etcd", "generation": 1})).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::CONFLICT, Some("E-WRONG-STATE")));
    one.manifest(&lab).await;
    assert!(one.installed(2).await.0.is_success());
    assert!(replaces(&one.turn(Service::Etcd, 2).await));
    let refused = lab.verb(&["cluster", "forget", "c"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("add --yes"), "{refused:?}");
    lab.says(&["cluster", "forget", "c", "--yes", "--force"]);
    peers(one.turn(Service::Etcd, 2).await);
    let again = lab.verb(&["cluster", "forget", "other", "--yes"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("E-NOT-FOUND"), "{again:?}");
}

#[tokio::test]
async fn a_node_is_ready_after_the_last_of_its_services_and_each_report_is_kept() {
    let lab = Lab::open();
    let (_, node) = installed(&lab, 4).await;
    assert!(node.member_of("etcd", 1, vec![Service::Chainfire]).await.0.is_success());
    assert_eq!(lab.state_of("n4"), "joining");
    assert!(node.member_of("chainfire", 1, vec![]).await.0.is_success());
    let shown = lab.describe("n4");
    assert_eq!(shown["summary"]["state"], "ready");
    let services: Vec<&str> =
        shown["memberships"].as_array().unwrap().iter().map(|report| report["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["etcd", "chainfire"]);
    assert_eq!(node.member_of("mysql", 1, vec![]).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_cluster_that_was_founded_elsewhere_is_joined_and_one_without_a_cluster_is_told_so() {
    let lab = Lab::open();
    let (_, node) = installed(&lab, 4).await;
    assert!(!replaces(&node.turn(Service::Etcd, 1).await));
    let mut bare = member(4);
    bare["cluster"] = Value::Null;
    lab.apply_spec(&bare);
    let (status, failure) = node.caller.post("/v1/node/turn", &json!({"service": "etcd", "generation": 1})).await;
    assert_eq!((status, failure["code"].as_str()), (StatusCode::BAD_REQUEST, Some("E-NO-SPEC")), "{failure}");
}

#[tokio::test]
async fn members_are_restarted_one_at_a_time_and_none_while_another_is_not_well() {
    let lab = Lab::open();
    let mut nodes = Vec::new();
    for n in 1..=3 {
        nodes.push(installed(&lab, n).await.1);
        peers(nodes[usize::from(n) - 1].turn(Service::Etcd, 1).await);
    }
    for node in &nodes {
        assert!(node.ready(1).await.0.is_success() && node.health(1, true).await.0.is_success());
    }
    let wanted = TurnRequest { service: Service::Etcd, generation: 1 };
    let may = async |node: &Node| -> Result<(), String> {
        match node.caller.done("/v1/node/restart", &wanted).await {
            RestartTurn::Go { .. } => Ok(()),
            RestartTurn::Wait { reason, .. } => Err(reason),
        }
    };
    assert_eq!((may(&nodes[0]).await, may(&nodes[0]).await), (Ok(()), Ok(())), "it keeps its turn");
    assert_eq!(may(&nodes[1]).await, Err("n1 has the turn now".to_owned()));
    assert!(lab.says(&["get", "nodes", "-o", "wide"]).contains("its turn to restart etcd: n1 has the turn now"));
    assert_eq!(nodes[0].caller.post("/v1/node/restarted", &wanted).await.0, StatusCode::OK);
    assert_eq!(may(&nodes[1]).await, Ok(()));
    assert!(nodes[2].health(1, false).await.0.is_success());
    assert_eq!(may(&nodes[1]).await, Err("n3 is not well".to_owned()), "a turn ends where another member is lost");
    assert_eq!(may(&nodes[2]).await, Ok(()), "the one that is not well may be restarted");
    assert!(lab.describe("n1")["history"].to_string().contains("has the turn to restart etcd of c"));
}

#[tokio::test]
async fn a_report_of_a_membership_that_nobody_could_read_is_refused() {
    let lab = Lab::open();
    let (_, node) = installed(&lab, 4).await;
    let report = json!({"run": "run-4", "generation": 1, "service": "etcd", "outcome": "joined", "join_ms": 5,
        "members": ["m".repeat(100 << 10)], "service_version": null, "boot_id": null,
        "versions": {"agent": "9", "kernel": "6"}, "boot_order": []});
    let (status, answer) = node.caller.post("/v1/node/ready", &report).await;
    assert!(status == StatusCode::BAD_REQUEST && answer["cause"].as_str().unwrap().contains("too many"), "{answer}");
    assert_eq!(lab.state_of("n4"), "installed");
}

#[tokio::test]
async fn a_node_that_is_ready_though_nobody_reported_its_installation_is_noted_so_and_installs_nothing_more() {
    let lab = Lab::open();
    lab.apply("n1", &mac(1));
    let node = Machine::new(&mac(1), "run-1").admitted(&lab).await;
    assert!(node.ready(1).await.0.is_success(), "the report of its installation may have been lost");
    assert!(node.ready(1).await.0.is_success());
    let history = lab.describe("n1")["history"].to_string();
    assert_eq!(history.matches("nobody has reported the installation of generation 1").count(), 1, "{history}");
    let (status, refused) = node.caller.post("/v1/node/manifest", &node.manifest_request()).await;
    assert!(!status.is_success() && refused["code"] == "E-GENERATION-USED", "{refused}");
}
