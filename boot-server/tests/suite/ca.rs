//! The CA: a root that may be elsewhere, who issues under it, what that may be for.

use super::{
    lab::{Lab, path, spec},
    machine::{Machine, Node, anchors},
};
use host::http::pem;
use hyper::StatusCode;
use protocol::{
    encoding::Sha256,
    trust::{Believe, Believed},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

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
    let mut trust: Value = serde_json::from_slice(&fs::read(lab.dir().join("trust.json")).unwrap()).unwrap();
    trust["ca_spki_sha256"] = json!([Sha256::of(&key.subject_public_key_info())]);
    write("trust.json", &trust.to_string());
    for name in ["issuing.crt", "issuing.key"] {
        fs::remove_file(lab.dir().join(name)).unwrap();
    }
    lab.serve();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(&lab).await;
    assert!(said(&lab, &["ca", "renew"]).contains("boot-server ca rotate"), "no issuing certificate under this root");
    // It goes over to a root with an issuing certificate under it.
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    lab.says(&["ca", "rotate"]);
    told(&node, &believed(&lab, None)).await;
    lab.says(&["ca", "rotate", "--finish"]);
    assert_eq!(chain(&lab).await.len(), 3);
    assert_eq!(node.health(1, true).await.0, StatusCode::OK, "its certificate of the old root is good");
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

fn shown(lab: &Lab) -> Value {
    serde_json::from_str(&lab.says(&["ca", "show", "--json"])).unwrap()
}

fn said(lab: &Lab, words: &[&str]) -> String {
    let output = lab.verb(words);
    assert!(!output.status.success(), "{words:?} is refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Moves a file out of the server's folder.
fn taken_away(lab: &Lab, name: &str) -> PathBuf {
    let to = lab.dir().parent().unwrap().join(format!("kept-{}", name.replace('/', "-")));
    fs::rename(lab.dir().join(name), &to).unwrap();
    to
}

/// What a server's chain is, leaf first.
async fn chain(lab: &Lab) -> Vec<Sha256> {
    lab.reload();
    let mut seen = Vec::new();
    for _ in 0..200 {
        let now = lab.presented().await;
        if now != seen && !seen.is_empty() {
            return now;
        }
        seen = now;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    seen
}

#[tokio::test]
async fn the_issuing_certificate_is_renewed_with_the_root_s_key_at_hand_and_taken_without_a_restart() {
    let lab = Lab::permitting(&["127.0.0.0/8", "10.0.0.0/8"]);
    let key = taken_away(&lab, "ca.key");
    let (before, process) = (lab.presented().await, lab.process());
    let refused = said(&lab, &["ca", "renew"]);
    assert!(refused.contains("E-CONFIG") && refused.contains("--root-key FILE"), "{refused}");
    let refused = said(&lab, &["ca", "renew", "--root-key", path(&lab.dir().join("issuing.key"))]);
    assert!(refused.contains("not the key of the root"), "{refused}");
    assert!(lab.says(&["ca", "renew", "--root-key", path(&key)]).contains("issues from now on"));
    let after = chain(&lab).await;
    assert_eq!((after.len(), after[2], lab.process()), (3, before[2], process), "the root is the same");
    assert_ne!(after[1], before[1]);
    let shown = shown(&lab);
    let (issuing, root) = (&shown["certificates"][0], &shown["certificates"][1]);
    assert_eq!((&issuing["key_is_here"], &root["key_is_here"]), (&json!(true), &json!(false)));
    assert!(issuing["permits"].to_string().contains("10.0.0.0/8"), "what it was: {issuing}");
    assert!(issuing["days_left"].as_i64().unwrap() > 1800 && root["days_left"].as_i64().unwrap() > 7000);
    assert_eq!(shown["images_pin"], json!([after[2]]));
    lab.says(&["ca", "renew", "--root-key", path(&key), "--permit-all"]);
    assert!(!lab.says(&["ca", "show"]).contains("alone"));
    assert!(!lab.dir().join("ca.key").exists(), "the root's key is not kept");
    lab.apply("n1", MAC);
    Machine::new(MAC, "run-1").admitted(&lab).await;
    assert!(lab.says(&["ca", "export"]).trim() == lab.ca_pem().trim());
    assert_eq!(lab.says(&["ca", "export", "--chain"]).matches("BEGIN").count(), 2);
}

/// A company's CA: a root and, for the CSR, an issuing certificate under it.
struct Company {
    root: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Company {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "company");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { root: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    fn answers(&self, csr: &str, is_ca: IsCa) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.is_ca = is_ca;
        request.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        request.params.not_before = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
        request.params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(700);
        request.signed_by(&self.issuer).unwrap().pem()
    }
}

#[tokio::test]
async fn a_company_s_ca_issues_for_the_server_after_images_have_learnt_its_root() {
    let lab = Lab::open();
    let company = Company::new();
    let refused = said(&lab, &["ca", "import", path(&lab.file("none.pem", &company.root))]);
    assert!(refused.contains("ca csr first"), "{refused}");
    let csr = lab.says(&["ca", "csr"]);
    let key_of = |csr: &str| {
        let request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.public_key.subject_public_key_info()
    };
    assert_eq!(key_of(&csr), key_of(&lab.says(&["ca", "csr"])), "asked again, it is the same");
    let ca = || IsCa::Ca(BasicConstraints::Constrained(0));
    let answer = company.answers(&csr, ca());
    for (text, why) in [
        (answer.clone(), "company is missing"),
        (company.root.clone(), "none of the file is for the key"),
        (company.answers(&csr, IsCa::ExplicitNoCa) + &company.root, "CA:TRUE"),
        (answer.clone() + &Company::new().root, "CA:TRUE"),
        ("nothing".to_owned(), "there is none"),
    ] {
        let refused = said(&lab, &["ca", "import", path(&lab.file("wrong.pem", &text))]);
        assert!(refused.contains("E-INPUT") && refused.contains(why), "{why}: {refused}");
    }
    let file = lab.file("answer.pem", &(company.root.clone() + &answer));
    let said = lab.says(&["ca", "import", path(&file)]);
    assert!(said.contains("a rotation to that one has begun") && !said.contains("next/ca.key"), "{said}");
    assert_eq!(anchors(&lab).ca_spki_sha256.len(), 2);
    lab.says(&["ca", "rotate", "--finish"]);
    let root = pem::decode(&company.root).unwrap().remove(0);
    assert_eq!(chain(&lab).await.last(), host::certificate::spki(&root).as_ref());
    lab.apply("n1", MAC);
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    assert_eq!(node.health(1, true).await.0, StatusCode::OK);
}

fn believed(lab: &Lab, under: Option<Sha256>) -> Believed {
    let anchors = anchors(lab);
    Believed {
        ca_spki_sha256: anchors.ca_spki_sha256,
        manifest_keys: anchors.manifest_keys,
        issued_under: under,
        nonce: vec![7; 32],
    }
}

async fn told(node: &Node, believed: &Believed) -> Vec<Sha256> {
    let believe: Believe = node.caller.done("/v1/node/trust", believed).await;
    pem::decode(&believe.roots).unwrap().iter().filter_map(|one| host::certificate::spki(one)).collect()
}

#[tokio::test]
async fn a_root_is_rotated_when_every_node_has_learnt_the_next_one_and_the_old_one_goes_when_none_needs_it() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(&lab).await;
    node.manifest(&lab).await;
    assert!(node.installed(1).await.0.is_success());
    let old = believed(&lab, Some(anchors(&lab).ca_spki_sha256[0]));
    told(&node, &old).await;

    assert!(said(&lab, &["ca", "rotate", "--cancel"]).contains("E-WRONG-STATE"), "there is none");
    assert!(!lab.says(&["audit", "export"]).contains("has cancelled the rotation"), "nothing was done");
    assert!(lab.says(&["ca", "rotate"]).contains("Keep next/ca.key off this host"));
    let refused = said(&lab, &["ca", "rotate", "--finish"]);
    assert!(refused.contains("E-WRONG-STATE") && refused.contains("it waits for 1: n1"), "{refused}");
    lab.says(&["ca", "rotate"]);
    let both = anchors(&lab).ca_spki_sha256;
    assert_eq!((both.len(), both[0]), (2, old.ca_spki_sha256[0]), "said again, it is the same rotation");
    lab.reload();
    while told(&node, &old).await != both {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    told(&node, &believed(&lab, Some(both[0]))).await;
    // Machines could not boot an image that pins the old root alone.
    let image = |pins: &[Sha256]| json!({"format": 1, "profile": "vm", "kernel": "6.1", "agent_version": "1", "ca_spki_sha256": pins, "artefacts": {}});
    fs::write(lab.dir().join("images/vm.json"), image(&both[..1]).to_string()).unwrap();
    assert!(said(&lab, &["ca", "rotate", "--finish"]).contains("the image vm"));
    fs::write(lab.dir().join("images/vm.json"), image(&both).to_string()).unwrap();
    assert!(shown(&lab)["waits_for"].as_array().unwrap().is_empty());

    let before_switch = fs::read_to_string(lab.dir().join("trust.json")).unwrap();
    lab.says(&["ca", "rotate", "--finish"]);
    assert_eq!(chain(&lab).await[2], both[1]);
    assert_eq!(told(&node, &old).await, [both[1], both[0]], "its certificate of the old root is good");
    assert!(said(&lab, &["ca", "rotate", "--cancel"]).contains("current one already"));
    // As if the switch had been interrupted: said again, the command does not go on to drop the old root, by no word.
    let trust = lab.dir().join("trust.json");
    let whole = fs::read_to_string(&trust).unwrap();
    fs::write(&trust, before_switch).unwrap();
    assert!(lab.says(&["ca", "rotate", "--finish", "--force"]).contains("what was interrupted is done"));
    assert_eq!(fs::read_to_string(&trust).unwrap(), whole);
    assert!(said(&lab, &["ca", "rotate", "--finish", "--force"]).contains("--force-drop leaves them behind"));
    let refused = said(&lab, &["ca", "rotate", "--finish"]);
    assert!(refused.contains("it waits for 1: n1"), "{refused}");
    // An image from before the switch pins the old root first, and its code is still the server's.
    let again = Machine::new("52:54:00:00:00:02", "run-2");
    assert!(again.greet_as(&lab, both[0]).await.code != again.greet_as(&lab, both[1]).await.code);
    // A backup that is taken now brings the rotation back as it is.
    let (backup, restored) = (lab.dir().join("backup"), lab.dir().join("restored"));
    lab.says(&["cluster", "backup", "--server-only", "--out", path(&backup)]);
    let from = fs::read_dir(&backup).unwrap().next().unwrap().unwrap().path();
    let mut restore = std::process::Command::new(super::lab::BINARY);
    restore.args(["cluster", "restore", "--from"]).arg(from).arg("--dir").arg(&restored);
    assert!(restore.output().unwrap().status.success());
    for name in ["ca.crt", "issuing.key", "manifest.key", "old/ca.crt", "old/manifest.key", "trust.json"] {
        let of = |dir: PathBuf| fs::read(dir.join(name)).unwrap();
        assert_eq!(of(restored.clone()), of(lab.dir()), "{name}");
    }
    told(&node, &believed(&lab, Some(both[1]))).await;
    lab.says(&["ca", "rotate", "--finish"]);
    assert_eq!(anchors(&lab).ca_spki_sha256, [both[1]]);
    assert_eq!(anchors(&lab).earlier_ca_spki_sha256, [both[0]]);
    assert!(lab.says(&["ca", "show"]).contains("no rotation is under way"));
    assert!(lab.says(&["get", "nodes"]).contains("n1"), "the command line goes by the folder's ca.crt");
}

/// The operator's certificate for the page.
fn page(lab: &Lab, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    fs::write(lab.dir().join("page.crt"), &certificate).unwrap();
    fs::write(lab.dir().join("page.key"), key.serialize_pem()).unwrap();
    certificate
}

#[tokio::test]
async fn the_page_has_the_operator_s_certificate_agents_the_pinned_one_and_neither_is_shadowed() {
    let mut lab = Lab::made("open-lab", &[]);
    let config = lab.dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[https]\n", "[https]\ncertificate = 'page.crt'\nkey = 'page.key'\n")).unwrap();
    page(&lab, "localhost");
    let refused = std::process::Command::new(super::lab::BINARY).args(["serve", "--config"]).arg(&config).output();
    let refused = String::from_utf8_lossy(&refused.unwrap().stderr).into_owned();
    assert!(refused.contains("E-CONFIG") && refused.contains("it is for localhost"), "{refused}");
    for round in 0..2 {
        let certificate = page(&lab, "page.example");
        match round {
            0 => lab.serve(),
            _ => lab.reload(),
        }
        let own = pem::decode(&certificate).unwrap().remove(0);
        let wanted = [host::certificate::spki(&own).unwrap()];
        // Until it has been read again, the handshake fails: the one before it is not trusted.
        while lab.try_presented_to("page.example", &certificate).await.is_none_or(|shown| shown != wanted) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let agents = lab.presented().await;
        assert_eq!(agents.last(), anchors(&lab).ca_spki_sha256.first(), "round {round}");
    }
    lab.apply("n1", MAC);
    Machine::new(MAC, "run-1").admitted(&lab).await;
}
