use super::{
    make::{self, Permit},
    *,
};
use crate::{
    state::beliefs::Revoked,
    trust::{
        folder::{ISSUING, ISSUING_KEY, MANIFEST_KEY, ROOT, ROOT_KEY},
        manifest::ManifestKey,
    },
};
use host::{certificate::Certificate, http::pem};
use protocol::trust::SERVER_ROLE;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::UnixTime,
    server::WebPkiClientVerifier,
};
use std::{fs, net::IpAddr, process::Command, sync::Arc};
use time::macros::datetime;

fn now() -> Timestamp {
    Timestamp::from_unix_timestamp(Timestamp::now_utc().unix_timestamp()).unwrap()
}

/// A folder with a root whose key is elsewhere, and who issues for it.
fn folder(permits: &[&str]) -> tempfile::TempDir {
    folder_of(permits, now())
}

/// One that was made then.
fn folder_of(permits: &[&str], now: Timestamp) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (root, root_key) = make::root(now).unwrap();
    let permits: Vec<Permit> = permits.iter().map(|permit| permit.parse().unwrap()).collect();
    let permits = make::with_own(&permits, IpAddr::from([10, 77, 0, 1]));
    let (issuing, issuing_key) = make::issuing(&root, &root_key, &permits, now).unwrap();
    for (name, content) in [(ROOT, root), (ISSUING, issuing), (ISSUING_KEY, issuing_key), ("elsewhere", root_key)] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    fs::write(dir.path().join(MANIFEST_KEY), manifest_key()).unwrap();
    dir
}

fn manifest_key() -> String {
    data_encoding::BASE64.encode(&ManifestKey::create().unwrap())
}

fn ca(permits: &[&str]) -> (tempfile::TempDir, Ca) {
    let dir = folder(permits);
    let ca = Ca::load(dir.path()).unwrap();
    (dir, ca)
}

fn csr(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What `openssl verify` says of a chain under a root.
#[expect(clippy::disallowed_methods, reason = "a test asks another implementation")]
fn openssl(dir: &Path, chain: &[CertificateDer<'_>], root: &CertificateDer<'_>) -> bool {
    let file = |name: &str, certificates: &[CertificateDer<'_>]| {
        let path = dir.join(name);
        fs::write(&path, pem::encode(certificates)).unwrap();
        path
    };
    let (leaf, others) = (file("leaf.pem", &chain[..1]), file("others.pem", &chain[1..]));
    let root = file("root.pem", std::slice::from_ref(root));
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-x509_strict", "-purpose", "sslserver"]).arg("-CAfile").arg(root);
    verify.arg("-untrusted").arg(others).arg(leaf).output().unwrap().status.success()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test asks another implementation")]
fn a_revoked_certificate_is_refused_by_the_list_and_another_is_not() {
    let (dir, ca) = ca(&[]);
    let leaf = || ca.authority().issue_with_key("n1", &names(&["n1"]), now(), Duration::days(7)).unwrap().0;
    let (revoked, other) = (leaf(), leaf());
    let entry = Revoked { serial: revoked.serial.clone(), since: now() };
    let list = ca.authority().revocation_list(&[entry], now()).unwrap();
    let file = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let (list, root) = (file("ca.crl", &list), dir.path().join(ROOT));
    let verified = |issued: &Issued| {
        let leaf = file("leaf.pem", &issued.chain_pem);
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-crl_check", "-CAfile"]).arg(&root).arg("-CRLfile").arg(&list);
        verify.arg("-untrusted").arg(dir.path().join(ISSUING)).arg(leaf).output().unwrap().status.success()
    };
    assert_eq!((verified(&other), verified(&revoked)), (true, false));
}

#[test]
fn the_server_has_a_new_certificate_before_the_old_one_ends_and_after_the_clock_was_wrong() {
    let made = now();
    for (since, due) in [(0, false), (19, false), (21, true), (31, true), (400, true), (-1, true), (-400, true)] {
        assert_eq!(server_renewal_is_due(made, made + Duration::days(since)), due, "{since} days");
    }
    assert!(!server_renewal_is_due(made, made - Duration::minutes(1)), "a clock that is stepped back a little");
}

#[test]
fn a_csr_that_asks_to_be_a_ca_an_admin_and_another_name_gets_a_certificate_of_the_node() {
    let greedy = csr(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.subject_alt_names = vec![
            rcgen::SanType::DnsName("evil.example".try_into().unwrap()),
            rcgen::SanType::URI(SERVER_ROLE.try_into().unwrap()),
        ];
    });
    let key = csr_key(&greedy).unwrap();
    let (_dir, ca) = ca(&[]);
    let issued = ca.authority().issue("n1", &names(&["n1", "10.0.0.1"]), &key.spki, now(), Duration::days(7)).unwrap();
    let leaf = Certificate::read(&issued.chain[0]).unwrap();
    assert_eq!((leaf.is_ca, leaf.subject.as_str(), leaf.spki), (false, "CN=n1", key.hash()));
    assert_eq!((leaf.dns_names, leaf.uris), (names(&["n1"]), vec![]), "the server's role is nobody else's");
    assert_eq!((leaf.until - now(), leaf.from < now()), (Duration::days(7), true));
}

#[test]
fn the_root_is_pinned_presented_and_not_needed_to_issue() {
    let (dir, ca) = ca(&[]);
    assert!(!dir.path().join(ROOT_KEY).exists());
    let (chain, _) = ca.authority().server_identity(&names(&["10.77.0.1"]), now()).unwrap();
    let read: Vec<_> = chain.iter().map(|one| Certificate::read(one).unwrap()).collect();
    assert_eq!((read.len(), read[2].spki), (3, ca.spki()));
    assert_eq!(read[0].uris, [SERVER_ROLE]);
    assert!(read[1].is_ca && read[2].is_ca && read[1].issuer == read[2].subject);
    let serials: std::collections::HashSet<_> = read.iter().map(|one| one.serial.len()).collect();
    assert_eq!(serials, [32].into(), "random, of one length");
    assert!(openssl(dir.path(), &chain, &chain[2]));
}

#[test]
fn a_folder_of_an_earlier_release_whose_root_issues_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    fs::write(dir.path().join(ROOT), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(dir.path().join(ROOT_KEY), key.serialize_pem()).unwrap();
    fs::write(dir.path().join(MANIFEST_KEY), manifest_key()).unwrap();
    let ca = Ca::load(dir.path()).unwrap();
    let (issued, _) = ca.authority().issue_with_key("n1", &names(&["n1"]), now(), Duration::days(7)).unwrap();
    assert_eq!(issued.chain.len(), 2);
    assert!(openssl(dir.path(), &issued.chain, &issued.chain[1]));
}

#[test]
fn another_ca_in_the_middle_is_refused_even_under_the_same_name() {
    let (ours, other) = (folder(&[]), folder(&[]));
    fs::copy(other.path().join(ROOT), ours.path().join(ROOT)).unwrap();
    assert!(Ca::load(ours.path()).is_err(), "the issuing certificate of another root");
    // The same name, another key.
    let real = pem::certificates(&folder(&[]).path().join(ROOT)).unwrap();
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let subject = Certificate::read(&real[0]).unwrap().subject;
    params.distinguished_name.push(DnType::CommonName, subject.trim_start_matches("CN="));
    let false_root = params.self_signed(&root_key).unwrap();
    let (issuing, key) = make::issuing(&false_root.pem(), &root_key.serialize_pem(), &[], now()).unwrap();
    let chain = vec![pem::decode(&issuing).unwrap().remove(0), real[0].clone()];
    assert!(Authority::of(chain, KeyPair::from_pem(&key).unwrap()).is_err());
}

#[test]
fn a_leaf_that_is_used_as_a_ca_is_refused() {
    let (dir, ca) = ca(&[]);
    let (leaf, key) = ca.authority().issue_with_key("n1", &names(&["n1"]), now(), Duration::days(7)).unwrap();
    let pem_key = key.serialize_pem();
    assert!(Authority::of(leaf.chain.clone(), key).is_err());
    // An issuing certificate that issues another one.
    let issuing = pem::encode(&leaf.chain[1..2]);
    let issuing_key = fs::read_to_string(dir.path().join(ISSUING_KEY)).unwrap();
    let (deeper, deeper_key) = make::issuing(&issuing, &issuing_key, &[], now()).unwrap();
    let chain = vec![pem::decode(&deeper).unwrap().remove(0), leaf.chain[1].clone(), leaf.chain[2].clone()];
    assert!(Authority::of(chain, KeyPair::from_pem(&deeper_key).unwrap()).is_err());
    fs::write(dir.path().join(ISSUING_KEY), pem_key).unwrap();
    assert!(Ca::load(dir.path()).unwrap_err().cause.contains("not that of"), "a key of another");
}

#[test]
fn names_outside_of_what_the_ca_permits_are_known_before_they_are_issued_and_are_in_no_certificate() {
    let (dir, ca) = ca(&["cluster.example", "10.77.0.0/16"]);
    let asked =
        names(&["n1", "n1.cluster.example", "evil.example", "10.77.3.4", "192.0.2.1", "localhost", "127.0.0.1"]);
    assert_eq!(ca.authority().refused(&asked), ["n1", "evil.example", "192.0.2.1"]);
    let (issued, _) = ca.authority().issue_with_key("n1", &asked, now(), Duration::days(7)).unwrap();
    assert_eq!(Certificate::read(&issued.chain[0]).unwrap().dns_names, ["n1.cluster.example", "localhost"]);
    assert!(openssl(dir.path(), &issued.chain, &issued.chain[2]));
    // Names alone leave addresses free, and the other way round.
    let (dir, ca) = super::tests::ca(&["cluster.example"]);
    assert_eq!(ca.authority().refused(&asked), ["n1", "evil.example"]);
    let (chain, _) = ca.authority().server_identity(&names(&["10.77.0.1", "localhost"]), now()).unwrap();
    assert!(openssl(dir.path(), &chain, &chain[2]));
    assert_eq!(super::tests::ca(&["10.77.0.0/16"]).1.authority().refused(&asked), ["192.0.2.1"]);
    assert_eq!(super::tests::ca(&[]).1.authority().refused(&asked), [""; 0]);
}

#[test]
fn nothing_outlives_who_issued_it_and_nothing_is_issued_after_that() {
    let (_dir, ca) = ca(&[]);
    let ends = ca.authority().certificates()[0].until;
    let late =
        ca.authority().issue_with_key("n1", &names(&["n1"]), ends - Duration::HOUR, Duration::days(7)).unwrap().0;
    assert_eq!(late.not_after, ends);
    let failure = ca.authority().issue_with_key("n1", &names(&["n1"]), ends, Duration::days(7)).unwrap_err();
    assert!(failure.code == protocol::Code::Tls && failure.remedy.contains("ca renew"), "{failure}");
}

#[test]
fn a_new_issuing_certificate_is_taken_while_the_server_runs_and_a_broken_one_is_not() {
    let (dir, ca) = ca(&[]);
    assert!(!ca.reload().unwrap());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let (issuing, key) = make::issuing(&read(ROOT), &read("elsewhere"), &[], now()).unwrap();
    fs::write(dir.path().join(ISSUING), issuing).unwrap();
    let before = ca.authority().chain().to_vec();
    assert!(ca.reload().is_err());
    assert_eq!(ca.authority().chain(), before);
    fs::write(dir.path().join(ISSUING_KEY), key).unwrap();
    assert!(ca.reload().unwrap());
    assert_ne!(ca.authority().chain()[0], before[0]);
    assert_eq!(ca.authority().chain()[1], before[1], "the root is the same");
}

#[test]
fn what_a_company_s_ca_excludes_is_known_as_well() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![],
        excluded_subtrees: vec![rcgen::GeneralSubtree::DnsName("secret.example".to_owned())],
    });
    let root = params.self_signed(&key).unwrap();
    let (issuing, issuing_key) = make::issuing(&root.pem(), &key.serialize_pem(), &[], now()).unwrap();
    let chain = vec![pem::decode(&issuing).unwrap().remove(0), root.der().clone()];
    let authority = Authority::of(chain, KeyPair::from_pem(&issuing_key).unwrap()).unwrap();
    assert_eq!(authority.refused(&names(&["n1.secret.example", "n1.example"])), ["n1.secret.example"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test asks another implementation")]
fn certificates_made_in_1970_after_2038_and_in_2099_are_taken_then_and_no_longer_than_they_last() {
    for at in [
        datetime!(1970-01-01 0:00:10 UTC),
        datetime!(1970-01-01 2:00 UTC),
        datetime!(2038-01-19 3:14:00 UTC),
        datetime!(2038-02-01 0:00 UTC),
        // From 2050 on, X.509 writes times in another way.
        datetime!(2049-12-30 0:00 UTC),
        datetime!(2099-12-31 23:59:59 UTC),
    ] {
        let dir = folder_of(&["n1", "10.77.0.0/16"], at);
        let ca = Ca::load(dir.path()).unwrap();
        let authority = ca.authority();
        let (node, _) = authority.issue_with_key("n1", &names(&["n1"]), at, Duration::days(7)).unwrap();
        let (server, _) = authority.server_identity(&names(&["10.77.0.1"]), at).unwrap();
        assert_eq!(Certificate::read(&node.chain[0]).unwrap().until, at + Duration::days(7));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(host::http::store(&ca.roots()).unwrap());
        let of_nodes = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build().unwrap();
        let of_servers = WebPkiServerVerifier::builder_with_provider(roots, provider).build().unwrap();
        for (after, good) in [(Duration::ZERO, true), (Duration::days(6), true), (Duration::days(8), false)] {
            let then = UnixTime::since_unix_epoch((at + after - Timestamp::UNIX_EPOCH).unsigned_abs());
            let taken = of_nodes.verify_client_cert(&node.chain[0], &node.chain[1..], then);
            assert_eq!(taken.is_ok(), good, "{at}, {after} later: {taken:?}");
            let name = "10.77.0.1".try_into().unwrap();
            let taken = of_servers.verify_server_cert(&server[0], &server[1..], &name, &[], then);
            assert!(taken.is_ok(), "{at}, {after} later: {taken:?}");
        }

        let list = authority.revocation_list(&[Revoked { serial: node.serial.clone(), since: at }], at).unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let (leaf, list) = (file("leaf.pem", &node.chain_pem), file("ca.crl", &list));
        let verified = |more: &[&std::ffi::OsStr]| {
            let mut verify = Command::new("openssl");
            verify.args(["verify", "-attime", &at.unix_timestamp().to_string(), "-CAfile"]).arg(dir.path().join(ROOT));
            verify.arg("-untrusted").arg(dir.path().join(ISSUING)).args(more).arg(&leaf);
            let output = verify.output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        assert!(verified(&[]).ends_with("OK\n"), "{at}: {}", verified(&[]));
        let revoked = verified(&["-crl_check".as_ref(), "-CRLfile".as_ref(), list.as_ref()]);
        assert!(revoked.contains("certificate revoked"), "{at}: {revoked}");
    }
}
