//! A founder of a cluster that was lost begins with what it held.

use super::environment::Identity;
use crate::driver::Node;
use host::command;
use host::file::write_atomically;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Since 3.6 etcdctl restores no more; before 3.5 there is no etcdutl.
const TOOLS: [&str; 2] = ["etcdutl", "etcdctl"];

/// Brings the snapshot into the data folder, as this member of a new cluster. The data appears as a whole.
///
/// # Errors
/// `E-TOOL` of etcd's own tool, which checks the snapshot's hash; `E-SYSTEM`.
pub fn restore(node: &Node, us: &Identity, initial_cluster: &str, snapshot: &Path) -> Result<()> {
    let data_dir = &node.settings.data_dir;
    let fresh = data_dir.join("restoring");
    let failed = || format!("restoring {}", data_dir.display());
    fs::create_dir_all(data_dir).or_fail(Code::System, failed)?;
    if fresh.exists() {
        fs::remove_dir_all(&fresh).or_fail(Code::System, failed)?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tool = TOOLS.into_iter().find(|tool| command::is_on_path(tool, &path)).ok_or_else(|| {
        let cause = format!("{}: neither etcdutl nor etcdctl is on the unit's PATH", failed());
        Failure::new(Code::Tool, cause).with_remedy("add etcd's package to the path of the join unit")
    })?;
    let mut restore = command::prepare(tool, &["snapshot", "restore"]);
    restore.env("ETCDCTL_API", "3").arg(snapshot).arg("--data-dir").arg(&fresh);
    restore.args(["--name", &us.name, "--initial-cluster", initial_cluster]);
    restore.args(["--initial-cluster-token", &us.token, "--initial-advertise-peer-urls", &us.peer_url]);
    command::run_command(restore, None)?;
    // A power cut after the rename leaves data that etcd.env does not speak of yet: this file does.
    write_atomically(&note(node), us.token.as_bytes(), 0o644)?;
    fs::rename(fresh.join("member"), data_dir.join("member")).or_fail(Code::System, failed)?;
    File::open(data_dir).and_then(|folder| folder.sync_all()).or_fail(Code::System, failed)?;
    fs::remove_dir_all(&fresh).or_fail(Code::System, failed)?;
    tracing::info!("{} has what the lost cluster held", data_dir.display());
    Ok(())
}

/// Whether there is data, and it was restored for this member.
pub fn is_restored(node: &Node) -> bool {
    note(node).exists() && node.settings.data_dir.join("member").exists()
}

/// As [`is_restored`], into the cluster with this token: each restore has its own.
pub fn is_restored_as(node: &Node, token: &str) -> bool {
    is_restored(node) && fs::read_to_string(note(node)).is_ok_and(|text| text == token)
}

/// Says into which cluster the data was restored.
pub fn note(node: &Node) -> PathBuf {
    node.settings.state_dir.join("etcd.restored")
}
