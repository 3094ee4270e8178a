//! TPMs that machines prove, and what is tried against that.

use super::{
    lab::{Lab, path, spec},
    machine::{Greeted, Machine},
};
use hyper::StatusCode;
use protocol::{
    encoding::Sha256,
    enrol::{EnrolReply, EnrolRequest, EnrolState},
    measured::EventLog,
    tpm::{StartQuote, TpmChallenge, TpmFound, TpmKeys, TpmProof},
};
use qemu_tests::{
    child::Process,
    swtpm::{self, Vendor, measure},
};
use serde_json::{Value, json};
use std::{os::unix::net::UnixStream, path::Path};
use tpm::{Identity, Tpm};

pub const MAC: &str = "52:54:00:00:00:01";

/// A chip that runs, and its keys.
pub struct Chip {
    _process: Process,
    pub stream: UnixStream,
    tpm: Tpm<UnixStream>,
    identity: Identity,
}

impl Chip {
    pub fn new(dir: &Path) -> Self {
        Self::start(&swtpm::Chip::blank(dir).unwrap())
    }

    pub fn start(chip: &swtpm::Chip) -> Self {
        let (process, stream) = chip.start().unwrap();
        let mut tpm = Tpm::new(stream.try_clone().unwrap());
        let identity = tpm.identity().unwrap();
        Self { _process: process, stream, tpm, identity }
    }

    pub fn ek(&self) -> Sha256 {
        self.identity.endorsement.hash()
    }

    pub fn keys(&self) -> TpmKeys {
        self.identity.keys()
    }

    /// What the installed system tells of its start, over this nonce and the node's key.
    pub fn quote_start(&mut self, boot: Sha256, nonce: &[u8], key: &Sha256) -> StartQuote {
        let (quoting, quote) = self.tpm.quote_alone(&protocol::tpm::quoted(nonce, key)).unwrap();
        StartQuote {
            boot,
            quoting: quoting.area().to_vec(),
            attested: quote.attested,
            signature: quote.signature,
            pcrs: quote.pcrs,
            log: EventLog::default(),
        }
    }

    pub fn prove(&mut self, challenge: &TpmChallenge, key: &Sha256) -> TpmProof {
        self.tpm.prove(&self.identity, challenge, key, EventLog::default()).unwrap()
    }
}

pub fn request(machine: &Machine, greeted: &Greeted, keys: TpmKeys) -> EnrolRequest {
    EnrolRequest { tpm: TpmFound::There(keys), ..machine.request(&greeted.session) }
}

pub async fn ask(lab: &Lab, machine: &Machine, greeted: &Greeted, keys: TpmKeys) -> EnrolReply {
    lab.nobody().done("/v1/enrol", &request(machine, greeted, keys)).await
}

pub async fn send(lab: &Lab, greeted: &Greeted, proof: &TpmProof) -> (StatusCode, Value) {
    lab.nobody().post(&format!("/v1/enrol/{}/tpm", greeted.session), proof).await
}

/// Hello, request, proof.
pub async fn proven(lab: &Lab, machine: &Machine, chip: &mut Chip) -> EnrolReply {
    let greeted = machine.greet(lab).await;
    let challenge = ask(lab, machine, &greeted, chip.keys()).await.tpm.expect("a challenge");
    let proof = chip.prove(&challenge, &machine.spki());
    let (status, reply) = send(lab, &greeted, &proof).await;
    assert!(status.is_success(), "{status} {reply}");
    serde_json::from_value(reply).unwrap()
}

fn refusal(answer: &(StatusCode, Value)) -> &str {
    assert_eq!(answer.1["code"], "E-TPM", "{answer:?}");
    answer.1["cause"].as_str().unwrap()
}

#[tokio::test]
async fn a_proven_tpm_is_shown_and_what_it_measures_otherwise_stands_in_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let mut chip = Chip::new(dir.path());
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let mut machine = Machine::new(MAC, "run-1");
    let reply = proven(&lab, &machine, &mut chip).await;
    assert!(reply.certificate.is_some() && reply.tpm.is_none(), "{reply:?}");
    let known = &lab.describe("n1")["tpm"]["proven"];
    assert_eq!(known["ek"], chip.ek().hex());
    assert_eq!(known["pcrs"].as_object().unwrap().len(), 8);
    assert!(lab.says(&["describe", "node", "n1"]).contains(&format!("EK {}", chip.ek())));

    let history = |lab: &Lab| lab.describe("n1")["history"].to_string();
    machine.run = "run-2".parse().unwrap();
    proven(&lab, &machine, &mut chip).await;
    assert!(!history(&lab).contains("measured otherwise"), "{}", history(&lab));
    measure(&mut chip.stream, 7).unwrap();
    machine.run = "run-3".parse().unwrap();
    proven(&lab, &machine, &mut chip).await;
    assert!(history(&lab).contains("PCR 7 (Secure Boot)"), "{}", history(&lab));

    // Without its TPM it comes back all the same, and what is known of the TPM stays.
    machine.run = "run-4".parse().unwrap();
    machine.admitted(&lab).await;
    assert_eq!(lab.describe("n1")["tpm"]["proven"]["ek"], chip.ek().hex());
}

#[tokio::test]
async fn another_s_endorsement_key_is_copied_and_the_challenge_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, mut rogue) = (Chip::new(&dir.path().join("victim")), Chip::new(&dir.path().join("rogue")));
    let lab = Lab::strict();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let copied = TpmKeys { quoting: rogue.keys().quoting, ..victim.keys() };
    let challenge = ask(&lab, &machine, &greeted, copied).await.tpm.unwrap();
    assert!(
        rogue.tpm.prove(&rogue.identity, &challenge, &machine.spki(), EventLog::default()).is_err(),
        "no TPM but the victim's opens it"
    );
    // It guesses, and quotes well.
    let guessed = guess(rogue, &challenge, &machine.spki());
    assert!(refusal(&send(&lab, &greeted, &guessed).await).contains("has not opened the challenge"));
    assert_eq!(lab.describe("n1")["tpm"], json!({"claimed": {"ek": victim.ek().hex()}}));
}

fn guess(mut chip: Chip, challenge: &TpmChallenge, key: &Sha256) -> TpmProof {
    let over = protocol::tpm::quoted(&challenge.nonce, key);
    let quote = chip.tpm.quote(&chip.identity, &over).unwrap();
    TpmProof {
        opened: vec![0; 32],
        attested: quote.attested,
        signature: quote.signature,
        pcrs: quote.pcrs,
        log: EventLog::default(),
    }
}

#[tokio::test]
async fn a_proof_is_replayed_in_another_session_and_a_quote_is_made_for_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut chip = Chip::new(dir.path());
    let lab = Lab::strict();
    let (machine, rogue) = (Machine::new(MAC, "run-1"), Machine::new("52:54:00:00:00:02", "run-2"));
    let greeted = machine.greet(&lab).await;
    let challenge = ask(&lab, &machine, &greeted, chip.keys()).await.tpm.unwrap();
    let proof = chip.prove(&challenge, &machine.spki());

    let elsewhere = rogue.greet(&lab).await;
    let other = ask(&lab, &rogue, &elsewhere, chip.keys()).await.tpm.unwrap();
    assert_ne!(other.nonce, challenge.nonce);
    assert!(refusal(&send(&lab, &elsewhere, &proof).await).contains("has not opened the challenge"));
    // The chip's owner opens a challenge that was passed on to him, and quotes for his own key.
    let passed_on = chip.prove(&other, &machine.spki());
    assert!(refusal(&send(&lab, &elsewhere, &passed_on).await).contains("another request"));
    // An old quote with a secret that is right.
    let mixed = TpmProof { opened: passed_on.opened, ..proof.clone() };
    assert!(refusal(&send(&lab, &elsewhere, &mixed).await).contains("another request"));
    let mut changed = proof.clone();
    changed.pcrs.insert(7, Sha256::of(b"as if Secure Boot were on"));
    assert!(refusal(&send(&lab, &greeted, &changed).await).contains("not those that are signed"));

    assert!(send(&lab, &greeted, &proof).await.0.is_success());
    assert!(send(&lab, &greeted, &proof).await.0.is_success(), "the answer may have been lost");
    // A session that another one took the place of proves nothing any more.
    let right = chip.prove(&other, &rogue.spki());
    let again = rogue.greet(&lab).await;
    ask(&lab, &rogue, &again, chip.keys()).await;
    assert_eq!(send(&lab, &elsewhere, &right).await.1["code"], "E-ENROL-UNKNOWN");
    let unknown = Greeted { session: "nonsense".to_owned(), code: String::new() };
    assert_eq!(send(&lab, &unknown, &proof).await.1["code"], "E-ENROL-UNKNOWN");
}

#[tokio::test]
async fn keys_that_prove_nothing_or_are_too_long_are_named_and_the_machine_waits_for_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let chip = Chip::new(dir.path());
    let lab = Lab::strict();
    let mut unrestricted = chip.keys();
    unrestricted.quoting[5] ^= 1;
    let wrong = [
        (unrestricted, "not restricted"),
        (TpmKeys { endorsement: chip.keys().quoting, ..chip.keys() }, "default templates"),
        (TpmKeys { endorsement: vec![0; 100_000], ..chip.keys() }, "too long"),
    ];
    for (run, (keys, why)) in wrong.into_iter().enumerate() {
        let (name, mac) = (format!("n{run}"), format!("52:54:00:00:00:{run:02x}"));
        lab.apply(&name, &mac);
        let machine = Machine::new(&mac, &format!("run-{run}"));
        let greeted = machine.greet(&lab).await;
        let reply = ask(&lab, &machine, &greeted, keys).await;
        assert!(reply.tpm.is_none() && reply.missing[0].contains(&greeted.code), "{reply:?}");
        let waiting = lab.says(&["get", "nodes", "-o", "json"]);
        assert!(waiting.contains(&greeted.code), "{waiting}");
        lab.says(&["approve", &greeted.code]);
        assert!(lab.describe(&name)["tpm"]["broken"]["why"].as_str().unwrap().contains(why), "{why}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_configured_vouches_for_the_endorsement_key() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::new(&dir.path().join("vendor")).unwrap();
    let mut chip = Chip::start(&vendor.make(&dir.path().join("chip")).unwrap());
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    proven(&lab, &machine, &mut chip).await;
    let nobody = lab.describe("n1")["tpm"]["proven"]["vendor"]["nobody"].to_string();
    assert!(nobody.contains("no configured vendor"), "{nobody}");

    assert!(lab.stop());
    lab.configure("open-lab", &format!("[tpm]\nroots = ['{}']\n", path(&vendor.certificate())));
    lab.serve();
    let machine = Machine { run: "run-2".parse().unwrap(), ..machine };
    proven(&lab, &machine, &mut chip).await;
    assert_eq!(lab.describe("n1")["tpm"]["proven"]["vendor"]["by"], "CN=swtpm-localca");
    assert!(lab.says(&["describe", "node", "n1"]).contains("CN=swtpm-localca"));
}

/// A spec that names a TPM beside the card, or alone.
fn named(ek: &Sha256, by_card: bool) -> Value {
    let mut spec = spec("n1", MAC);
    spec["match"] = if by_card { json!({"macs": [MAC], "ek": ek}) } else { json!({"ek": ek}) };
    spec
}

#[tokio::test]
async fn the_tpm_that_a_spec_names_is_the_node_without_anybody_s_approval() {
    let dir = tempfile::tempdir().unwrap();
    for by_card in [true, false] {
        let mut chip = Chip::new(&dir.path().join(by_card.to_string()));
        let lab = Lab::strict();
        lab.apply_spec(&named(&chip.ek(), by_card));
        let reply = proven(&lab, &Machine::new(MAC, "run-1"), &mut chip).await;
        assert_eq!(reply.state, EnrolState::Approved, "{reply:?}");
        let history = lab.describe("n1")["history"].to_string();
        assert!(history.contains(&format!("its TPM (EK {}", chip.ek())), "{history}");
    }
}

#[tokio::test]
async fn the_card_serial_and_uuid_are_copied_and_the_tpm_is_another_one_even_in_an_open_lab() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, mut rogue) = (Chip::new(&dir.path().join("victim")), Chip::new(&dir.path().join("rogue")));
    let lab = Lab::open();
    lab.apply_spec(&named(&victim.ek(), true));
    let reply = proven(&lab, &Machine::new(MAC, "run-1"), &mut rogue).await;
    assert_eq!((reply.state, reply.certificate), (EnrolState::Pending, None));
    assert!(reply.missing[0].contains("this machine has another one"), "{:?}", reply.missing);

    // Claiming the right one, or none at all, is worth as little.
    let machine = Machine::new(MAC, "run-2");
    let greeted = machine.greet(&lab).await;
    let reply = ask(&lab, &machine, &greeted, victim.keys()).await;
    assert_eq!((reply.state, reply.certificate), (EnrolState::Pending, None));
    assert!(reply.missing[0].contains("the proof of its TPM"), "{:?}", reply.missing);
    let machine = Machine::new(MAC, "run-3");
    let greeted = machine.greet(&lab).await;
    let reply = machine.ask(&lab, &greeted).await;
    assert_eq!(reply.state, EnrolState::Pending);
    assert!(reply.missing[0].contains("off in the firmware"), "{:?}", reply.missing);
}

#[tokio::test]
async fn a_machine_without_a_tpm_says_what_it_waits_for_and_comes_in_by_the_other_way() {
    let lab = Lab::strict();
    let mut spec = spec("n1", MAC);
    spec["admission"] = json!(["tpm", "approval"]);
    lab.apply_spec(&spec);
    let machine = Machine::new(MAC, "run-1");
    let greeted = machine.greet(&lab).await;
    let missing = machine.ask(&lab, &greeted).await.missing.remove(0);
    assert!(missing.contains("a TPM 2.0: this machine has none"), "{missing}");
    assert!(
        missing.contains(&format!("or an admin to type the code: boot-server approve {}", greeted.code)),
        "{missing}"
    );
    lab.says(&["approve", &greeted.code]);
    assert_eq!(machine.ask(&lab, &greeted).await.state, EnrolState::Approved);
}

#[tokio::test]
async fn a_tpm_of_the_list_or_of_a_vendor_admits_whom_a_spec_matches() {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::new(&dir.path().join("vendor")).unwrap();
    let mut certified = Chip::start(&vendor.make(&dir.path().join("certified")).unwrap());
    let (mut listed, mut unknown) = (Chip::new(&dir.path().join("listed")), Chip::new(&dir.path().join("unknown")));
    let mut lab = Lab::strict();
    assert!(lab.stop());
    let roots = path(&vendor.certificate()).to_owned();
    lab.configure("tpm", &format!("[tpm]\nroots = ['{roots}']\nek_allow = ['{}']\n", listed.ek()));
    lab.serve();
    for (n, chip) in [&mut certified, &mut listed, &mut unknown].into_iter().enumerate() {
        let (name, mac) = (format!("n{n}"), format!("52:54:00:00:00:0{n}"));
        lab.apply(&name, &mac);
        let reply = proven(&lab, &Machine::new(&mac, &format!("run-{n}")), chip).await;
        let admitted = reply.state == EnrolState::Approved;
        assert_eq!(admitted, n < 2, "{reply:?}");
        assert!(admitted || reply.missing[0].contains(&format!("EK {}", chip.ek())), "{reply:?}");
    }
}

#[tokio::test]
async fn a_disk_is_moved_beside_another_tpm_and_its_key_is_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let (mut own, mut other) = (Chip::new(&dir.path().join("own")), Chip::new(&dir.path().join("other")));
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let mut machine = Machine::new(MAC, "run-1");
    proven(&lab, &machine, &mut own).await;
    machine.run = "run-2".parse().unwrap();
    let greeted = machine.greet(&lab).await;
    let reply = ask(&lab, &machine, &greeted, other.keys()).await;
    assert_eq!((reply.state, reply.certificate), (EnrolState::Pending, None));
    assert!(reply.missing[0].contains("its TPM is another one than before"), "{:?}", reply.missing);
    lab.says(&["approve", &greeted.code]);
    let reply = ask(&lab, &machine, &greeted, other.keys()).await;
    assert_eq!(reply.state, EnrolState::Approved);
    let proof = other.prove(&reply.tpm.unwrap(), &machine.spki());
    assert!(send(&lab, &greeted, &proof).await.0.is_success());
    let history = lab.describe("n1")["history"].to_string();
    assert!(history.contains("its TPM is another one than before"), "{history}");
}
