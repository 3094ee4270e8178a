//! The HTTPS port, as a public scanner sees it.

use super::lab::{Lab, path};
use serde_json::Value;
use std::process::Command;

/// Of protocols, forward secrecy and the attacks that have a name; with both certificates that the port has.
#[test]
fn a_public_scanner_finds_nothing_weak_in_what_the_https_port_speaks() {
    let lab = Lab::open();
    lab.says(&["ca", "ipxe"]);
    lab.reload();
    let found = lab.dir().join("found.json");
    let mut testssl = Command::new("testssl");
    testssl.args(["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "-p", "-f", "-U", "--jsonfile"]);
    let scanned = testssl.args([path(&found), &format!("127.0.0.1:{}", lab.port("https"))]).output().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&std::fs::read(&found).unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&scanned.stdout)));
    let of = |id: &str| found.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id} was not looked at"));
    for id in ["TLS1_3", "PFS", "ALPN_HTTP2"] {
        assert_eq!(of(id)["severity"], "OK", "{}", of(id));
    }
    for id in ["heartbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "BEAST", "LUCKY13", "RC4", "SWEET32"] {
        of(id);
    }
    let is_weak = |one: &&Value| ["LOW", "MEDIUM", "HIGH", "CRITICAL"].iter().any(|level| one["severity"] == *level);
    let weak: Vec<&Value> = found.iter().filter(is_weak).collect();
    assert!(weak.is_empty(), "{weak:#?}");
}
