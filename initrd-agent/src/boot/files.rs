//! Writes files onto the target without ever leaving it, whatever links it holds.

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2, renameat},
    sys::stat::{Mode, fchmod, mkdirat},
    unistd::{fsync, write},
};
use protocol::{
    Code, Failure, Timestamp,
    failure::OrFail,
    failure::Result,
    marker::{InstallMarker, MARKER_PATH},
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
    // A leftover of an attempt before this one is overwritten; a link is not followed.
    let how = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(&folder, TEMPORARY, how, Mode::from_bits_truncate(0o600)).map_err(writing)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = write(&file, rest).map_err(writing)?;
        rest = &rest[written..];
    }
    fchmod(&file, Mode::from_bits_truncate(mode)).map_err(writing)?;
    fsync(&file).map_err(writing)?;
    renameat(&folder, TEMPORARY, &folder, *name).map_err(writing)?;
    fsync(&folder).map_err(writing)
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
    fn a_key_that_is_at_home_elsewhere_is_not_for_the_target() {
        let kept = |path: &str| is_kept(&FileSpec { path: path.into(), mode: "0400".into(), content: String::new() });
        assert!(kept("/etc/nixos/secrets/disk.key") && kept("/etc/nixos/secrets/initrd/disk.key"));
        assert!(!kept("/tmp/secret.key") && !kept("/etc/nixos/secretsx/k") && !kept("/etc/nixos/secrets.key"));
    }

    #[test]
    fn a_mode_that_is_not_octal_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = FileSpec { path: "/x".into(), mode: "rw".into(), content: String::new() };
        assert_eq!(write_all(root.path(), &[file]).unwrap_err().code, Code::Input);
    }
}
