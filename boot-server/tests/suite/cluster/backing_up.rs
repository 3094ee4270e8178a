//! `cluster backup` and `restore`, and the guide to disaster recovery.

use super::{
    etcd::Etcds,
    peer::{self, Cluster},
    site::Site,
};
use crate::{
    lab::{BINARY, Lab, path},
    machine::{Machine, Node},
};
use http_body_util::BodyExt;
use hyper::{Method, StatusCode, body::Bytes};
use protocol::{arbiter::Turn, encoding::Sha256, service::Service};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
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

/// The machine is installed anew, and does what its agent does: asks, fetches, restores.
async fn refounded(lab: &Lab, etcds: &Etcds, n: u8) -> Node {
    lab.says(&["reinstall", &format!("n{n}"), "--yes"]);
    let node = Machine::new(&Site::mac(n), &format!("again-{n}")).admitted(lab).await;
    node.manifest(lab).await;
    assert!(node.installed(2).await.0.is_success());
    let wanted = "/v1/node/snapshot?service=etcd&generation=2";
    let (early, _) = node.caller.get(wanted).await;
    assert_eq!(early, StatusCode::NOT_FOUND, "it was not told to found yet");
    let Turn::Restore { peers, token, snapshot } = node.turn(Service::Etcd, 2).await else { panic!() };
    assert!(peers.len() == 3 && token.starts_with("prod-"), "{token}");
    let answer = node.caller.send(Method::GET, wanted, &[], Bytes::new()).await;
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!((Sha256::of(&bytes), bytes.len() as u64), (snapshot.sha256, snapshot.size));
    let file = lab.dir().join(format!("fetched-{n}"));
    std::fs::write(&file, bytes).unwrap();
    let mut restore = Command::new("etcdctl");
    restore.env("ETCDCTL_API", "3").args(["snapshot", "restore"]).arg(&file).arg("--data-dir").arg(etcds.data(n));
    restore.args(["--name", &Site::ip(n), "--initial-cluster", &etcds.initial_cluster()]);
    restore.args(["--initial-cluster-token", &token, "--initial-advertise-peer-urls", &etcds.peer_url(n)]);
    let done = restore.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    node
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

    let restore_cluster = ["cluster", "restore", "--from", path(&folder), "--cluster", "prod"];
    assert!(stderr(&lab.verb(&restore_cluster)).contains("add --yes"));
    let restore_cluster = [&restore_cluster[..], &["--yes"]].concat();
    assert!(stderr(&lab.verb(&restore_cluster)).contains("it still runs on n1 ("));

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
    let told = String::from_utf8_lossy(&restored.stdout);
    assert!(told.contains("cluster restore --cluster prod --from"), "{told}");
    lab.says(&["audit", "verify", "--offline"]);
    assert!(lab.says(&["audit", "export", "--offline"]).contains("server-restored"));
    lab.serve();
    assert_eq!(lab.state_of("n1"), "ready");

    let told = lab.says(&restore_cluster);
    let forgotten = lab.verb(&["cluster", "forget", "prod", "--yes"]);
    assert!(stderr(&forgotten).contains("are to begin with a snapshot of etcd"), "{forgotten:?}");
    for line in ["its founders begin with the snapshot", "boot-server reinstall n3 --yes"] {
        assert!(told.contains(line), "{told}");
    }
    let mut nodes = Vec::new();
    for n in 1..=3 {
        nodes.push(refounded(&lab, &etcds, n).await);
    }
    assert!(lab.says(&["describe", "node", "n2"]).contains("was handed the snapshot of etcd of prod"));
    for n in 1..=3 {
        etcds.start(n);
    }
    etcds.wait_until_healthy();
    assert_eq!(etcds.ctl(&["get", "order", "--print-value-only"]).as_deref(), Some("four and twenty\n"));
    assert_eq!(etcds.ctl(&["get", "late"]).as_deref(), Some(""));
    for node in &nodes {
        assert!(node.member_of("etcd", 2, vec![]).await.0.is_success());
    }
    let verified = lab.says(&["cluster", "verify"]);
    assert!(!verified.contains("FAIL"), "{verified}");
}

#[tokio::test]
async fn a_backup_that_cannot_be_whole_leaves_nothing_and_one_that_was_changed_is_refused() {
    let mut lab = Lab::open();
    let site = Site::new();
    lab.apply_spec(&site.spec(1));
    let _peer = peer::start(&lab, site, 1, Cluster::of(site, &[1]));
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
    brought_back_by_the_hook(&lab, &hook, &folder);
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

fn brought_back_by_the_hook(lab: &Lab, backup_hook: &Path, folder: &Path) {
    let restore = ["cluster", "restore", "--from", path(folder), "--cluster", "prod", "--yes"];
    assert!(stderr(&lab.verb(&restore)).contains("no [cluster] restore_hook is configured"));
    let seen = lab.dir().join("seen");
    let script = format!("#!/bin/sh\necho $1 $2 $(cat $3/data) >>{}\n", path(&seen));
    let hook = lab.file("restore-hook", &script);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = format!("[cluster]\nbackup_hook = '{}'\nrestore_hook = '{}'\n", path(backup_hook), path(&hook));
    lab.configure("open-lab", &hooks);
    let of_etcd = lab.verb(&[&restore[..], &["--service", "etcd"]].concat());
    assert!(stderr(&of_etcd).contains("has nothing of etcd"), "{of_etcd:?}");
    assert!(stderr(&lab.verb(&[&restore[..], &["--service", "iam,x"]].concat())).contains("--service"));
    let told = lab.says(&restore);
    assert!(told.contains("chainfire of prod, by the hook") && !told.contains("reinstall"), "{told}");
    assert!(std::fs::read_to_string(seen).unwrap().starts_with("chainfire prod prod "));
}
