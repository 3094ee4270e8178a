//! Certificates of nodes, renewed.

use super::{
    lab::{Lab, spec},
    machine::{Machine, Node, line, telemetry},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use protocol::{
    enrol::{EnrolReply, EnrolState},
    renewal::{RenewRequest, Renewed},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const MAC: &str = "52:54:00:00:00:01";

/// An installed node, its machine, and a server that admits whom a spec matches.
async fn installed() -> (Lab, Machine, Node) {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(&lab).await;
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    (lab, machine, node)
}

async fn renewed(node: &Node, csr: &[u8]) -> Renewed {
    node.caller.done("/v1/node/renew", &RenewRequest { csr: csr.to_vec() }).await
}

/// The machine with what it was answered.
fn with(lab: &Lab, machine: &Machine, renewed: &Renewed) -> Node {
    let certificate = Some(renewed.certificate.clone());
    machine.node(lab, &EnrolReply { state: EnrolState::Approved, missing: vec![], node: None, certificate, tpm: None })
}

async fn may(node: &Node) -> StatusCode {
    node.health(1, true).await.0
}

fn history(lab: &Lab) -> String {
    lab.describe("n1")["history"].to_string()
}

#[tokio::test]
async fn a_node_renews_its_certificate_with_its_own_key_and_the_names_of_its_spec_as_it_is_now() {
    let (lab, machine, node) = installed().await;
    let before = lab.describe("n1")["summary"]["certificate_ends"].as_str().unwrap().to_owned();
    let mut moved = spec("n1", MAC);
    moved["cluster"]["node_ip"] = json!("10.0.0.77");
    lab.apply_spec(&moved);
    let renewed = renewed(&node, &machine.csr).await;
    let leaf = CertificateDer::from_pem_slice(renewed.certificate.as_bytes()).unwrap();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    let names = format!("{:?}", leaf.subject_alternative_name().unwrap().unwrap().value.general_names);
    assert!(names.contains("[10, 0, 0, 77]") && leaf.subject().to_string() == "CN=n1" && !leaf.is_ca(), "{names}");
    assert_eq!(leaf.public_key().raw, machine.key.subject_public_key_info());
    assert_eq!(may(&with(&lab, &machine, &renewed)).await, StatusCode::OK);
    assert_eq!(may(&node).await, StatusCode::OK, "the certificate before it is good until it ends");
    assert!(lab.describe("n1")["summary"]["certificate_ends"].as_str().unwrap() > before.as_str());
    assert!(history(&lab).contains("renewed its certificate"), "{}", history(&lab));
    let (wide, text) = (lab.says(&["get", "nodes", "-o", "wide"]), lab.says(&["describe", "node", "n1"]));
    assert!(wide.contains("CERT") && wide.contains("6d") && text.contains("6d left"), "{wide}\n{text}");
    let left = metric(&lab, "centra_node_certificate_left_seconds{node=\"n1\"}").await;
    assert!((6 * 86_400..7 * 86_400).contains(&left), "{left}");
    assert!(metric(&lab, "centra_ca_certificate_left_seconds{certificate=\"root\"}").await > 365 * 86_400);
    assert_eq!(metric(&lab, "centra_nodes{state=\"installed\"}").await, 1);
    assert_eq!(lab.nobody().get("/metrics").await.0, StatusCode::FORBIDDEN);
}

async fn metric(lab: &Lab, name: &str) -> i64 {
    let answer = lab.admin().send(Method::GET, "/metrics", &[], Bytes::new()).await;
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let sample = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {text}"));
    sample.trim().parse().unwrap()
}

#[tokio::test]
async fn a_new_key_becomes_the_nodes_when_it_is_used_and_the_old_one_is_good_until_then_and_no_longer() {
    let (lab, old, node) = installed().await;
    let fresh = Machine::new(MAC, "run-1");
    let renewed = renewed(&node, &fresh.csr).await;
    assert_eq!(may(&node).await, StatusCode::OK, "a node that lost power before it stored the certificate");
    assert_eq!(may(&with(&lab, &fresh, &renewed)).await, StatusCode::OK);
    assert_eq!(may(&node).await, StatusCode::FORBIDDEN);
    let greeted = old.greet(&lab).await;
    let (status, answer) = lab.nobody().post("/v1/enrol", &old.request(&greeted.session)).await;
    assert!(!status.is_success() && answer.to_string().contains("E-ENROL-REJECTED"), "{answer}");
    assert_eq!(lab.state_of("n1"), "installed");
    assert!(history(&lab).contains("the one before it is revoked"), "{}", history(&lab));
    // What the machine finds on its disk is the new key: it is the node without an admin.
    assert_eq!(fresh.ask(&lab, &fresh.greet(&lab).await).await.state, EnrolState::Approved);
}

#[tokio::test]
async fn nobody_takes_a_key_that_another_node_has_or_that_was_revoked() {
    let (lab, _, node) = installed().await;
    lab.apply("n2", "52:54:00:00:00:02");
    let other = Machine::new("52:54:00:00:00:02", "run-2");
    let its = other.admitted(&lab).await;
    let refused = |answer: (StatusCode, Value)| {
        assert!(!answer.0.is_success() && answer.1.to_string().contains("was used before"), "{}", answer.1);
    };
    refused(node.caller.post("/v1/node/renew", &RenewRequest { csr: other.csr.clone() }).await);
    let wanted = Machine::new(MAC, "run-1");
    renewed(&node, &wanted.csr).await;
    refused(its.caller.post("/v1/node/renew", &RenewRequest { csr: wanted.csr.clone() }).await);
    lab.says(&["cluster", "decommission", "n2", "--keep-disks", "--force", "--yes"]);
    refused(node.caller.post("/v1/node/renew", &RenewRequest { csr: other.csr.clone() }).await);
    let (status, _) = lab.nobody().post("/v1/node/renew", &RenewRequest { csr: wanted.csr.clone() }).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "without a certificate");
}

#[tokio::test]
async fn a_node_that_is_retired_loses_the_key_that_it_was_changing_to_as_well() {
    let (lab, _, node) = installed().await;
    let fresh = Machine::new(MAC, "run-1");
    let renewed = renewed(&node, &fresh.csr).await;
    lab.says(&["cluster", "decommission", "n1", "--keep-disks", "--force", "--yes"]);
    assert_eq!(may(&with(&lab, &fresh, &renewed)).await, StatusCode::FORBIDDEN);
}

/// The node's certificate ended so many days ago.
async fn ended(lab: &mut Lab, days: i64) {
    assert!(lab.stop());
    let options = SqliteConnectOptions::new().filename(lab.dir().join("state.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("UPDATE nodes SET certificate_ends = (unixepoch() - ? * 86400) * 1000")
        .bind(days)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    lab.serve();
}

#[tokio::test]
async fn a_node_that_was_off_for_long_comes_back_by_its_key_and_for_too_long_by_an_admin() {
    let (mut lab, machine, _) = installed().await;
    ended(&mut lab, 20).await;
    let wide = lab.says(&["get", "nodes", "-o", "wide"]);
    assert!(wide.contains("ended"), "{wide}");
    assert_eq!(machine.ask(&lab, &machine.greet(&lab).await).await.state, EnrolState::Approved);
    assert_eq!(lab.state_of("n1"), "installed");
    ended(&mut lab, 40).await;
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert!(reply.state == EnrolState::Pending && reply.missing[0].contains("too long ago"), "{reply:?}");
    lab.says(&["approve", &greeted.code]);
    let reply: EnrolReply =
        serde_json::from_value(lab.nobody().get(&format!("/v1/enrol/{}", greeted.session)).await.1).unwrap();
    assert_eq!(may(&machine.node(&lab, &reply)).await, StatusCode::OK);
}

/// A certificate of the site's CA for the machine's key, which ends so soon.
fn short(lab: &Lab, machine: &Machine, life: Duration) -> Node {
    let read = |name: &str| std::fs::read_to_string(lab.dir().join(name)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), KeyPair::from_pem(&read("ca.key")).unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["n1".to_owned()]).unwrap();
    (params.not_before, params.not_after) =
        (OffsetDateTime::now_utc() - Duration::MINUTE, OffsetDateTime::now_utc() + life);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&machine.key, &issuer).unwrap().pem() + &read("ca.crt");
    with(lab, machine, &Renewed { certificate, not_after: OffsetDateTime::now_utc() })
}

#[tokio::test]
async fn a_certificate_that_ends_is_good_for_nothing_more_on_a_connection_that_is_open() {
    let (lab, machine, _) = installed().await;
    let node = short(&lab, &machine, Duration::seconds(3));
    assert_eq!(may(&node).await, StatusCode::OK);
    tokio::time::sleep(std::time::Duration::from_millis(4100)).await;
    let (status, answer) = node.health(1, true).await;
    let told = answer["code"] == "E-FORBIDDEN" && answer["remedy"].as_str().unwrap().contains("initrd-agent renew");
    assert!(status == StatusCode::FORBIDDEN && told, "{answer}");
}

#[tokio::test]
async fn a_machine_that_was_replaced_tells_nothing_more_by_its_old_session() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    let node = machine.node(&lab, &reply);
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    lab.says(&["cluster", "decommission", "n1", "--keep-disks", "--force", "--yes"]);
    let told = telemetry(&machine.run, Some(&greeted.session), vec![], vec![line(9, "a word from beyond")]);
    let (status, answer) = lab.nobody().post("/v1/telemetry", &told).await;
    assert!(!status.is_success() && answer["code"] == "E-ENROL-UNKNOWN", "{answer}");
    assert!(!lab.says(&["logs", "n1"]).contains("from beyond"));
}

#[tokio::test]
async fn a_node_s_key_in_another_machine_waits_for_an_admin_who_is_told_why() {
    let (lab, machine, _) = installed().await;
    let thief = Machine { mac: "52:54:00:00:00:99".to_owned(), run: "run-9".parse().unwrap(), ..machine };
    let greeted = thief.greet(&lab).await;
    let reply = thief.ask(&lab, &greeted).await;
    assert!(reply.state == EnrolState::Pending && reply.missing[0].contains("another machine"), "{reply:?}");
    assert!(lab.says(&["get", "nodes", "-o", "wide"]).contains("its disk is in another machine than before"));
    lab.says(&["approve", &greeted.code]);
    assert_eq!(lab.state_of("n1"), "installed");
}
