//! The command line: set-up, mistakes, certificates.

use super::lab::{BINARY, Lab, path, spec};
use std::{os::unix::fs::PermissionsExt, process::Command};

const MAC: &str = "52:54:00:00:00:01";

#[test]
fn init_makes_private_keys_private_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("site");
    let init = || Command::new(BINARY).arg("init").arg(&dir).args(["--address", "10.77.0.1"]).output().unwrap();
    let made = init();
    assert!(made.status.success(), "{made:?}");
    for secret in ["ca.key", "issuing.key", "manifest.key", "secrets.key", "admin.token", "state.db"] {
        let mode = std::fs::metadata(dir.join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let token = std::fs::read_to_string(dir.join("admin.token")).unwrap();
    assert!(token.trim().len() >= 22, "at least 128 bit");
    let key = std::fs::read(dir.join("ca.key")).unwrap();
    let again = init();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("what to do: name another folder"));
    assert_eq!(std::fs::read(dir.join("ca.key")).unwrap(), key);
}

#[test]
fn the_first_token_is_printed_once_and_lies_where_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (place, printed, kept) in [("both", true, true), ("file", false, true), ("print", true, false)] {
        let dir = folder.path().join(place);
        let init = Command::new(BINARY)
            .arg("init")
            .arg(&dir)
            .args(["--address", "10.77.0.1", "--first-token", place])
            .output();
        let said = String::from_utf8(init.unwrap().stdout).unwrap();
        let shown = said.lines().map(str::trim).find(|line| line.len() >= 22 && !line.contains([' ', '/']));
        assert_eq!((shown.is_some(), dir.join("admin.token").exists()), (printed, kept), "{place}: {said}");
        if let (Some(shown), true) = (shown, kept) {
            assert_eq!(std::fs::read_to_string(dir.join("admin.token")).unwrap().trim(), shown);
            assert_eq!(said.matches(shown).count(), 1);
        }
        let mut backup = Command::new(BINARY);
        let backup = backup
            .args(["cluster", "backup", "--server-only", "--out"])
            .arg(folder.path().join(format!("backup-{place}")));
        let taken = backup.arg("--dir").arg(&dir).output().unwrap();
        assert!(taken.status.success(), "{place}: {taken:?}");
    }
}

#[test]
fn a_configuration_with_an_unknown_key_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "address = '127.0.0.1'\n[dhcp]\nmodus = 'full'\n").unwrap();
    let refused = Command::new(BINARY).args(["serve", "--config", path(&config)]).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(stderr.contains("E-CONFIG") && stderr.contains("dhcp") && stderr.contains("modus"), "{stderr}");
}

#[test]
fn a_leg_that_cannot_bind_is_named() {
    let lab = Lab::open();
    let taken = lab.port("http");
    let text =
        format!("address = '127.0.0.1'\n[http]\nlisten = '127.0.0.1:{taken}'\n[https]\nlisten = '127.0.0.1:0'\n");
    let config = lab.dir().join("second.toml");
    std::fs::write(&config, text).unwrap();
    let refused = Command::new(BINARY).args(["serve", "--config", path(&config)]).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains(&format!("127.0.0.1:{taken}")), "{stderr}");
}

#[test]
fn a_server_that_does_not_answer_is_said_so() {
    let mut lab = Lab::open();
    assert!(lab.stop());
    let refused = lab.verb(&["get", "nodes"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains("E-SERVER-UNREACHABLE"), "{stderr}");
}

#[test]
fn another_server_s_ca_is_refused() {
    let (lab, other) = (Lab::open(), Lab::open());
    let url = format!("https://127.0.0.1:{}", lab.port("https"));
    let ca = other.dir().join("ca.crt");
    let refused = lab.verb(&["get", "nodes", "--server", &url, "--ca", path(&ca)]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains("E-TLS"), "{stderr}");
}

#[test]
fn apply_says_what_became_of_each_node_and_where_a_file_is_wrong() {
    let lab = Lab::open();
    let file = lab.file("n.json", &spec("n1", MAC).to_string());
    assert_eq!(lab.says(&["apply", "-f", path(&file)]), "node n1 created\n");
    assert_eq!(lab.says(&["apply", "-f", path(&file)]), "node n1 unchanged\n");
    let toml = "[[nodes]]\nname = 'n2'\nmatch = { serial = 'S2' }\n\
        system = { toplevel = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos', substituters = ['http://c'], \
        trusted_public_keys = ['k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='] }\n\
        disks.devices.disk.main.type = 'disk'\ndisks.devices.disk.main.device = '/dev/vda'\n";
    let file = lab.file("n.toml", toml);
    assert_eq!(lab.says(&["apply", "-f", path(&file)]), "node n2 created\n");
    let file = lab.file("w.toml", &toml.replace("serial", "seriell"));
    let refused = lab.verb(&["apply", "-f", path(&file)]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("nodes[0].match") && stderr.contains("seriell"), "{stderr}");
    assert_eq!(lab.says(&["get", "nodes", "-o", "name"]), "n1\nn2\n");
    let yaml = lab.says(&["get", "nodes", "-o", "yaml"]);
    assert!(
        yaml.starts_with("- ")
            && yaml.contains(
                "  state: expected
"
            ),
        "{yaml}"
    );
    let wait = lab.verb(&["wait", "n1", "--for", "ready", "--timeout", "0"]);
    assert!(String::from_utf8_lossy(&wait.stderr).contains("it is expected"), "{wait:?}");
}

#[test]
fn a_certificate_for_a_member_outside_is_signed_by_the_ca_and_names_it() {
    let lab = Lab::open();
    let out = lab.dir().join("outside");
    lab.says(&["certificate", "--name", "outside", "--address", "10.77.0.1", "--out", path(&out)]);
    let mode = std::fs::metadata(out.join("outside.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(out.join("ca.crt")).unwrap().trim(), lab.ca_pem().trim().replace('\r', ""));
    let again = || lab.verb(&["certificate", "--name", "outside", "--address", "10.77.0.1", "--out", path(&out)]);
    let said = String::from_utf8_lossy(&again().stderr).into_owned();
    assert!(said.contains("it is there already") && said.contains("name another file or folder"), "{said}");
    std::fs::remove_file(out.join("outside.key")).unwrap();
    assert!(!again().status.success() && !out.join("outside.key").exists(), "no key is left without its certificate");
}

#[test]
fn files_of_the_command_line_that_are_missing_or_in_the_way_are_told_with_what_helps() {
    let lab = Lab::open();
    let (ca, crt, key) = (lab.dir().join("ca.crt"), lab.file("alice.crt", ""), lab.file("psk", "x"));
    std::fs::copy(&ca, &crt).unwrap();
    let missing = lab.dir().join("missing");
    let (base, other) = (path(&crt).trim_end_matches(".crt"), path(&missing));
    let (nothing, psk) = ("check the path: there is nothing there", path(&key));
    for (words, remedy) in [
        (vec!["get", "nodes", "--client-cert", path(&ca), "--client-key", other], nothing),
        (vec!["get", "nodes", "--client-cert", other, "--client-key", psk], "name a PEM file"),
        (vec!["get", "nodes", "--ca", other], nothing),
        (vec!["token", "create", "alice", "--client-certificate", base], "name another file"),
        (
            vec!["secret", "set", "n1", "psk", "--sops", "--file", psk],
            "install sops on this machine, or decrypt elsewhere",
        ),
        (vec!["secret", "set", "n1", "psk", "--age-identity", psk, "--file", psk], "install age on this machine"),
    ] {
        // Neither is there.
        let mut command = Command::new(BINARY);
        let output = command.args(&words).arg("--dir").arg(lab.dir()).env("PATH", "/nonexistent").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(remedy), "{words:?}: {said}");
        assert!(!said.contains("trust.json") && !said.contains("read the cause"), "{words:?}: {said}");
    }
    assert!(!std::path::Path::new(&format!("{base}.key")).exists(), "no key is left without its certificate");
    let no_server = ["certificate", "--name", "x", "--address", "10.0.0.1", "--out", other, "--dir", other];
    let output = Command::new(BINARY).args(no_server).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("name the folder that boot-server init has made") && !missing.exists(), "{said}");
}
