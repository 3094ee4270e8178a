//! Keys and certificates that an admin has revoked.

use super::{
    lab::{Lab, path},
    machine::{Machine, Node, anchors},
};
use hyper::StatusCode;
use protocol::{
    enrol::EnrolState,
    trust::{Believe, Believed},
};
use std::{
    path::Path,
    process::{Command, Output},
};

const MAC: &str = "52:54:00:00:00:01";

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The list of revoked certificates, as a node fetches it and openssl reads it.
async fn revoked(lab: &Lab, node: &Node) -> String {
    let anchors = anchors(lab);
    let believed = Believed {
        ca_spki_sha256: anchors.ca_spki_sha256,
        manifest_keys: anchors.manifest_keys,
        issued_under: None,
        nonce: vec![7; 32],
    };
    let believe: Believe = node.caller.done("/v1/node/trust", &believed).await;
    read(&lab.file("crl.pem", &believe.revoked))
}

fn read(list: &Path) -> String {
    let read = Command::new("openssl").args(["crl", "-noout", "-text", "-in", path(list)]).output().unwrap();
    assert!(read.status.success(), "{read:?}");
    String::from_utf8(read.stdout).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_node_whose_key_was_revoked_can_do_nothing_until_another_one_takes_its_place() {
    let lab = Lab::open();
    for (name, mac) in [("n1", MAC), ("n2", "52:54:00:00:00:02")] {
        lab.apply(name, mac);
    }
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(&lab).await;
    let other = Machine::new("52:54:00:00:00:02", "run-2").admitted(&lab).await;
    node.manifest(&lab).await;
    node.installed(1).await;
    assert!(refusal(&lab.verb(&["revoke", "n1"])).contains("--yes"));
    assert!(revoked(&lab, &other).await.contains("no revoked certificates"));

    let said = lab.says(&["revoke", "n1", "--yes"]);
    assert!(said.contains(&machine.spki().hex()[..12]) && said.contains("cluster replace n1"), "{said}");
    assert_eq!(lab.state_of("n1"), "revoked");
    let needs = lab.describe("n1")["summary"]["missing"].to_string();
    assert!(needs.contains("its key was revoked") && needs.contains("cluster replace n1"), "{needs}");
    assert_eq!(node.health(1, true).await.0, StatusCode::FORBIDDEN);
    assert!(!revoked(&lab, &other).await.contains("no revoked certificates"));
    lab.says(&["ca", "rotate"]);
    let shown: serde_json::Value = serde_json::from_str(&lab.says(&["ca", "show", "--json"])).unwrap();
    assert_eq!(shown["waits_for"].as_array().map(Vec::len), Some(0), "a rotation waits for it no more");
    lab.says(&["ca", "rotate", "--cancel"]);
    let greeted = machine.greet(&lab).await;
    let (status, refused) = lab.nobody().post("/v1/enrol", &machine.request(&greeted.session)).await;
    assert!(!status.is_success() && refused["code"] == "E-ENROL-REJECTED", "{refused}");
    let copy = Machine::new(MAC, "run-3");
    let greeted = copy.greet(&lab).await;
    let waits = copy.ask(&lab, &greeted).await;
    assert!(waits.state == EnrolState::Conflict && waits.missing[0].contains("cluster replace"), "{waits:?}");
    for verb in [&["reinstall", "n1", "--yes"][..], &["revoke", "n1", "--yes"]] {
        let refused = refusal(&lab.verb(verb));
        assert!(refused.contains("E-WRONG-STATE") && refused.contains("cluster replace n1"), "{refused}");
    }
    lab.says(&["cluster", "replace", "n1", "--yes"]);
    let (_, reply) = lab.nobody().get(&format!("/v1/enrol/{}", greeted.session)).await;
    let back = copy.node(&lab, &serde_json::from_value(reply).unwrap());
    assert_eq!(back.manifest(&lab).await.generation, 2);
    assert_eq!(lab.state_of("n1"), "installing");
    let audit = lab.says(&["audit", "export"]);
    assert!(audit.lines().any(|line| line.contains("\"revoke\"") && line.contains("\"before\":{")), "{audit}");
}

#[tokio::test]
async fn a_node_that_has_no_key_or_is_none_has_none_revoked() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let none = refusal(&lab.verb(&["revoke", "n1", "--yes"]));
    assert!(none.contains("E-WRONG-STATE") && none.contains("boot-server reject"), "{none}");
    assert_eq!(lab.state_of("n1"), "expected", "and nothing has changed");
    assert!(refusal(&lab.verb(&["revoke", "n9", "--yes"])).contains("E-NOT-FOUND"));
}

#[tokio::test]
async fn the_certificate_of_a_member_outside_is_revoked_by_its_serial_number_and_a_node_s_by_its_key_alone() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let reply = machine.ask(&lab, &machine.greet(&lab).await).await;
    let node = machine.node(&lab, &reply);
    let out = lab.dir().join("outside");
    let mut made = Command::new(super::lab::BINARY);
    made.args(["certificate", "--dir", path(&lab.dir()), "--name", "outside", "--address", "10.0.0.5"]);
    let made = made.args(["--out", path(&out)]).output().unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    let serial = said.split("--certificate ").nth(1).unwrap().split_whitespace().next().unwrap();
    let colons: Vec<&str> = serial.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
    lab.says(&["revoke", "--certificate", &colons.join(":").to_uppercase(), "--yes"]);
    let list = revoked(&lab, &node).await;
    assert!(list.contains(serial), "{serial} is not in {list}");
    let exported = lab.file("exported.pem", &lab.says(&["ca", "export", "--revoked"]));
    assert!(read(&exported).contains(serial));
    assert!(refusal(&lab.verb(&["revoke", "--certificate", serial, "--yes"])).contains("was revoked before"));
    assert!(refusal(&lab.verb(&["revoke", "--certificate", "no serial", "--yes"])).contains("E-INPUT"));
    let leaf = lab.file("leaf.pem", &reply.certificate.unwrap());
    let own = Command::new("openssl").args(["x509", "-noout", "-serial", "-in", path(&leaf)]).output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap();
    let own = own.trim().strip_prefix("serial=").unwrap();
    let of_a_node = refusal(&lab.verb(&["revoke", "--certificate", own, "--yes"]));
    assert!(of_a_node.contains("is node n1's"), "{of_a_node}");
    let audit = lab.says(&["audit", "export"]);
    assert!(audit.lines().any(|line| line.contains("\"revoke\"") && line.contains(serial)), "{audit}");
}
