//! `cluster backup` and `restore`, and the guide to disaster recovery.

use super::{etcd::Etcds, peer, peer::Cluster, site::Site};
use crate::lab::{BINARY, Lab, path};
use serde_json::json;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
};

fn restore(from: &Path, dir: &Path, more: &[&str]) -> Output {
    Command::new(BINARY)
        .args(["cluster", "restore", "--from", path(from), "--dir", path(dir)])
        .args(more)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn backup(lab: &Lab) -> PathBuf {
    let out = lab.dir().join("backups");
    let told = lab.says(&["cluster", "backup", "--out", path(&out)]);
    told.lines().last().unwrap().into()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs the etcdctl command of the guide for the founder, with another data folder and the snapshot's whole path.
fn restore_member(etcds: &Etcds, guide: &str, snapshot: &Path, n: u8) {
    let block = guide.split("\n\n").find(|block| block.contains(&format!("--name {} ", Site::ip(n)))).unwrap();
    let command: Vec<&str> = block
        .lines()
        .skip_while(|line| !line.starts_with("ETCDCTL_API"))
        .take_while(|line| !line.starts_with("chown"))
        .collect();
    let command =
        command.join("\n").replace("/var/lib/etcd", path(&etcds.data(n))).replace("etcd-prod.snapshot", path(snapshot));
    let done = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(done.status.success(), "{command}: {done:?}");
}

#[tokio::test]
async fn after_all_members_and_the_server_are_lost_the_backup_brings_both_back() {
    let mut lab = Lab::open();
    let mut etcds = Etcds::three(&lab);
    for n in 1..=3 {
        etcds.site.ready(&lab, n, "etcd").await;
    }
    etcds.ctl(&["put", "order", "four and twenty"]).unwrap();
    let folder = backup(&lab);
    assert_eq!(mode(&folder), 0o700);
    for file in ["server/state.db", "server/ca.key", "etcd-prod.snapshot", "SHA256SUMS"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
    let sums = Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(&folder).output().unwrap();
    assert!(sums.status.success(), "{sums:?}");
    let snapshot = folder.join("etcd-prod.snapshot");
    let status = Command::new("etcdctl").env("ETCDCTL_API", "3").args(["snapshot", "status", path(&snapshot)]).output();
    assert!(status.unwrap().status.success());

    // Everything goes, with what was written after the backup.
    etcds.ctl(&["put", "late", "lost"]).unwrap();
    for n in 1..=3 {
        etcds.kill(n);
        std::fs::remove_dir_all(etcds.data(n)).unwrap();
    }
    assert!(stderr(&restore(&folder, &lab.dir(), &["--force"])).contains("its server runs"));
    assert!(lab.stop());
    std::fs::write(lab.dir().join("manifest.key"), "damaged").unwrap();
    assert!(stderr(&restore(&folder, &lab.dir(), &[])).contains("add --force"));
    let restored = restore(&folder, &lab.dir(), &["--force"]);
    assert!(restored.status.success(), "{restored:?}");
    let guide = String::from_utf8_lossy(&restored.stdout).into_owned();
    lab.serve();
    assert_eq!(lab.state_of("n1"), "ready");

    for n in 1..=3 {
        restore_member(&etcds, &guide, &snapshot, n);
    }
    for n in 1..=3 {
        etcds.start(n);
    }
    etcds.wait_until_healthy();
    assert_eq!(etcds.ctl(&["get", "order", "--print-value-only"]).as_deref(), Some("four and twenty\n"));
    assert_eq!(etcds.ctl(&["get", "late"]).as_deref(), Some(""));
    let verified = lab.says(&["cluster", "verify"]);
    assert!(!verified.contains("FAIL"), "{verified}");
}

#[tokio::test]
async fn a_backup_that_cannot_be_whole_leaves_nothing_and_one_that_was_changed_is_refused() {
    let mut lab = Lab::open();
    let site = Site::new();
    lab.apply_spec(&site.spec(1));
    let member = json!({"id": "n1", "raft_addr": format!("{}:{}", Site::ip(1), site.raft), "status": "healthy", "role": "leader"});
    let cluster =
        Arc::new(Mutex::new(Cluster { members: vec![member], leader: "n1".to_owned(), ..Cluster::default() }));
    let _peer = peer::start(&lab, site, 1, cluster).await;
    site.ready(&lab, 1, "chainfire").await;
    let out = lab.dir().join("backups");
    let told = lab.says(&["cluster", "backup", "--out", path(&out)]);
    assert!(told.contains("NOT in this backup: chainfire of prod"), "{told}");

    let hook = lab.file("hook", "#!/bin/sh\nset -e\ntest $1 = chainfire\necho \"$2 $CENTRA_MEMBERS\" >$3/data\n");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    lab.configure("open-lab", &format!("[cluster]\nbackup_hook = '{}'\n", path(&hook)));
    std::fs::remove_dir_all(&out).unwrap();
    let folder = backup(&lab);
    let data = folder.join("chainfire-prod/data");
    assert_eq!(std::fs::read_to_string(&data).unwrap(), format!("prod {}:{}\n", Site::ip(1), site.client));
    std::fs::write(&data, "changed").unwrap();
    let elsewhere = lab.dir().join("elsewhere");
    assert!(stderr(&restore(&folder, &elsewhere, &[])).contains("has changed since the backup"));
    assert!(!elsewhere.exists());

    std::fs::write(&hook, "#!/bin/sh\necho disk full >&2; exit 1\n").unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    let failed = lab.verb(&["cluster", "backup", "--out", path(&out)]);
    assert!(stderr(&failed).contains("disk full"), "{failed:?}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    // The server need not run.
    assert!(lab.stop());
    lab.says(&["cluster", "backup", "--server-only", "--out", path(&out)]);
}
