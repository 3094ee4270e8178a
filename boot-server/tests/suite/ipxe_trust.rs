//! An iPXE that fetches over HTTPS and reads RSA alone, as openssl and curl play it.

use super::lab::{Lab, path};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

fn root(lab: &Lab) -> PathBuf {
    lab.dir().join("ipxe-trust/ca.crt")
}

/// TLS 1.2 with what an iPXE of 2024 offers; the server's certificate has to lead to this root.
fn shakes_hands(lab: &Lab, root: &str, more: &[&str]) -> Output {
    let address = format!("127.0.0.1:{}", lab.port("https"));
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-tls1_2", "-verify_return_error", "-verify_ip", "127.0.0.1", "-brief", "-CAfile", root]);
    openssl.args(["-connect", &address]).args(more).stdin(std::process::Stdio::null()).output().unwrap()
}

fn with_rsa_alone(lab: &Lab) -> bool {
    let alone = ["-sigalgs", "RSA+SHA256", "-groups", "X25519"];
    let shaken = shakes_hands(lab, path(&root(lab)), &alone);
    let said = String::from_utf8_lossy(&shaken.stderr).into_owned();
    assert!(!shaken.status.success() || said.contains("Signature type: RSA"), "{said}");
    shaken.status.success()
}

fn until(lab: &Lab, wanted: bool) {
    lab.reload();
    let patience = Instant::now() + Duration::from_secs(20);
    while with_rsa_alone(lab) != wanted {
        assert!(Instant::now() < patience, "{}", lab.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn fetched(lab: &Lab, what: &str) -> Vec<u8> {
    let url = format!("https://127.0.0.1:{}{what}", lab.port("https"));
    let rsa = ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"];
    let mut curl = Command::new("curl");
    let got = curl.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(root(lab)).args(rsa).arg(url).output();
    let got = got.unwrap();
    assert!(got.status.success(), "{got:?}");
    got.stdout
}

#[tokio::test]
async fn who_reads_rsa_alone_boots_over_https_by_a_root_of_its_own_and_everybody_else_is_shown_the_server_s() {
    let lab = Lab::open();
    let own = lab.presented().await;
    assert!(!with_rsa_alone(&lab), "there is no such root");
    let made = lab.says(&["ca", "ipxe"]);
    assert!(made.contains("Made it") && made.contains(&format!("TRUST={}", root(&lab).display())), "{made}");
    let (before, again) = (fs::read(root(&lab)).unwrap(), lab.says(&["ca", "ipxe"]));
    assert!(!again.contains("Made it") && fs::read(root(&lab)).unwrap() == before, "{again}");
    until(&lab, true);
    assert!(lab.says(&["ca", "show"]).contains("centra root of iPXE"));

    let script = String::from_utf8(fetched(&lab, "/boot/ipxe/boot.ipxe")).unwrap();
    let boots = format!("https://127.0.0.1:{}/boot/ipxe/boot.ipxe?", lab.port("https"));
    assert!(script.contains(&boots) && !script.contains("http://"), "{script}");
    let program = "/usr/lib/ipxe/snponly.efi";
    assert_eq!(fetched(&lab, "/boot/ipxe/snponly.efi"), fs::read(program).unwrap());

    assert_eq!(lab.presented().await[1..], own[1..], "who reads ECDSA is shown the CA of the nodes");
    let ca = lab.file("roots.pem", &lab.says(&["ca", "export"]));
    assert!(shakes_hands(&lab, path(&ca), &[]).status.success());
    assert!(!shakes_hands(&lab, path(&root(&lab)), &[]).status.success(), "that root is for nobody else");

    let key = lab.dir().join("ipxe-trust/server.key");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(key).unwrap()) & 0o777, 0o600);
    assert!(lab.says(&["ca", "ipxe", "--remove"]).contains("removed"));
    until(&lab, false);
}
