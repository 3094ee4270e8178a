//! Finds what an earlier installation left on a disk, without writing to any.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use protocol::marker::{InstallMarker, MARKER_PATH};
use std::{
    fs,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where the node's key lies on the target.
pub const KEY_PATH: &str = "etc/nixos/secrets/node.key";
const PROBE_MOUNT: &str = "/run/centra/probe";
/// Marker and key are small; a foreign disk may hold anything under their names.
const MAX_FILE: u64 = 64 << 10;
/// disko's partition labels start so; nothing else is mounted.
const LABEL_PREFIX: &str = "disk-";

/// An earlier installation's marker and the node's key in PEM.
pub struct Trace {
    /// The marker.
    pub marker: InstallMarker,
    /// The key. Secret.
    pub key: String,
}

/// Every trace on the disks of this machine, the newest first.
pub fn find() -> Vec<Trace> {
    let mut traces: Vec<Trace> =
        labelled_partitions(Path::new("/sys/class/block")).iter().filter_map(|path| read(path)).collect();
    traces.sort_by_key(|trace| std::cmp::Reverse(trace.marker.written));
    traces
}

fn labelled_partitions(class: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(class) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let uevent = fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
            uevent.lines().any(|line| line.strip_prefix("PARTNAME=").is_some_and(|name| name.starts_with(LABEL_PREFIX)))
        })
        .map(|entry| Path::new("/dev").join(entry.file_name()))
        .collect();
    found.sort();
    found
}

/// Reads one partition. `noload` keeps ext4 from replaying its journal: looking must not write.
fn read(device: &Path) -> Option<Trace> {
    fs::create_dir_all(PROBE_MOUNT).ok()?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    mount(Some(device), PROBE_MOUNT, Some("ext4"), flags, Some("noload")).ok()?;
    let root = Path::new(PROBE_MOUNT);
    let trace = read_marker(root).and_then(|marker| Some(Trace { marker, key: read_small(&root.join(KEY_PATH))? }));
    let _ = umount2(PROBE_MOUNT, MntFlags::MNT_DETACH);
    trace
}

/// The marker below a mounted root.
pub fn read_marker(root: &Path) -> Option<InstallMarker> {
    serde_json::from_str(&read_small(&root.join(MARKER_PATH))?).ok()
}

fn read_small(path: &Path) -> Option<String> {
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_partitions_with_a_label_of_ours_are_looked_at() {
        let class = tempfile::tempdir().unwrap();
        for (name, uevent) in [
            ("vda", "DEVNAME=vda\nDEVTYPE=disk\n"),
            ("vda1", "DEVTYPE=partition\nPARTNAME=EFI System\n"),
            ("vda2", "DEVTYPE=partition\nPARTNAME=disk-main-root\n"),
        ] {
            fs::create_dir(class.path().join(name)).unwrap();
            fs::write(class.path().join(name).join("uevent"), uevent).unwrap();
        }
        assert_eq!(labelled_partitions(class.path()), [Path::new("/dev/vda2")]);
    }
}
