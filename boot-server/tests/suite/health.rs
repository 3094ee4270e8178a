//! How installed nodes are: heartbeats, silence, what is noted of them.

use super::{
    lab::Lab,
    machine::{Machine, Node},
};
use hyper::StatusCode;
use std::time::{Duration, Instant};

const MAC: &str = "52:54:00:00:00:01";

async fn ready(lab: &Lab) -> (Machine, Node) {
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(lab).await;
    node.manifest(lab).await;
    assert!(node.installed(1).await.0.is_success());
    assert!(node.ready(1).await.0.is_success());
    (machine, node)
}

fn history(lab: &Lab, text: &str) -> usize {
    let history = lab.describe("n1")["history"].to_string();
    history.matches(text).count()
}

#[tokio::test]
async fn health_is_shown_noted_when_it_changes_and_survives_kill_9() {
    let mut lab = Lab::open();
    let (machine, node) = ready(&lab).await;
    assert!(node.health(1, true).await.0.is_success());
    let wide = lab.says(&["get", "nodes", "-o", "wide"]);
    for part in ["healthy", "etcd=a", "etcd=2", "agent=9.9.9,etcd=3.4.23"] {
        assert!(wide.contains(part), "{part}: {wide}");
    }
    for _ in 0..2 {
        assert!(node.health(1, false).await.0.is_success());
    }
    assert_eq!(history(&lab, "unhealthy: etcd: E-SERVICE-UNHEALTHY"), 1, "noted once");
    lab.kill();
    lab.serve();
    assert_eq!(lab.describe("n1")["summary"]["health"]["condition"], "unhealthy");
    let node = machine.admitted(&lab).await;
    assert!(node.health(1, true).await.0.is_success());
    assert_eq!(history(&lab, "healthy again"), 1);
    let shown = lab.says(&["describe", "node", "n1"]);
    for part in ["healthy, heard", "leader a", "kernel 6.1.0-test", "etcd joined in 0.0 s", "Boot order as found"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test]
async fn a_node_that_is_not_heard_is_silent_until_it_speaks_again() {
    let mut lab = Lab::open();
    assert!(lab.stop());
    lab.configure("open-lab", "[cluster]\nsilent_after_seconds = 1\n");
    lab.serve();
    let (_, node) = ready(&lab).await;
    let patience = Instant::now() + Duration::from_secs(20);
    while history(&lab, "silent: nothing was heard of it for") == 0 {
        assert!(Instant::now() < patience, "{}", lab.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(lab.describe("n1")["summary"]["health"]["condition"], "silent");
    assert!(node.health(1, true).await.0.is_success());
    assert_eq!(history(&lab, "healthy again"), 1);
}

#[tokio::test]
async fn only_the_installation_that_is_the_node_is_heard_and_a_healthy_cluster_is_not_forgotten() {
    let lab = Lab::open();
    let (_, node) = ready(&lab).await;
    assert!(node.health(1, true).await.0.is_success());
    let refused = lab.verb(&["cluster", "forget", "c", "--yes"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("E-WRONG-STATE") && stderr.contains("n1 are heard healthy"), "{stderr}");
    assert_eq!(node.health(2, true).await.0, StatusCode::CONFLICT);
    lab.says(&["reinstall", "n1", "--yes"]);
    assert_eq!(node.health(1, true).await.0, StatusCode::CONFLICT);
    assert!(lab.describe("n1")["summary"]["health"].is_null());
    lab.says(&["cluster", "forget", "c", "--yes"]);
}
