//! Opening files that a stranger named.
//!
//! A name is checked against a grammar and opened under a folder step by step, following no symbolic
//! link below it: whatever lies in the folder, nothing outside it can be read.

use nix::{
    fcntl::{OFlag, open, openat},
    sys::stat::Mode,
};
use std::{
    fs::{File, Metadata},
    io,
    os::fd::AsFd,
    path::Path,
};

/// One file name: letters, digits and `. _ + - ? =`, not starting with a dot, at most 255.
pub fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-?=".contains(&byte))
}

/// Opens a regular file below the folder. Every name must be plain.
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
    let file = openat(at.as_fd(), *last, flags | OFlag::O_NONBLOCK, Mode::empty()).map_err(hide_links)?;
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

    #[test]
    fn nothing_outside_the_folder_can_be_opened() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("nar")).unwrap();
        std::fs::write(folder.path().join("nar/a.nar"), "fine").unwrap();
        symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        symlink(outside.path(), folder.path().join("way")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();

        assert_eq!(open_below(folder.path(), &["nar", "a.nar"]).unwrap().1.len(), 4);
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
            let kind = open_below(folder.path(), names).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::NotFound, "{names:?}");
        }
    }
}
