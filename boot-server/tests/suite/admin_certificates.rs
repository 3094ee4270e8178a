//! Certificates of admins in the place of tokens: what each may, what neither it nor a node's may, and its end.

use super::{
    lab::{BINARY, Caller, Identity, Lab, path},
    machine::Machine,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use protocol::calls::{ALL, Who};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject};
use serde_json::json;
use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

const MAC: &str = "52:54:00:00:00:01";
const PATIENCE: Duration = Duration::from_secs(60);

/// The two files of a certificate that the server has taken.
fn certified(lab: &Lab, name: &str, more: &[&str]) -> (PathBuf, PathBuf) {
    let file = lab.file(name, "");
    let said = lab.says(&[&["token", "create", name, "--client-certificate", path(&file)], more].concat());
    assert!(said.contains(&format!("certificate {name} allows to")), "{said}");
    (file.with_extension("crt"), file.with_extension("key"))
}

fn identity((certificate, key): &(PathBuf, PathBuf)) -> Identity {
    let certificate = std::fs::read(certificate).unwrap();
    let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<_, _>>().unwrap();
    (chain, PrivateKeyDer::from_pem_slice(&std::fs::read(key).unwrap()).unwrap())
}

fn with(lab: &Lab, files: &(PathBuf, PathBuf)) -> Caller {
    lab.caller(Some(identity(files)), None)
}

/// A certificate that somebody has signed himself.
fn own(change: impl FnOnce(&mut CertificateParams)) -> (String, Identity) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (certificate.pem(), (vec![certificate.der().clone()], private))
}

/// The status of a GET; none where the handshake is refused.
async fn looks(caller: &Caller) -> Option<StatusCode> {
    caller.tries(Method::GET, "/v1/nodes").await.map(|answer| answer.status())
}

#[tokio::test]
async fn a_certificate_may_what_its_scope_allows_and_stands_in_the_audit_by_its_name() {
    let lab = Lab::open();
    let files = certified(&lab, "alice", &["--scope", "operate"]);
    let server = format!("https://127.0.0.1:{}", lab.port("https"));
    let (ca, spec) = (lab.dir().join("ca.crt"), lab.file("n1.json", &super::lab::spec("n1", MAC).to_string()));
    let by_alice = |words: &[&str]| {
        let target =
            ["--server", &server, "--ca", path(&ca), "--client-cert", path(&files.0), "--client-key", path(&files.1)];
        Command::new(BINARY).args(words).args(target).output().unwrap()
    };
    let applied = by_alice(&["apply", "-f", path(&spec)]);
    assert!(applied.status.success(), "{applied:?}");
    let refused = by_alice(&["token", "list"]);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("alice allows to operate, and this needs admin"),
        "{refused:?}"
    );
    let entry = lab.says(&["audit", "export", "--node", "n1"]);
    assert!(entry.contains(r#""actor":"alice","kind":"certificate","from":"127.0.0.1""#), "{entry}");
    let listed = lab.says(&["token", "list"]);
    assert!(listed.lines().any(|line| line.starts_with("alice") && line.contains("certificate")), "{listed}");
    let push = with(&lab, &files).send(Method::PUT, "/cache/log/x", &[], Bytes::new()).await;
    assert_eq!(push.status(), StatusCode::METHOD_NOT_ALLOWED, "an operator may push");
    let key = std::fs::read_to_string(&files.1).unwrap();
    for entry in std::fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path()).filter(|it| it.is_file()) {
        let text = String::from_utf8_lossy(&std::fs::read(&entry).unwrap()).into_owned();
        assert!(!text.contains(key.lines().nth(1).unwrap()), "{} has the key", entry.display());
    }
}

#[tokio::test]
async fn a_certificate_that_its_owner_has_signed_is_taken_by_its_key_and_outlives_a_restart() {
    let mut lab = Lab::open();
    let (pem, own) = own(|params| params.is_ca = IsCa::ExplicitNoCa);
    let file = lab.file("company.crt", &pem);
    assert_eq!(looks(&lab.caller(Some((own.0.clone(), own.1.clone_key())), None)).await, None, "nobody has taken it");
    lab.says(&["token", "create", "company", "--certificate", path(&file)]);
    let caller = |lab: &Lab| lab.caller(Some((own.0.clone(), own.1.clone_key())), None);
    assert_eq!(looks(&caller(&lab)).await, Some(StatusCode::OK));
    assert!(lab.stop());
    lab.serve();
    assert_eq!(looks(&caller(&lab)).await, Some(StatusCode::OK));
    let twice = lab.verb(&["token", "create", "another", "--certificate", path(&file)]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("E-WRONG-STATE"), "{twice:?}");
    for wrong in ["", "no certificate"] {
        let file = lab.file("wrong.crt", wrong);
        let refused = lab.verb(&["token", "create", "wrong", "--certificate", path(&file)]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("E-INPUT"), "{refused:?}");
    }
}

#[tokio::test]
async fn an_admin_s_certificate_may_nothing_that_a_node_may_and_a_node_s_nothing_that_an_admin_may() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    let node = machine.admitted(&lab).await;
    let admin = with(&lab, &certified(&lab, "alice", &["--scope", "admin"]));
    for call in ALL {
        let path = call.path.replace("{name}", "n1").replace("{cluster}", "c");
        let method = match call.method {
            protocol::calls::Method::Get => Method::GET,
            protocol::calls::Method::Post => Method::POST,
            protocol::calls::Method::Delete => Method::DELETE,
        };
        if matches!(call.who, Who::Node | Who::FormerNode) {
            let status = admin.send(method, &path, &[], Bytes::new()).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{}", call.name);
        } else if call.who.scope().is_some() {
            let status = node.caller.send(method, &path, &[], Bytes::new()).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{}", call.name);
        }
    }
    let secrets = admin.get("/v1/node/secrets?generation=1").await;
    assert!(!secrets.1.to_string().contains("secret of n1"), "{secrets:?}");
}

#[tokio::test]
async fn the_key_of_a_node_or_a_former_one_is_not_taken_as_an_admin_s() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let machine = Machine::new(MAC, "run-1");
    machine.admitted(&lab).await;
    let certificate = CertificateParams::default().self_signed(&machine.key).unwrap().pem();
    let request = json!({ "name": "evil", "scope": "admin", "certificate": certificate });
    let refused = lab.admin().post("/v1/certificates", &request).await;
    assert!(refused.0 == StatusCode::CONFLICT && refused.1.to_string().contains("was a node's"), "{refused:?}");
    lab.verb(&["cluster", "replace", "n1", "--yes", "--force"]);
    assert_eq!(lab.admin().post("/v1/certificates", &request).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn neither_a_ca_s_certificate_nor_a_key_of_the_server_s_own_is_taken_as_an_admin_s() {
    let mut lab = Lab::made("open-lab", &[]);
    let (page, page_key) = (lab.dir().join("page.crt"), lab.dir().join("page.key"));
    let key = KeyPair::generate().unwrap();
    let of_page = CertificateParams::new(vec!["page.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(&page, of_page.pem()).unwrap();
    std::fs::write(&page_key, key.serialize_pem()).unwrap();
    let config = lab.dir().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[https]\n", "[https]\ncertificate = 'page.crt'\nkey = 'page.key'\n"))
        .unwrap();
    lab.serve();
    let issuing = KeyPair::from_pem(&std::fs::read_to_string(lab.dir().join("issuing.key")).unwrap()).unwrap();
    let mut plain = CertificateParams::default();
    plain.is_ca = IsCa::ExplicitNoCa;
    let by_issuing = lab.file("by-issuing.crt", &plain.self_signed(&issuing).unwrap().pem());
    let company = lab.file("company.crt", &own(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).0);
    let as_server = lab.file(
        "as-server.crt",
        &own(|params| {
            params.subject_alt_names.push(rcgen::SanType::URI(protocol::trust::SERVER_ROLE.try_into().unwrap()));
        })
        .0,
    );
    let (ca, own_key) = ("it is a CA's (CA:TRUE)", "its key is this server's own");
    for (file, code, why) in [
        (lab.dir().join("issuing.crt"), "E-INPUT", ca),
        (lab.dir().join("ca.crt"), "E-INPUT", ca),
        (company, "E-INPUT", ca),
        (by_issuing, "E-WRONG-STATE", own_key),
        (as_server, "E-WRONG-STATE", own_key),
        (page, "E-WRONG-STATE", own_key),
    ] {
        let refused = lab.verb(&["token", "create", "evil", "--scope", "admin", "--certificate", path(&file)]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(code) && said.contains(why), "{}: {said}", file.display());
    }
    assert!(!lab.says(&["token", "list"]).contains("evil"));
}

#[tokio::test]
async fn no_service_that_trusts_the_ca_of_the_nodes_takes_an_admin_s_certificate() {
    let lab = Lab::open();
    let (chain, _) = identity(&certified(&lab, "alice", &["--scope", "admin"]));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(lab.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let etcd = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    assert!(etcd.verify_client_cert(&chain[0], &chain[1..], UnixTime::now()).is_err());
    let out = lab.dir().join("out");
    lab.says(&["certificate", "--name", "outside", "--address", "10.77.0.1", "--out", path(&out)]);
    let taken = lab.verb(&["token", "create", "outside", "--certificate", path(&out.join("outside.crt"))]);
    assert!(String::from_utf8_lossy(&taken.stderr).contains("every etcd would take it"), "{taken:?}");
}

#[tokio::test]
async fn a_revoked_certificate_loses_the_requests_and_streams_of_its_open_connection() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let files = certified(&lab, "alice", &[]);
    let open = with(&lab, &files);
    assert_eq!(looks(&open).await, Some(StatusCode::OK));
    let stream = open.send(Method::GET, "/v1/nodes/n1/stream", &[], Bytes::new()).await;
    assert_eq!((stream.status(), stream.version()), (StatusCode::OK, hyper::Version::HTTP_2));
    lab.says(&["token", "revoke", "alice"]);
    // The connection is the same one: a new one would fail in the handshake.
    let (status, said) = open.get("/v1/nodes").await;
    assert!(status == StatusCode::FORBIDDEN && said.to_string().contains("no admin's any more"), "{status} {said}");
    drop(tokio::time::timeout(PATIENCE, stream.into_body().collect()).await.expect("the stream ends"));
    let cut_off = async { while looks(&open).await.is_some() {} };
    tokio::time::timeout(PATIENCE, cut_off).await.expect("the connection is closed, and another one is refused");
    assert_eq!(looks(&with(&lab, &files)).await, None);
}

#[tokio::test]
async fn a_certificate_ends_when_it_was_made_to() {
    let lab = Lab::open();
    let files = certified(&lab, "short", &["--expires", "2s"]);
    let open = with(&lab, &files);
    assert_eq!(looks(&open).await, Some(StatusCode::OK));
    tokio::time::sleep(Duration::from_millis(2600)).await;
    assert_eq!(looks(&open).await, Some(StatusCode::FORBIDDEN));
    assert_ne!(looks(&with(&lab, &files)).await, Some(StatusCode::OK));
    let (pem, ended) = own(|params| {
        let hour = time::Duration::hours(1);
        (params.not_before, params.not_after) =
            (time::OffsetDateTime::now_utc() - hour * 2, time::OffsetDateTime::now_utc() - hour);
    });
    let file = lab.file("ended.crt", &pem);
    let refused = lab.verb(&["token", "create", "ended", "--certificate", path(&file)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it ended"), "{refused:?}");
    assert_eq!(looks(&lab.caller(Some(ended), None)).await, None);
}

#[tokio::test]
async fn a_request_of_another_page_changes_nothing_by_the_certificate_that_the_browser_shows() {
    let lab = Lab::open();
    let admin = with(&lab, &certified(&lab, "alice", &["--scope", "admin"]));
    let revoke = async |site: &str| {
        admin.send(Method::DELETE, "/v1/tokens/victim", &[("sec-fetch-site", site)], Bytes::new()).await.status()
    };
    lab.says(&["token", "create", "victim"]);
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(revoke(site).await, StatusCode::FORBIDDEN, "{site}");
        let push = admin.send(Method::PUT, "/cache/log/x", &[("sec-fetch-site", site)], Bytes::new()).await;
        assert_eq!(push.status(), StatusCode::UNAUTHORIZED, "{site}");
    }
    assert!(lab.says(&["token", "list"]).contains("victim"));
    assert_eq!(revoke("same-origin").await, StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_s_public_key_is_no_token() {
    let lab = Lab::open();
    let (chain, _) = identity(&certified(&lab, "alice", &["--scope", "admin"]));
    let key = host::certificate::Certificate::read(&chain[0]).unwrap().spki;
    for guess in [key.hex(), data_encoding::BASE64.encode(&key.0), lab.ca_pem().lines().nth(1).unwrap().to_owned()] {
        assert_eq!(lab.caller(None, Some(guess)).get("/v1/nodes").await.0, StatusCode::FORBIDDEN);
    }
}
