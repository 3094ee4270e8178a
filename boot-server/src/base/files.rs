//! Opening files that a stranger named.
//!
//! A name is checked against a grammar and opened under a folder step by step, following no symbolic
//! link below it: whatever lies in the folder, nothing outside it can be read.

use nix::{
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2},
    sys::stat::Mode,
};
use std::{
    fs::{File, Metadata},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// One file name: letters, digits and `. _ + - ? =`, not starting with a dot, at most 255.
pub fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-?=".contains(&byte))
}

/// Opens a regular file below the folder, away from the event loop where a disk has to be asked. Every name must be
/// plain.
///
/// # Errors
/// As [`open_below`].
pub async fn open_soon(folder: &Path, names: &[&str]) -> io::Result<(File, Metadata)> {
    if let Some(opened) = open_cached(folder, names) {
        return opened;
    }
    let folder = folder.to_owned();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let open = move || open_below(&folder, &names.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(open).await.map_err(io::Error::other).flatten()
}

/// Opens by what the kernel remembers of the folders (Linux 5.12); none where it must ask the disk, or cannot say.
fn open_cached(folder: &Path, names: &[&str]) -> Option<io::Result<(File, Metadata)>> {
    if !names.iter().all(|name| is_plain_name(name)) {
        return Some(Err(io::ErrorKind::NotFound.into()));
    }
    let cached = ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
    let no_links = cached | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let how = |flags, resolve| OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    let name = names.join("/");
    let opened = match openat2(AT_FDCWD, &folder.join(&name), how(OFlag::O_NONBLOCK, no_links)) {
        // The folder itself may be reached by a link, the name below it may not.
        Err(nix::Error::ELOOP) => openat2(AT_FDCWD, folder, how(OFlag::O_PATH | OFlag::O_DIRECTORY, cached))
            .and_then(|at| openat2(at, name.as_str(), how(OFlag::O_NONBLOCK, no_links))),
        opened => opened,
    };
    match opened {
        Ok(file) => Some(regular(file)),
        Err(nix::Error::EAGAIN | nix::Error::ENOSYS | nix::Error::EPERM | nix::Error::EINVAL) => None,
        Err(error) => Some(Err(hide_links(error))),
    }
}

/// Opens a regular file below the folder. Every name must be plain. Blocks.
///
/// # Errors
/// `NotFound` also for what is not a plain name, a symbolic link or not a regular file: a stranger
/// learns nothing else. The log does.
pub fn open_below(folder: &Path, names: &[&str]) -> io::Result<(File, Metadata)> {
    let (last, folders) = names.split_last().ok_or(io::ErrorKind::NotFound)?;
    if !names.iter().all(|name| is_plain_name(name)) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let flags = OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mut at = open(folder, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    for name in folders {
        at = openat(at.as_fd(), *name, flags | OFlag::O_DIRECTORY, Mode::empty()).map_err(hide_links)?;
    }
    // Not blocking: a fifo in the folder must not hang the server.
    regular(openat(at.as_fd(), *last, flags | OFlag::O_NONBLOCK, Mode::empty()).map_err(hide_links)?)
}

fn regular(file: OwnedFd) -> io::Result<(File, Metadata)> {
    let file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, metadata))
}

fn hide_links(error: nix::Error) -> io::Error {
    match error {
        nix::Error::ELOOP => io::Error::new(io::ErrorKind::NotFound, "it is a symbolic link, and none is followed"),
        nix::Error::ENOTDIR | nix::Error::ENXIO => io::ErrorKind::NotFound.into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[tokio::test]
    async fn nothing_outside_the_folder_can_be_opened() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("nar")).unwrap();
        std::fs::write(folder.path().join("nar/a.nar"), "fine").unwrap();
        symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        symlink(outside.path(), folder.path().join("way")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();

        assert_eq!(open_below(folder.path(), &["nar", "a.nar"]).unwrap().1.len(), 4);
        assert_eq!(open_soon(folder.path(), &["nar", "a.nar"]).await.unwrap().1.len(), 4);
        symlink(folder.path(), outside.path().join("by-link")).unwrap();
        assert_eq!(open_soon(&outside.path().join("by-link"), &["nar", "a.nar"]).await.unwrap().1.len(), 4);
        assert!(open_soon(&outside.path().join("by-link"), &["link"]).await.is_err());
        for names in [
            &["link"][..],
            &["way", "secret"],
            &["..", "secret"],
            &["nar", ".."],
            &["nar"],
            &["fifo"],
            &["nar/a.nar"],
            &["/etc/passwd"],
            &["nar", "a.nar\0"],
            &[""],
            &[],
        ] {
            for opened in [open_below(folder.path(), names), open_soon(folder.path(), names).await] {
                assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::NotFound, "{names:?}");
            }
        }
    }
}
