//! Writes the objects of an archive below one folder, in the form that every store path has.
//!
//! Every object is created through the descriptor of its parent, without following links and never over
//! something that exists: nothing can land outside the tree. Modes and times are the store's: 0444 or
//! 0555, directories 0555, and 1 second past the epoch everywhere. Modes are given at creation and not set again,
//! which spares a system call for each object: the umask is 022 (`main.rs`), and the store folder has no default ACL
//! (`store.rs`).

use crate::nar::Sink;
use nix::{
    fcntl::{AT_FDCWD, AtFlags, OFlag, openat},
    sys::{
        stat::{Mode, UtimensatFlags, fchmod, futimens, mkdirat, utimensat},
        time::TimeSpec,
    },
    unistd::symlinkat,
};
use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Every object of a store carries this time.
const STORE_TIME: TimeSpec = TimeSpec::new(1, 0);
/// The mode of directories. Root may create in them all the same.
const SEALED: Mode = Mode::from_bits_truncate(0o555);
/// Write-back of a large file starts each time this much of it is written.
const WRITE_BACK: u64 = 8 << 20;

/// The sink that makes files of an archive.
pub struct Tree<'a> {
    parent: BorrowedFd<'a>,
    /// The name that the root object gets in `parent`.
    root: &'a [u8],
    directories: Vec<OwnedFd>,
    file: Option<Open>,
    is_root: bool,
}

struct Open {
    file: File,
    written: u64,
    flushed: u64,
}

impl<'a> Tree<'a> {
    /// A tree whose root object is made as `root` in `parent`.
    pub fn new(parent: BorrowedFd<'a>, root: &'a [u8]) -> Self {
        Self { parent, root, directories: Vec::new(), file: None, is_root: nix::unistd::geteuid().is_root() }
    }

    /// The folder that the next object goes to, and its name there.
    fn place<'b>(&'b self, name: &'b [u8]) -> (BorrowedFd<'b>, &'b [u8]) {
        match self.directories.last() {
            Some(directory) => (directory.as_fd(), name),
            None => (self.parent, self.root),
        }
    }
}

impl Sink for Tree<'_> {
    fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        let (parent, name) = self.place(name);
        mkdirat(parent, name, if self.is_root { SEALED } else { Mode::S_IRWXU })?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty())?;
        self.directories.push(directory);
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        // Last, as every entry made in it would set its time again.
        let Some(directory) = self.directories.pop() else { return Ok(()) };
        match self.is_root {
            true => Ok(futimens(&directory, &STORE_TIME, &STORE_TIME)?),
            false => seal(&directory.into()),
        }
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        let (parent, name) = self.place(name);
        symlinkat(target, parent, name)?;
        Ok(utimensat(parent, name, &STORE_TIME, &STORE_TIME, UtimensatFlags::NoFollowSymlink)?)
    }

    fn open(&mut self, name: &[u8], executable: bool, _size: u64) -> io::Result<()> {
        let (parent, name) = self.place(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(if executable { 0o555 } else { 0o444 });
        let file = openat(parent, name, flags, mode)?;
        self.file = Some(Open { file: file.into(), written: 0, flushed: 0 });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        open.file.write_all(bytes)?;
        open.written += bytes.len() as u64;
        if open.written - open.flushed >= WRITE_BACK {
            start_write_back(&open.file, open.flushed, open.written - open.flushed);
            open.flushed = open.written;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(open) = self.file.take() else { return Ok(()) };
        Ok(futimens(&open.file, &STORE_TIME, &STORE_TIME)?)
    }
}

/// Gives a directory the mode and the time that it has in a store.
///
/// # Errors
/// Those of the file system.
pub fn seal(directory: &File) -> io::Result<()> {
    fchmod(directory, SEALED)?;
    Ok(futimens(directory, &STORE_TIME, &STORE_TIME)?)
}

/// Lets the disk begin with what has been written, so that the sync at the end is short. A hint: where
/// the file system does not know it, the sync does all the work.
fn start_write_back(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else { return };
    // SAFETY: the descriptor is open for the time of the call, which touches no memory of ours.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Removes what is at `path`, of whatever kind; links are not followed.
///
/// # Errors
/// Those of the file system; that there is nothing is none.
pub fn remove(path: &Path) -> io::Result<()> {
    let kind = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return std::fs::remove_file(path);
    }
    match std::fs::remove_dir_all(path) {
        // Only root may remove from the store's 0555 directories as they are.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            std::fs::remove_dir_all(path)
        }
        result => result,
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether something is at `path`; a dangling link is something.
pub fn exists(path: &Path) -> bool {
    nix::sys::stat::fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

#[cfg(test)]
mod archives;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn modes_and_times_are_the_stores() {
        let folder = tempfile::tempdir().unwrap();
        let handle = File::open(folder.path()).unwrap();
        let mut tree = Tree::new(handle.as_fd(), b"root");
        tree.enter(b"").unwrap();
        tree.open(b"plain", false, 3).unwrap();
        tree.write(b"abc").unwrap();
        tree.close().unwrap();
        tree.open(b"program", true, 0).unwrap();
        tree.close().unwrap();
        tree.symlink(b"dangling", b"/nowhere").unwrap();
        tree.leave().unwrap();
        let root = folder.path().join("root");
        for (name, mode) in [("", 0o555), ("plain", 0o444), ("program", 0o555), ("dangling", 0o777)] {
            let metadata = root.join(name).symlink_metadata().unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec()), (mode, 1, 0), "{name}");
        }
        remove(&root).unwrap();
        assert!(!exists(&root));
    }

    #[test]
    fn nothing_is_written_over_or_through_what_exists() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("outside", folder.path().join("root")).unwrap();
        let handle = File::open(folder.path()).unwrap();
        let mut tree = Tree::new(handle.as_fd(), b"root");
        assert!(tree.enter(b"").is_err());
        assert!(tree.open(b"", false, 0).is_err());
        assert!(tree.symlink(b"", b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }
}
