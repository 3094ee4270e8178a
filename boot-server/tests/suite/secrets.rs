//! Secrets of nodes at rest.

use super::{
    earlier,
    lab::{BINARY, Lab},
    machine::Machine,
};
use protocol::manifest::SecretBundle;
use serde_json::Value;
use std::{io::Write, path::PathBuf, process::Command};

const MAC: &str = "52:54:00:00:00:01";

/// Files of the server's folder that have the text.
fn with(lab: &Lab, text: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(lab.dir()).unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    entries.filter(|path| path.is_file()).filter(has).collect()
}

#[tokio::test]
async fn a_secret_is_in_no_file_of_the_server_and_is_handed_out_to_its_node_after_a_restart() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    lab.apply("n1", MAC);
    assert_eq!(with(&lab, "secret of n1"), Vec::<PathBuf>::new());
    assert!(!with(&lab, "52:54:00:00:00:01").is_empty(), "the rest of the spec is there");
    assert!(lab.stop());
    assert_eq!(with(&lab, "secret of n1"), Vec::<PathBuf>::new());
    lab.serve();
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let (_, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
    let contents = bundle["files"].as_array().unwrap().iter().map(|file| file["content"].clone());
    assert!(contents.clone().any(|content| content == "secret of n1"), "{:?}", contents.collect::<Vec<Value>>());
    assert!(!lab.describe("n1").to_string().contains("secret of n1"));
}

#[tokio::test]
async fn what_an_earlier_release_left_in_the_clear_is_sealed_and_leaves_no_trace() {
    let mut lab = earlier::opened(6).await;
    for name in ["member", "installing", "expected"] {
        assert_eq!(with(&lab, &format!("secret of {name}")), Vec::<PathBuf>::new());
    }
    assert!(lab.stop());
    assert_eq!(with(&lab, "secret of"), Vec::<PathBuf>::new());
}

#[test]
fn a_server_whose_key_is_gone_does_not_start_and_says_what_brings_it_back() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    assert!(lab.stop());
    let (key, aside) = (lab.dir().join("secrets.key"), lab.dir().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let serve =
        || Command::new(BINARY).args(["serve", "--config"]).arg(lab.dir().join("config.toml")).output().unwrap();
    let refused = serve();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("E-CONFIG") && said.contains("bring secrets.key back"),
        "{said}"
    );
    assert!(!key.exists(), "no other key is made");
    std::fs::rename(aside, key).unwrap();
    lab.serve();
    assert_eq!(lab.state_of("n1"), "expected");
}

/// The files that a node is handed out, by path.
async fn handed_out(lab: &Lab, run: &str) -> std::collections::BTreeMap<String, String> {
    handed_out_to(lab, &Machine::new(MAC, run)).await
}

async fn handed_out_to(lab: &Lab, machine: &Machine) -> std::collections::BTreeMap<String, String> {
    let node = machine.admitted(lab).await;
    node.manifest(lab).await;
    let (_, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
    let files = bundle["files"].as_array().unwrap().iter();
    files.map(|file| (text(&file["path"]), text(&file["content"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn file(lab: &Lab, name: &str, content: &str) -> String {
    let path = lab.dir().parent().unwrap().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn secrets_apart_from_the_spec_reach_their_node_alone_and_the_server_s_own_are_seen_by_nobody() {
    let lab = Lab::open();
    let psk = file(&lab, "psk", "hunter2-of-n1");
    lab.says(&["secret", "set", "n1", "wifi.psk", "--file", &psk]);
    lab.says(&["secret", "set", "n2", "wifi.psk", "--file", &file(&lab, "other", "hunter2-of-n2")]);
    let said = lab.says(&["secret", "generate", "n1", "luks.key", "--bytes", "32"]);
    assert_eq!(said, "node n1 gets /etc/nixos/secrets/luks.key at its next installation\n");
    lab.apply("n1", MAC);
    let list = lab.says(&["secret", "list", "n1"]);
    for words in [["wifi.psk", "secret set"], ["luks.key", "secret generate"], ["/own", "its spec"]] {
        assert!(list.lines().any(|line| words.iter().all(|word| line.contains(word))), "{list}");
    }
    let files = handed_out(&lab, "run-1").await;
    assert_eq!(files["/etc/nixos/secrets/wifi.psk"], "hunter2-of-n1");
    let made = &files["/etc/nixos/secrets/luks.key"];
    assert_eq!(data_encoding::BASE64.decode(made.as_bytes()).unwrap().len(), 32);
    assert_eq!(files["/etc/nixos/secrets/own"], "secret of n1");

    let seen = [
        lab.describe("n1").to_string(),
        lab.log(),
        lab.says(&["audit", "export"]),
        lab.says(&["secret", "list", "n1", "--json"]),
        lab.says(&["logs", "n1"]),
    ];
    for secret in ["hunter2-of-n1", made, "secret of n1"] {
        assert_eq!(with(&lab, secret), Vec::<PathBuf>::new());
        assert!(seen.iter().all(|text| !text.contains(secret)));
    }
    assert!(seen[2].contains("secret-set") && seen[2].contains("/etc/nixos/secrets/luks.key"), "{}", seen[2]);
}

#[tokio::test]
async fn a_secret_of_any_bytes_reaches_its_node_as_it_was_and_lies_nowhere_in_the_clear() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    let bytes: Vec<u8> = (0..=255).chain(*b"hunter2 in bytes").collect();
    let keytab = file(&lab, "keytab", "");
    std::fs::write(&keytab, &bytes).unwrap();
    lab.says(&["secret", "set", "n1", "node.keytab", "--file", &keytab]);
    lab.says(&["secret", "set", "n1", "psk", "--file", &file(&lab, "psk", "ünicode\n")]);
    assert!(lab.stop());
    lab.serve();
    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let (_, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
    let bundle: SecretBundle = serde_json::from_value(bundle).unwrap();
    let of = |name: &str| bundle.files.iter().find(|file| file.path.ends_with(name)).unwrap();
    assert_eq!(of("node.keytab").content.as_bytes(), bytes);
    let text = serde_json::to_value(of("psk")).unwrap();
    assert_eq!(text["content"], "ünicode\n", "a text goes as it always did, for agents of earlier releases");
    let encoded = data_encoding::BASE64.encode(&bytes);
    for trace in ["hunter2 in bytes", &encoded[..40], &encoded[8..48]] {
        assert_eq!(with(&lab, trace), Vec::<PathBuf>::new());
        assert!(!lab.log().contains(trace) && !lab.describe("n1").to_string().contains(trace));
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_said_and_noted_so_and_none_is_drawn_over_another_by_mistake() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let set = |content: &str| lab.says(&["secret", "set", "n1", "psk", "--file", &file(&lab, "psk", content)]);
    assert_eq!(set("first-hunter2"), "node n1 gets /etc/nixos/secrets/psk at its next installation\n");
    assert!(set("other-hunter2").ends_with("; it has replaced the one before\n"));
    lab.says(&["secret", "generate", "n1", "/etc/nixos/secrets/disk.key"]);
    for name in ["disk.key", "psk"] {
        let refused = lab.verb(&["secret", "generate", "n1", name]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let told = ["E-WRONG-STATE", "opens with it alone", "--replace"];
        assert!(!refused.status.success() && told.iter().all(|text| said.contains(text)), "{said}");
    }
    assert!(lab.says(&["secret", "generate", "n1", "disk.key", "--replace"]).contains("replaced"));
    lab.says(&["secret", "delete", "n1", "psk"]);

    let audit = lab.says(&["audit", "export"]);
    let entries: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |action: &str| entries.iter().filter(move |entry| entry["action"] == action).collect::<Vec<_>>();
    let [first, second, drawn, again] = of("secret-set")[..] else { panic!("{audit}") };
    assert!(first["before"].is_null() && drawn["before"].is_null(), "{audit}");
    for (entry, path) in [(second, "/etc/nixos/secrets/psk"), (again, "/etc/nixos/secrets/disk.key")] {
        let before = &entry["before"];
        assert!(before["path"] == path && before["by"] == "admin" && before["set"].is_string(), "{entry}");
        assert!(text(&entry["text"]).starts_with("replaced the secret"), "{entry}");
    }
    assert_eq!(of("secret-deleted")[0]["before"]["by"], "admin");
    // Neither what they were, nor what could be compared with a guess.
    for content in ["first-hunter2", "other-hunter2"] {
        assert!(!audit.contains(content) && !audit.contains(&protocol::encoding::Sha256::of(content.as_bytes()).hex()));
    }
    let key = &handed_out(&lab, "run-1").await["/etc/nixos/secrets/disk.key"];
    assert!(!audit.contains(key));
}

#[tokio::test]
async fn no_secret_is_in_a_backup_without_its_key_and_with_it_all_come_back() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    lab.says(&["secret", "set", "n1", "psk", "--file", &file(&lab, "psk", "hunter2-of-psk")]);
    lab.says(&["secret", "set", "n1", "gone", "--file", &file(&lab, "gone", "hunter2-of-gone")]);
    lab.says(&["secret", "delete", "n1", "gone"]);
    lab.says(&["secret", "generate", "n1", "luks.key"]);
    let machine = Machine::new(MAC, "run-1");
    let files = handed_out_to(&lab, &machine).await;
    let out = lab.dir().parent().unwrap().join("backups").display().to_string();
    lab.says(&["cluster", "backup", "--server-only", "--out", &out]);
    assert!(lab.stop());
    lab.says(&["cluster", "backup", "--server-only", "--out", &format!("{out}/stopped")]);

    let all = files_below(std::path::Path::new(&out));
    let keys: Vec<&PathBuf> = all.iter().filter(|path| path.ends_with("server/secrets.key")).collect();
    let databases = all.iter().filter(|path| path.ends_with("server/state.db")).count();
    assert_eq!((keys.len(), databases), (2, 2), "{all:?}");
    let luks = &files["/etc/nixos/secrets/luks.key"];
    let raw = data_encoding::BASE64.decode(luks.as_bytes()).unwrap();
    let plain = ["secret of n1", "hunter2-of-psk", "hunter2-of-gone", luks];
    let encoded = plain.map(|text| data_encoding::BASE64.encode(text.as_bytes()));
    let wanted = plain.iter().map(|text| text.as_bytes()).chain(encoded.iter().map(|text| text.as_bytes()));
    for secret in wanted.chain([&raw[..]]) {
        for path in all.iter().filter(|path| !keys.contains(path)) {
            let bytes = std::fs::read(path).unwrap();
            let has = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!has, "{} has {:?}", path.display(), String::from_utf8_lossy(secret));
        }
    }

    let from = keys[0].parent().unwrap().parent().unwrap().display().to_string();
    lab.says(&["cluster", "restore", "--from", &from, "--force"]);
    let key = lab.dir().join("secrets.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let check = Command::new(BINARY).args(["serve", "--check", "--config"]).arg(lab.dir().join("config.toml")).output();
    assert!(String::from_utf8_lossy(&check.unwrap().stderr).contains("bring secrets.key back"));
    std::fs::write(&key, kept).unwrap();
    lab.serve();
    assert_eq!(handed_out_to(&lab, &machine).await, files);
}

/// Every file below a folder.
fn files_below(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// What all processes were called with.
fn called_with() -> Vec<u8> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let read = |path: PathBuf| ["cmdline", "environ"].map(|name| std::fs::read(path.join(name)).unwrap_or_default());
    processes.flat_map(read).flatten().collect()
}

#[tokio::test]
async fn no_process_is_called_with_a_secret_while_it_is_set_handed_out_and_a_hook_runs() {
    let mut lab = Lab::made("open-lab", &[]);
    // A hook shows by its own words what it was given, and what stood in the list of processes while it ran.
    let seen = lab.dir().join("seen");
    let hook = file(
        &lab,
        "hook",
        &format!("#!/bin/sh\ncat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >{} 2>/dev/null || :\n", seen.display()),
    );
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    lab.configure("open-lab", &format!("[power]\ncommand = '{hook}'\n"));
    lab.serve();
    // No other test has it.
    let secret = format!("hunter2-{:x}", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let mut spec = super::lab::spec("n1", MAC);
    spec["secrets"][0]["content"] = secret.clone().into();
    lab.apply_spec(&spec);
    let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());

    // It waits for its standard input: by then it has been called.
    let mut set = Command::new(BINARY)
        .args(["secret", "set", "n1", "psk", "--file", "-", "--dir"])
        .arg(lab.dir())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = set.stdin.take().unwrap();
    stdin.write_all(secret.as_bytes()).unwrap();
    let listed = loop {
        let listed = called_with();
        if listed.windows(12).any(|window| window == b"secret\0set\0n") {
            break listed;
        }
        assert!(set.try_wait().unwrap().is_none(), "it waits for the end of what it is given");
    };
    assert!(!has(&listed));
    drop(stdin);
    assert!(set.wait().unwrap().success());

    let node = Machine::new(MAC, "run-1").admitted(&lab).await;
    node.manifest(&lab).await;
    let (_, bundle) = node.caller.get("/v1/node/secrets?generation=1").await;
    assert!(has(bundle.to_string().as_bytes()), "it was handed out");
    lab.says(&["power", "n1", "on"]);
    let seen = std::fs::read(seen).unwrap();
    assert!(seen.windows(13).any(|window| window == b"CENTRA_NODE_I"), "the hook saw itself");
    assert!(!has(&seen) && !has(&called_with()));
}

#[tokio::test]
async fn a_secret_is_deleted_where_no_layout_needs_it_and_has_one_truth() {
    let lab = Lab::open();
    let content = file(&lab, "content", "x");
    lab.apply("n1", MAC);
    let refused = |arguments: &[&str], why: &str| {
        let output = lab.verb(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains(why), "{arguments:?}: {stderr}");
    };
    refused(&["secret", "set", "n1", "own", "--file", &content], "its spec has one at this path");
    refused(&["secret", "set", "n1", "/root/x", "--file", &content], "is not below /etc/nixos/secrets/");
    refused(&["secret", "set", "n1", "/etc/nixos/secrets/../x", "--file", &content], "not an absolute path");
    refused(&["secret", "set", "n1", "x", "--mode", "0444", "--file", &content], "lets others than its owner");
    refused(&["secret", "set", "n1", "x", "--file", &file(&lab, "empty", "")], "0 bytes");
    refused(&["secret", "generate", "n1", "x", "--bytes", "8"], "8 bytes, not 16 to 4096");
    refused(&["secret", "delete", "n1", "x"], "there is none");
    lab.says(&["secret", "generate", "n2", "/tmp/luks.key"]);
    let mut spec = super::lab::spec("n2", "52:54:00:00:00:02");
    let luks = serde_json::json!({"type": "luks", "name": "crypt", "settings": {"keyFile": "/tmp/luks.key"},
        "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/"}});
    let partitions = serde_json::json!({"root": {"size": "100%", "content": luks}});
    spec["disks"]["devices"]["disk"]["main"]["content"] = serde_json::json!({"type": "gpt", "partitions": partitions});
    lab.apply_spec(&spec);
    refused(&["secret", "delete", "n2", "/tmp/luks.key"], "names it as the key of a device");
    spec["secrets"] = serde_json::json!([{"path": "/tmp/luks.key", "mode": "0400", "content": "other"}]);
    std::fs::write(&content, spec.to_string()).unwrap();
    refused(&["apply", "-f", &content], "was set by boot-server secret; delete it there first");
}

#[tokio::test]
async fn a_file_of_age_is_opened_on_the_admin_s_machine() {
    let lab = Lab::open();
    lab.apply("n1", MAC);
    let (identity, sealed) = (file(&lab, "identity", ""), file(&lab, "psk.age", ""));
    std::fs::remove_file(&identity).unwrap();
    let made = Command::new("age-keygen").args(["-o", &identity]).output().unwrap();
    let recipient = String::from_utf8(made.stderr).unwrap().trim().rsplit(' ').next().unwrap().to_owned();
    let plain = file(&lab, "plain", "hunter2 of age\n");
    let status = Command::new("age").args(["-r", &recipient, "-o", &sealed, &plain]).status().unwrap();
    assert!(status.success());
    lab.says(&["secret", "set", "n1", "psk", "--file", &sealed, "--age-identity", &identity]);
    assert_eq!(handed_out(&lab, "run-1").await["/etc/nixos/secrets/psk"], "hunter2 of age\n");
    let other = lab.verb(&["secret", "set", "n1", "psk", "--file", &plain, "--age-identity", &identity]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("E-TOOL"), "{other:?}");
}

#[tokio::test]
async fn a_stolen_database_with_the_key_of_before_a_rekey_shows_nothing_and_the_server_goes_on() {
    let mut lab = Lab::open();
    lab.apply("n1", MAC);
    lab.says(&["secret", "set", "n1", "psk", "--file", &file(&lab, "psk", "hunter2")]);
    let key = || std::fs::read_to_string(lab.dir().join("secrets.key")).unwrap();
    let before = key();
    assert!(lab.says(&["secret", "rekey"]).starts_with("the secrets of 1 nodes are sealed with a new key"));
    assert!(key() != before && key().lines().count() == 1);
    assert!(lab.stop());
    let current = std::fs::read_to_string(lab.dir().join("secrets.key")).unwrap();
    std::fs::write(lab.dir().join("secrets.key"), &before).unwrap();
    let serve = Command::new(BINARY).args(["serve", "--config"]).arg(lab.dir().join("config.toml")).output().unwrap();
    assert!(!serve.status.success() && String::from_utf8_lossy(&serve.stderr).contains("another key"), "{serve:?}");
    // Broken off between two steps, both keys are there.
    std::fs::write(lab.dir().join("secrets.key"), format!("{current}{before}")).unwrap();
    lab.serve();
    lab.says(&["secret", "rekey"]);
    assert_eq!(handed_out(&lab, "run-1").await["/etc/nixos/secrets/psk"], "hunter2");
}
