//! What the server may on its host once it runs.

use super::lab::{BINARY, Lab, path};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

const NOBODY: u32 = 65_534;

/// The lines of every thread's status that say what it may, each once.
fn may(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
    let told = ["Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "NoNewPrivs:"];
    let threads: Vec<Vec<String>> = statuses
        .map(|status| {
            let lines = status.lines().filter(|line| told.iter().any(|name| line.starts_with(name)));
            lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        })
        .collect();
    assert!(threads.len() > 2, "the runtime has threads");
    assert!(threads.iter().all(|thread| *thread == threads[0]), "capabilities are a thread's own: {threads:#?}");
    threads[0].clone()
}

fn hand_over(dir: &Path) {
    chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            hand_over(&entry.path());
        } else {
            chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

/// A lab whose folder is nobody's, on a port that only root may bind, and with this in its configuration.
fn of_nobody(port_69_of: &str, more: &str) -> Lab {
    let lab = Lab::made("open-lab", &[]);
    lab.configure("open-lab", more);
    let config = lab.dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let tftp = format!("[tftp]\nenabled = true\nlisten = '{port_69_of}:69'");
    fs::write(&config, text.replace("[tftp]\nenabled = false", &tftp)).unwrap();
    fs::set_permissions(lab.dir().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    hand_over(&lab.dir());
    lab
}

#[test]
fn a_server_that_is_started_as_root_goes_on_as_the_account_that_is_named_without_any_capability() {
    let mut lab = of_nobody("127.0.0.81", "[server]\nuser = 'nobody'\n");
    lab.serve();
    let none = "0000000000000000";
    assert_eq!(
        may(lab.process()),
        [
            format!("Uid: {NOBODY} {NOBODY} {NOBODY} {NOBODY}"),
            format!("Gid: {NOBODY} {NOBODY} {NOBODY} {NOBODY}"),
            format!("Groups: {NOBODY}"),
            format!("CapInh: {none}"),
            format!("CapPrm: {none}"),
            format!("CapEff: {none}"),
            format!("CapAmb: {none}"),
            "NoNewPrivs: 1".to_owned(),
        ]
    );
    lab.apply("n1", "52:54:00:00:00:01");
    assert_eq!(lab.state_of("n1"), "expected", "it can write its state");
    assert!(lab.log().contains("TFTP on 127.0.0.81:69"), "{}", lab.log());
    assert!(lab.stop());
}

#[test]
fn a_server_that_is_started_with_capabilities_keeps_those_that_listening_anew_needs() {
    let starts = |host: &str, more: &str| {
        let mut lab = of_nobody(host, more);
        let both = "+net_bind_service,+net_raw,+net_admin";
        let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let setpriv: Vec<String> = [["setpriv"].as_slice(), &as_nobody]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .chain([format!("--inh-caps={both}"), format!("--ambient-caps={both}")])
            .collect();
        lab.serve_by(&setpriv);
        let may = may(lab.process());
        (may[4..7].join(" "), may[7].clone(), lab)
    };
    let (capabilities, no_more, lab) = starts("127.0.0.82", "");
    let memory = fs::metadata(format!("/proc/{}/environ", lab.process())).unwrap();
    assert_eq!(memory.uid(), 0, "it leaves no core dump, and nobody of its account reads its memory");
    assert_eq!(capabilities, "CapPrm: 0000000000000000 CapEff: 0000000000000000 CapAmb: 0000000000000000");
    assert_eq!(no_more, "NoNewPrivs: 1");
    let advertising = "[dhcp]\nmode = 'off'\ninterface = 'lo'\nrouter_advertisements = true\n";
    let (capabilities, _, _lab) = starts("127.0.0.83", advertising);
    assert_eq!(capabilities, "CapPrm: 0000000000002000 CapEff: 0000000000002000 CapAmb: 0000000000000000");
}

#[test]
fn an_account_that_does_not_own_the_folder_or_is_not_there_is_refused_with_the_remedy() {
    let lab = Lab::made("open-lab", &[]);
    let config = lab.dir().join("config.toml");
    let says = |user: &str| {
        let refused = Command::new(BINARY).args(["serve", "--config", path(&config), "--user", user]).output().unwrap();
        assert!(!refused.status.success());
        String::from_utf8(refused.stderr).unwrap()
    };
    let foreign = says("nobody");
    assert!(foreign.contains("E-CONFIG: becoming nobody") && foreign.contains("chown -R nobody:"), "{foreign}");
    let unknown = says("no-such-account");
    assert!(unknown.contains("E-CONFIG: becoming no-such-account: /etc/passwd has no such account"), "{unknown}");
}

#[test]
fn an_account_that_may_not_read_what_the_configuration_names_is_refused_with_the_remedy() {
    let says = |more: &str, command: &mut dyn FnMut(&mut Command, &Path)| {
        let lab = of_nobody("127.0.0.84", &format!("[server]\nuser = 'nobody'\n{more}"));
        let withheld = tempfile::tempdir().unwrap();
        let mut server = Command::new(BINARY);
        command(server.args(["serve", "--config", path(&lab.dir().join("config.toml"))]), withheld.path());
        let refused = server.output().unwrap();
        assert!(!refused.status.success());
        String::from_utf8(refused.stderr).unwrap()
    };
    // The folder is of mode 0700, and root's.
    let roots = says("[tpm]\nroots = ['/root/vendor.pem']\n", &mut |_, _| {});
    assert!(
        roots.contains("nobody may not read /root/vendor.pem") && roots.contains("setfacl -m u:nobody:r"),
        "{roots}"
    );
    let credential = says("", &mut |server, folder| {
        fs::write(folder.join("secrets.key"), "").unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        server.env("CREDENTIALS_DIRECTORY", folder);
    });
    assert!(credential.contains("may not read /") && credential.contains("User=nobody in the unit"), "{credential}");
}

#[test]
fn a_server_that_stays_root_says_so_once_with_the_remedy() {
    let lab = Lab::open();
    assert_eq!(lab.log().matches("name an account of its own (server.user, --user)").count(), 1, "{}", lab.log());
}
