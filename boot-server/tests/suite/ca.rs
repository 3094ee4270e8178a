//! The CA: a root that may be elsewhere, who issues under it, what that may be for.

use super::{
    lab::{Lab, path, spec},
    machine::Machine,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData};
use serde_json::json;
use std::fs;

const MAC: &str = "52:54:00:00:00:01";

#[tokio::test]
async fn a_server_runs_and_admits_without_the_root_s_key() {
    let mut lab = Lab::made("open-lab", &[]);
    fs::remove_file(lab.dir().join("ca.key")).unwrap();
    lab.serve();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    let out = lab.dir().join("outside");
    lab.says(&["certificate", "--name", "outside", "--address", "10.77.0.1", "--out", path(&out)]);
    let backup = lab.dir().join("backup");
    lab.says(&["cluster", "backup", "--server-only", "--out", path(&backup)]);
}

#[tokio::test]
async fn a_server_of_an_earlier_release_whose_root_issues_goes_on() {
    let mut lab = Lab::made("open-lab", &[]);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let write = |name: &str, text: &str| fs::write(lab.dir().join(name), text).unwrap();
    write("ca.crt", &params.self_signed(&key).unwrap().pem());
    write("ca.key", &key.serialize_pem());
    let mut trust: serde_json::Value =
        serde_json::from_slice(&fs::read(lab.dir().join("trust.json")).unwrap()).unwrap();
    trust["ca_spki_sha256"] = json!([protocol::encoding::Sha256::of(&key.subject_public_key_info())]);
    write("trust.json", &trust.to_string());
    for name in ["issuing.crt", "issuing.key"] {
        fs::remove_file(lab.dir().join(name)).unwrap();
    }
    lab.serve();
    lab.apply("n1", MAC);
    Machine::new(MAC, "run-1").admitted(&lab).await;
    assert!(lab.says(&["get", "nodes"]).contains("approved"));
}

#[tokio::test]
async fn a_spec_that_no_certificate_can_be_for_is_refused_with_the_name() {
    let lab = Lab::permitting(&["cluster.example", "10.0.0.0/8"]);
    let mut wanted = spec("n1", MAC);
    wanted["cluster"]["node_fqdn"] = json!("n1.cluster.example");
    lab.apply_spec(&wanted);
    Machine::new(MAC, "run-1").admitted(&lab).await;
    wanted["cluster"]["node_ip"] = json!("192.0.2.9");
    wanted["cluster"]["node_fqdn"] = json!("n1.elsewhere.example");
    let refused = lab.verb(&["apply", "-f", path(&lab.file("n.json", &wanted.to_string()))]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("E-INPUT") && said.contains("n1.elsewhere.example, 192.0.2.9"), "{said}");
}

#[test]
fn a_limit_that_cannot_be_read_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("site");
    let mut init = std::process::Command::new(super::lab::BINARY);
    init.arg("init").arg(&dir).args(["--address", "10.77.0.1", "--permit", "10.0.0.0/99"]);
    assert!(!init.output().unwrap().status.success() && !dir.exists());
}
