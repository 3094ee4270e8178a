//! Finds what an earlier installation left on a disk, without writing to any.

use super::files;
use crate::sealed::{self, Kept};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    marker::{InstallMarker, MARKER_PATH},
};
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where earlier agents wrote the node's key.
const OLD_KEY_PATH: &str = "etc/nixos/secrets/node.key";
const PROBE_MOUNT: &str = "/run/centra/probe";
/// Marker and key on a file system that can be read where the root cannot be, while the installation lasts.
const ELSEWHERE: &str = "centra-install";
const ELSEWHERE_MARKER: &str = "centra-install/install.json";
const ELSEWHERE_KEY: &str = "centra-install/node.key";
const ELSEWHERE_CLOSED: &str = "centra-install/node.key.tpm";
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
    let mut traces: Vec<Trace> = partitions().iter().filter_map(|path| read(path)).collect();
    traces.sort_by_key(|trace| std::cmp::Reverse(trace.marker.written));
    traces
}

/// The partitions that may have one.
pub fn partitions() -> Vec<PathBuf> {
    labelled_partitions(Path::new("/sys/class/block"))
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
    let mounted = |kind: &str, data: Option<&str>| mount(Some(device), PROBE_MOUNT, Some(kind), flags, data);
    mounted("ext4", Some("noload")).or_else(|_| mounted("vfat", None)).ok()?;
    let root = Path::new(PROBE_MOUNT);
    let at = |path: &str, keys: &dyn Fn(&InstallMarker) -> Vec<String>| {
        let marker: InstallMarker = serde_json::from_str(&read_small(&root.join(path))?).ok()?;
        let key = keys(&marker).iter().find_map(|key| read_small(&root.join(key)))?;
        Some(Trace { marker, key })
    };
    let own = |marker: &InstallMarker, half: &str| files::own_path(&marker.node, half);
    let trace = at(MARKER_PATH, &|marker| vec![own(marker, "key"), OLD_KEY_PATH.to_owned()])
        .or_else(|| at(ELSEWHERE_MARKER, &|_| vec![ELSEWHERE_KEY.to_owned()]));
    let closed = || {
        let at = |path: &str, key: &dyn Fn(&InstallMarker) -> String| {
            let marker: InstallMarker = serde_json::from_str(&read_small(&root.join(path))?).ok()?;
            let closed = read_small_bytes(&root.join(key(&marker)))?;
            Some((marker, closed))
        };
        at(MARKER_PATH, &|marker| own(marker, sealed::HALF))
            .or_else(|| at(ELSEWHERE_MARKER, &|_| ELSEWHERE_CLOSED.to_owned()))
    };
    // The chip is asked when nothing is mounted any more.
    let closed = if trace.is_none() { closed() } else { None };
    let _ = umount2(PROBE_MOUNT, MntFlags::MNT_DETACH);
    trace.or_else(|| opened(closed?))
}

/// A key that another TPM has closed is none: the machine makes a new one.
fn opened((marker, closed): (InstallMarker, Vec<u8>)) -> Option<Trace> {
    sealed::wait_for_chip();
    match sealed::reveal(closed) {
        Ok(key) => Some(Trace { marker, key }),
        Err(failure) => {
            tracing::warn!("leaving the key of {} alone: {failure}", marker.node);
            None
        }
    }
}

/// Leaves a trace on another file system than the root, for the time of the installation.
///
/// # Errors
/// `E-DISK-IO`.
pub fn leave(folder: &Path, marker: &InstallMarker, kept: &Kept) -> Result<()> {
    let text = serde_json::to_string(marker).or_fail(Code::Internal, || "writing the marker")?;
    // FAT has no owners and modes: who may read is a matter of how it is mounted.
    let key = match kept {
        Kept::Plain(key) => (ELSEWHERE_KEY, key.as_bytes()),
        Kept::Closed(closed) => (ELSEWHERE_CLOSED, &closed[..]),
    };
    for (path, content) in [key, (ELSEWHERE_MARKER, text.as_bytes())] {
        let path = folder.join(path);
        let activity = || format!("writing {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).or_fail(Code::DiskIo, activity)?;
        // In its place: what a run that was cut off has left does not stay behind in blocks that nobody owns.
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(content)?;
            file.set_len(content.len() as u64)?;
            file.sync_all()
        });
        written.or_fail(Code::DiskIo, activity)?;
    }
    Ok(())
}

/// Overwrites the key: a file that is removed leaves its bytes on the disk, and this one may lie beside an encrypted root.
fn blot_out(key: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(key)?;
    let length = file.metadata()?.len().min(MAX_FILE);
    file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
    file.sync_all()
}

/// Overwrites and removes what [`leave`] left.
///
/// # Errors
/// `E-DISK-IO`.
pub fn forget(folder: &Path) -> Result<()> {
    match blot_out(&folder.join(ELSEWHERE_KEY)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::from_error(Code::DiskIo, "overwriting the trace of the installation", &error));
        }
        _ => {}
    }
    match fs::remove_dir_all(folder.join(ELSEWHERE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::from_error(Code::DiskIo, "removing the trace of the installation", &error))
        }
        _ => Ok(()),
    }
}

/// The marker below a mounted root.
pub fn read_marker(root: &Path) -> Option<InstallMarker> {
    serde_json::from_str(&read_small(&root.join(MARKER_PATH))?).ok()
}

fn read_small(path: &Path) -> Option<String> {
    String::from_utf8(read_small_bytes(path)?).ok()
}

fn read_small_bytes(path: &Path) -> Option<Vec<u8>> {
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_beside_the_root_is_gone_once_it_is_forgotten_down_to_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let marker = InstallMarker {
            node: "n1".parse().unwrap(),
            generation: 1,
            run: "r1".parse().unwrap(),
            state: protocol::marker::MarkerState::Installing,
            toplevel: "/nix/store/00000000000000000000000000000000-x".parse().unwrap(),
            server: "https://s:8443".into(),
            ca_spki_sha256: Vec::new(),
            manifest_keys: vec![],
            written: protocol::Timestamp::now_utc(),
        };
        leave(folder.path(), &marker, &Kept::Plain("a key".to_owned())).unwrap();
        let key = folder.path().join(ELSEWHERE_KEY);
        assert_eq!(read_small(&key).as_deref(), Some("a key"));
        // What a file system keeps of a file that is removed: another name of it shows.
        let elsewhere = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
        let bytes = elsewhere.path().join("bytes");
        fs::hard_link(&key, &bytes).unwrap();
        leave(folder.path(), &marker, &Kept::Plain("key".to_owned())).unwrap();
        assert_eq!(fs::read(&bytes).unwrap(), b"key", "written in its place");
        forget(folder.path()).unwrap();
        assert_eq!(fs::read(&bytes).unwrap(), [0; 3]);
        leave(folder.path(), &marker, &Kept::Closed(vec![0xff, 1])).unwrap();
        assert_eq!(read_small_bytes(&folder.path().join(ELSEWHERE_CLOSED)), Some(vec![0xff, 1]));
        assert!(!folder.path().join(ELSEWHERE_KEY).exists());
        forget(folder.path()).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

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
