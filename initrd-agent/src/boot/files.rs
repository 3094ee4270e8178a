//! Writes files onto the target without ever leaving it, whatever links it holds.

use crate::sealed;
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, renameat},
    sys::stat::{Mode, fchmod, mkdirat},
    unistd::{UnlinkatFlags, fsync, symlinkat, unlinkat, write},
};
use protocol::{
    Code, Failure, Timestamp,
    failure::OrFail,
    failure::Result,
    marker::{InstallMarker, MARKER_PATH},
    names::NodeName,
    spec::FileSpec,
};
use std::{
    os::fd::OwnedFd,
    path::{Component, Path},
};

/// Folder of everything that only this node may read.
const SECRETS: &str = "etc/nixos/secrets";
const TEMPORARY: &str = ".centra-new";

/// Whether a secret is to lie on the target. One that is at home elsewhere is the key of a device, for the time of
/// the installation only.
pub fn is_kept(secret: &FileSpec) -> bool {
    Path::new(&secret.path).strip_prefix("/").is_ok_and(|path| path.starts_with(SECRETS))
}

/// Writes the files below `root`, each whole or not at all.
///
/// # Errors
/// `E-INPUT` for a path or mode that does not fit, or a link in the way; `E-NO-SPACE`, `E-DISK-IO`.
pub fn write_all(root: &Path, files: &[FileSpec]) -> Result<()> {
    for file in files {
        let mode = u32::from_str_radix(&file.mode, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode = mode.ok_or_else(|| {
            Failure::new(Code::Input, format!("writing {}: mode {:?} is not octal", file.path, file.mode))
        })?;
        write_file(root, &file.path, mode, file.content.as_bytes())?;
    }
    Ok(())
}

/// Writes one file below `root`: temporary name, fsync, rename.
///
/// # Errors
/// As [`write_all`].
pub fn write_file(root: &Path, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    place(root, path, |folder| {
        let how = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(folder, TEMPORARY, how, Mode::from_bits_truncate(0o600))?;
        let mut rest = content;
        while !rest.is_empty() {
            let written = write(&file, rest)?;
            rest = &rest[written..];
        }
        fchmod(&file, Mode::from_bits_truncate(mode))?;
        fsync(&file)
    })
}

/// Makes a symbolic link below `root`, in the place of whatever file has its name.
///
/// # Errors
/// As [`write_all`].
pub fn write_link(root: &Path, path: &str, target: &str) -> Result<()> {
    place(root, path, |folder| symlinkat(target, folder, TEMPORARY))
}

/// Makes the folders of `path` below `root`, has the last of them get something under the temporary name, and gives
/// that its own.
fn place(root: &Path, path: &str, make: impl FnOnce(&OwnedFd) -> Result<(), Errno>) -> Result<()> {
    let writing = |error: Errno| {
        let code = match error {
            Errno::ENOSPC | Errno::EDQUOT => Code::NoSpace,
            Errno::ELOOP | Errno::EXDEV => Code::Input,
            _ => Code::DiskIo,
        };
        Failure::from_error(code, format!("writing {path} on the target"), &error)
    };
    let names = names(path)?;
    let Some((name, folders)) = names.split_last() else {
        return Err(Failure::new(Code::Input, format!("writing {path:?} on the target: it names no file")));
    };
    let mut folder = open_root(root).map_err(writing)?;
    let mut so_far = String::new();
    for part in folders {
        so_far.push_str(part);
        let private = so_far == SECRETS;
        so_far.push('/');
        folder = open_folder(&folder, part, private).map_err(writing)?;
    }
    // A leftover of an attempt before this one.
    match unlinkat(&folder, TEMPORARY, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => return Err(writing(error)),
    }
    make(&folder).map_err(writing)?;
    renameat(&folder, TEMPORARY, &folder, *name).map_err(writing)?;
    fsync(&folder).map_err(writing)
}

/// Writes a half of the node's own pair (`crt`, `key`) under the node's name, and links `node.crt` or `node.key` to it.
///
/// # Errors
/// As [`write_all`].
pub fn write_own(root: &Path, node: &NodeName, half: &str, mode: u32, content: &[u8]) -> Result<()> {
    let path = own_path(node, half);
    write_file(root, &format!("/{path}"), mode, content)?;
    let common = format!("{SECRETS}/node.{half}");
    if path == common {
        return Ok(());
    }
    let name = path.strip_prefix(SECRETS).unwrap_or(&path).trim_start_matches('/');
    write_link(root, &format!("/{common}"), name)
}

/// Writes the node's key closed by the TPM under the node's name, and links where the key is looked for to where it is opened.
///
/// # Errors
/// As [`write_all`].
pub fn write_closed_key(root: &Path, node: &NodeName, closed: &[u8]) -> Result<()> {
    let path = own_path(node, "key");
    write_file(root, &format!("/{}", own_path(node, sealed::HALF)), 0o600, closed)?;
    let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    write_link(root, &format!("/{path}"), &format!("{}/{name}", sealed::OPENED))?;
    let common = format!("{SECRETS}/node.key");
    if path == common { Ok(()) } else { write_link(root, &format!("/{common}"), &name) }
}

/// Removes a closed key that an earlier attempt has left.
///
/// # Errors
/// `E-DISK-IO`.
pub fn forget_closed_key(root: &Path, node: &NodeName) -> Result<()> {
    let path = own_path(node, sealed::HALF);
    match std::fs::remove_file(root.join(&path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::from_error(Code::DiskIo, format!("removing {path} on the target"), &error))
        }
        _ => Ok(()),
    }
}

/// Where a half of the node's own pair is, below the root.
pub fn own_path(node: &NodeName, half: &str) -> String {
    // ca.crt is the CA's.
    let stem = if node.as_str() == "ca" { "node" } else { node.as_str() };
    format!("{SECRETS}/{stem}.{half}")
}

/// The parts of an absolute path without `.` and `..`.
fn names(path: &str) -> Result<Vec<&str>> {
    let refused = || {
        Failure::new(Code::Input, format!("writing {path:?} on the target: it is not an absolute path without `..`"))
    };
    let mut parts = Path::new(path).components();
    if parts.next() != Some(Component::RootDir) || path.contains('\0') {
        return Err(refused());
    }
    parts
        .map(|part| match part {
            Component::Normal(name) => name.to_str().ok_or_else(refused),
            _ => Err(refused()),
        })
        .collect()
}

fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    nix::fcntl::open(root, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens a folder inside `parent`, made if it is not there; a symbolic link is refused.
fn open_folder(parent: &OwnedFd, name: &str, private: bool) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_bits_truncate(if private { 0o700 } else { 0o755 });
    match mkdirat(parent, name, mode) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error),
    }
    let how = OpenHow::new()
        .flags(OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
    openat2(parent, name, how)
}

/// Writes the marker of the installation.
///
/// # Errors
/// As [`write_all`].
pub fn write_marker(root: &Path, marker: &InstallMarker) -> Result<()> {
    let marker = InstallMarker { written: Timestamp::now_utc(), ..marker.clone() };
    let json = serde_json::to_vec_pretty(&marker).or_fail(Code::Internal, || "encoding the marker")?;
    write_file(root, &format!("/{MARKER_PATH}"), 0o644, &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_secret_is_whole_and_private() {
        let root = tempfile::tempdir().unwrap();
        let path = "/etc/nixos/secrets/cluster-config.json";
        for content in ["a much longer first version", "{}"] {
            let file = FileSpec { path: path.into(), mode: "0600".into(), content: content.into() };
            write_all(root.path(), &[file]).unwrap();
        }
        let written = root.path().join(&path[1..]);
        assert_eq!(fs::read_to_string(&written).unwrap(), "{}");
        assert_eq!(fs::metadata(&written).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(root.path().join(SECRETS)).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_dir(root.path().join(SECRETS)).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn nothing_is_written_outside_the_target() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("etc")).unwrap();
        for path in ["/etc/passwd", "/../etc/passwd", "etc/passwd", "/", "", "/a/../../b"] {
            let failure = write_file(root.path(), path, 0o600, b"x").unwrap_err();
            assert_eq!(failure.code, Code::Input, "{path}: {failure}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_nodes_pair_has_the_nodes_name_and_a_common_one() {
        let root = tempfile::tempdir().unwrap();
        let secrets = root.path().join(SECRETS);
        let write = |node: &str, content: &[u8]| write_own(root.path(), &node.parse().unwrap(), "key", 0o600, content);
        fs::create_dir_all(&secrets).unwrap();
        fs::write(secrets.join("node.key"), "of an older agent").unwrap();
        std::os::unix::fs::symlink("interrupted", secrets.join(TEMPORARY)).unwrap();
        for content in [b"one", b"two"] {
            write("node-01", content).unwrap();
            assert_eq!(fs::read(secrets.join("node.key")).unwrap(), content);
        }
        assert_eq!(fs::read_link(secrets.join("node.key")).unwrap(), Path::new("node-01.key"));
        assert_eq!(fs::metadata(secrets.join("node-01.key")).unwrap().permissions().mode() & 0o7777, 0o600);
        // No link to itself, and none that hides the CA.
        for name in ["node", "ca"] {
            write(name, b"three").unwrap();
            assert!(fs::symlink_metadata(secrets.join("node.key")).unwrap().is_file());
            assert!(!secrets.join("ca.key").exists());
        }
    }

    #[test]
    fn a_key_that_the_tpm_has_closed_is_looked_for_where_it_is_opened_and_a_plain_one_takes_its_place() {
        let root = tempfile::tempdir().unwrap();
        let secrets = root.path().join(SECRETS);
        let link = |name: &str| fs::read_link(secrets.join(name)).unwrap().display().to_string();
        let node: NodeName = "node-01".parse().unwrap();
        write_own(root.path(), &node, "key", 0o600, b"open").unwrap();
        write_closed_key(root.path(), &node, b"closed").unwrap();
        let closed = secrets.join("node-01.key.tpm");
        assert_eq!(fs::read(&closed).unwrap(), b"closed");
        assert_eq!(fs::metadata(&closed).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(link("node-01.key"), "/run/initrd-agent/node-01.key");
        assert_eq!(link("node.key"), "node-01.key");
        // No link to itself where the node's name is the common one.
        write_closed_key(root.path(), &"ca".parse().unwrap(), b"closed").unwrap();
        assert_eq!(link("node.key"), "/run/initrd-agent/node.key");

        write_own(root.path(), &node, "key", 0o600, b"open").unwrap();
        for _ in 0..2 {
            forget_closed_key(root.path(), &node).unwrap();
        }
        assert!(!closed.exists() && fs::symlink_metadata(secrets.join("node-01.key")).unwrap().is_file());
    }

    #[test]
    fn a_key_that_is_at_home_elsewhere_is_not_for_the_target() {
        let kept =
            |path: &str| is_kept(&FileSpec { path: path.into(), mode: "0400".into(), content: Default::default() });
        assert!(kept("/etc/nixos/secrets/disk.key") && kept("/etc/nixos/secrets/initrd/disk.key"));
        assert!(!kept("/tmp/secret.key") && !kept("/etc/nixos/secretsx/k") && !kept("/etc/nixos/secrets.key"));
    }

    #[test]
    fn a_mode_that_is_not_octal_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = FileSpec { path: "/x".into(), mode: "rw".into(), content: Default::default() };
        assert_eq!(write_all(root.path(), &[file]).unwrap_err().code, Code::Input);
    }
}
