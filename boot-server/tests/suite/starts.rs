//! What was measured when systems of nodes start, and what is tried against that.

use super::{
    event_log::Firmware,
    lab::Lab,
    machine::{Machine, Node},
    tpm::{Chip, MAC, proven},
};
use hyper::StatusCode;
use protocol::{
    encoding::Sha256,
    tpm::{QuoteRequest, QuoteWanted, StartQuote},
};
use qemu_tests::swtpm::{self, measure};
use serde_json::{Value, json};

const WANTED: &str = "/v1/node/quote/wanted";

fn boot(number: u8) -> Sha256 {
    Sha256::of(&[number])
}

async fn wanted(node: &Node, number: u8) -> Option<Vec<u8>> {
    match node.caller.done(WANTED, &QuoteRequest { boot: boot(number) }).await {
        QuoteWanted::Yes { nonce } => Some(nonce),
        QuoteWanted::No => None,
    }
}

async fn told(node: &Node, quote: &StartQuote) -> (StatusCode, Value) {
    node.caller.post("/v1/node/quote", quote).await
}

/// Asks, and tells what the chip quotes.
async fn start(node: &Node, chip: &mut Chip, number: u8) -> (StatusCode, Value) {
    let nonce = wanted(node, number).await.expect("it is asked for");
    told(node, &chip.quote_start(boot(number), &nonce, &node.key)).await
}

fn history(lab: &Lab) -> String {
    lab.describe("n1")["history"].to_string()
}

#[tokio::test]
async fn each_start_is_asked_for_once_and_compared_with_the_start_before_and_not_with_the_enrolment() {
    let dir = tempfile::tempdir().unwrap();
    let own = swtpm::Chip::blank(dir.path()).unwrap();
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let mut chip = Chip::start(&own);
    measure(&mut chip.stream, 4).unwrap();
    let node = machine.node(&lab, &proven(&lab, &machine, &mut chip).await);
    drop(chip);

    let mut chip = Chip::start(&own);
    let log = Firmware::new(&mut chip).secure_boot(b"db").starts("\\good.efi", b"good").log();
    let nonce = wanted(&node, 1).await.unwrap();
    let quote = StartQuote { log, ..chip.quote_start(boot(1), &nonce, &node.key) };
    assert!(told(&node, &quote).await.0.is_success());
    assert_eq!(wanted(&node, 1).await, None, "it knows of this start");
    assert!(!history(&lab).contains("measured otherwise"), "{}", history(&lab));
    let described = lab.says(&["describe", "node", "n1"]);
    assert!(described.contains("Disk started:") && described.contains("\\good.efi (SHA-256"), "{described}");
    assert!(lab.describe("n1")["starts"]["last"]["at"].is_string());
    drop(chip);

    let mut chip = Chip::start(&own);
    let log = Firmware::new(&mut chip).secure_boot(b"db").starts("\\evil.efi", b"evil").log();
    let nonce = wanted(&node, 2).await.unwrap();
    let quote = StartQuote { log, ..chip.quote_start(boot(2), &nonce, &node.key) };
    assert!(told(&node, &quote).await.0.is_success());
    let said = history(&lab);
    let words = "measured otherwise than when its system started last: PCR 4 (what the firmware started): now started";
    assert!(said.contains(words) && !said.contains("PCR 7"), "{said}");
    // The enrolment is compared with the enrolment before.
    assert_eq!(lab.describe("n1")["tpm"]["proven"]["log"].as_object().unwrap().keys().next().unwrap(), "missing");
}

#[tokio::test]
async fn a_start_is_believed_over_the_nonce_that_was_drawn_for_it_once_and_for_this_node_s_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut chip = Chip::new(dir.path());
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.node(&lab, &proven(&lab, &machine, &mut chip).await);
    let unasked = chip.quote_start(boot(1), &[0; 32], &node.key);
    assert_eq!(told(&node, &unasked).await.1["code"], "E-WRONG-STATE", "nobody has asked");

    let nonce = wanted(&node, 1).await.unwrap();
    let good = chip.quote_start(boot(1), &nonce, &node.key);
    assert!(told(&node, &good).await.0.is_success());
    assert_eq!(told(&node, &good).await.1["code"], "E-WRONG-STATE", "it is good once");

    let cause = |answer: (StatusCode, Value)| {
        assert_eq!(answer.1["code"], "E-TPM", "{answer:?}");
        answer.1["cause"].as_str().unwrap().to_owned()
    };
    let nonce = wanted(&node, 2).await.unwrap();
    // What was measured before something else started, shown again.
    assert_eq!(told(&node, &good).await.1["code"], "E-WRONG-STATE", "it is another start's");
    wanted(&node, 2).await.unwrap();
    let old = StartQuote { boot: boot(2), ..good.clone() };
    assert!(cause(told(&node, &old).await).contains("another request"));
    wanted(&node, 2).await.unwrap();
    let first = chip.quote_start(boot(2), &nonce, &node.key);
    assert!(cause(told(&node, &first).await).contains("another request"), "a later nonce takes its place");
    let nonce = wanted(&node, 2).await.unwrap();
    let for_another = chip.quote_start(boot(2), &nonce, &Sha256::of(b"another node's key"));
    assert!(cause(told(&node, &for_another).await).contains("another request"));
    let nonce = wanted(&node, 2).await.unwrap();
    let mut altered = chip.quote_start(boot(2), &nonce, &node.key);
    altered.pcrs.insert(7, Sha256::of(b"as if Secure Boot were on"));
    assert!(cause(told(&node, &altered).await).contains("not those that are signed"));
    wanted(&node, 2).await.unwrap();
    let endless = StartQuote { boot: boot(2), attested: vec![0; 5000], ..good };
    assert!(cause(told(&node, &endless).await).contains("too long"));
    assert_eq!(lab.describe("n1")["starts"]["last"]["boot"], json!(boot(1)));
}

#[tokio::test]
async fn a_start_beside_another_tpm_is_told_once_shown_as_what_the_node_needs_and_over_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut own, mut other) = (Chip::new(&dir.path().join("own")), Chip::new(&dir.path().join("other")));
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.node(&lab, &proven(&lab, &machine, &mut own).await);
    assert!(start(&node, &mut own, 1).await.0.is_success());
    for number in [2, 3] {
        let (_, refused) = start(&node, &mut other, number).await;
        assert_eq!(refused["code"], "E-TPM");
        assert!(refused["cause"].as_str().unwrap().contains("another one than it has proven"), "{refused}");
        assert!(refused["remedy"].as_str().unwrap().contains("match.ek"), "{refused}");
        assert_eq!(wanted(&node, number).await, None, "it is not asked again at this start");
    }
    assert_eq!(history(&lab).matches("beside another TPM").count(), 1, "{}", history(&lab));
    let shown = lab.describe("n1");
    assert!(shown["summary"]["missing"].to_string().contains("beside another TPM"), "{shown}");
    assert_eq!(shown["starts"]["last"]["boot"], json!(boot(1)), "what is compared with stays");

    assert!(start(&node, &mut own, 4).await.0.is_success());
    let shown = lab.describe("n1");
    assert!(!shown["summary"]["missing"].to_string().contains("beside another TPM"), "{shown}");
}

#[tokio::test]
async fn a_node_that_has_proven_no_tpm_is_not_asked_and_what_it_tells_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let mut chip = Chip::new(dir.path());
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    assert_eq!(wanted(&node, 1).await, None);
    let quote = chip.quote_start(boot(1), &[0; 32], &node.key);
    assert!(!told(&node, &quote).await.0.is_success());
    assert_eq!(lab.describe("n1")["starts"], json!({}));
}
