//! What was verified of a machine's boot, and what it gets for it.

use super::{
    lab::{Lab, spec},
    machine::{Machine, Node},
};
use protocol::{
    boot_trust::{SecureBoot, SecureBootState},
    enrol::EnrolReply,
    spec::NodeKey,
};
use serde_json::json;

const MAC: &str = "52:54:00:00:00:01";

/// A machine that was admitted and says this of Secure Boot.
async fn admitted(lab: &Lab, machine: &Machine, state: SecureBootState) -> Node {
    let greeted = machine.greet(lab).await;
    let mut request = machine.request(&greeted.session);
    request.inventory.secure_boot = SecureBoot { state, ..SecureBoot::default() };
    let reply: EnrolReply = lab.nobody().done("/v1/enrol", &request).await;
    machine.node(lab, &reply)
}

#[tokio::test]
async fn a_node_whose_boot_is_trusted_less_than_its_secrets_need_gets_nothing_and_is_told_why() {
    let lab = Lab::open();
    let mut wanted = spec("n1", MAC);
    wanted["secrets_at_least"] = json!("secure-boot");
    lab.apply_spec(&wanted);
    let machine = Machine::new(MAC, "run-1");
    for state in [SecureBootState::Absent, SecureBootState::Off, SecureBootState::Setup] {
        let node = admitted(&lab, &machine, state).await;
        let (status, failure) = node.caller.post("/v1/node/manifest", &node.manifest_request()).await;
        assert_eq!((status.is_success(), failure["code"].as_str()), (false, Some("E-BOOT-TRUST")), "{state}");
        assert!(failure["cause"].as_str().unwrap().contains("they need secure-boot"), "{failure}");
    }
    assert_eq!(lab.describe("n1")["summary"]["generation"], 1);
    let told = lab.says(&["describe", "node", "n1"]);
    assert!(told.contains("nothing of its boot was verified; Secure Boot is in setup mode, as it says"), "{told}");

    let node = admitted(&lab, &machine, SecureBootState::On).await;
    node.manifest(&lab).await;
    assert!(node.caller.get("/v1/node/secrets?generation=1").await.0.is_success());
    assert_eq!(lab.describe("n1")["boot_trust"], "secure-boot");
    wanted["secrets_at_least"] = json!("measured");
    lab.apply_spec(&wanted);
    let (_, failure) = node.caller.get("/v1/node/secrets?generation=1").await;
    assert_eq!(failure["code"], "E-BOOT-TRUST", "asked at every request");
}

#[tokio::test]
async fn how_the_key_is_kept_is_said_by_the_spec_and_else_by_the_server_in_what_is_signed() {
    let mut lab = Lab::open();
    assert!(lab.stop());
    lab.configure("open-lab", "node_key = 'tpm'\n");
    lab.serve();
    let machine = Machine::new(MAC, "run-1");
    lab.apply("n1", MAC);
    let node = admitted(&lab, &machine, SecureBootState::Absent).await;
    assert_eq!(node.manifest(&lab).await.key_kept, NodeKey::Tpm);
    for (word, kept) in [("tpm-pcr7", NodeKey::TpmPcr7), ("file", NodeKey::File)] {
        let mut wanted = spec("n1", MAC);
        wanted["node_key"] = json!(word);
        lab.apply_spec(&wanted);
        assert_eq!(node.manifest(&lab).await.key_kept, kept);
    }
}

#[tokio::test]
async fn the_server_s_word_holds_where_a_spec_says_nothing_and_a_node_without_secrets_needs_none() {
    let mut lab = Lab::open();
    assert!(lab.stop());
    lab.configure("open-lab", "secrets_at_least = 'measured'\n");
    lab.serve();
    lab.apply("n1", MAC);
    let node = admitted(&lab, &Machine::new(MAC, "run-1"), SecureBootState::On).await;
    let (_, failure) = node.caller.post("/v1/node/manifest", &node.manifest_request()).await;
    assert_eq!(failure["code"], "E-BOOT-TRUST");

    let other = "52:54:00:00:00:02";
    let mut bare = spec("n2", other);
    bare["secrets"] = json!([]);
    bare.as_object_mut().unwrap().remove("cluster");
    lab.apply_spec(&bare);
    admitted(&lab, &Machine::new(other, "run-2"), SecureBootState::Absent).await.manifest(&lab).await;
}
