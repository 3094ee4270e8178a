//! `--optimise`: equal files of the store become one, as `nix-store --optimise` makes them: hard links to
//! `.links/HASH`, where the hash is that of the file's own archive. Symbolic links are shared, too.

use nix::{
    fcntl::{AtFlags, OFlag, renameat},
    sys::stat::{FileStat, Mode, SFlag, fchmod},
    unistd::{UnlinkatFlags, linkat, unlinkat},
};
use nix_store::{pack, tree};
use protocol::encoding::{Sha256, nix_base32_encode};
use std::{
    collections::HashSet,
    ffi::{CStr, CString},
    fs::{DirBuilder, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::DirBuilderExt,
    },
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The name in a directory under which a link waits to take a file's place; no other name there can be it for long.
const WAITING: &CStr = c".centra-link";

/// The folder `.links` of a store.
pub struct Links {
    folder: File,
    /// Links whose content is known to be right. One that an earlier run left may have lost its content in a power cut.
    known: Mutex<HashSet<Sha256>>,
    saved: AtomicU64,
}

impl Links {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join(".links");
        DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
        Ok(Self { folder: File::open(folder)?, known: Mutex::default(), saved: AtomicU64::new(0) })
    }

    /// Bytes of files that were not kept twice.
    pub fn saved(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }

    /// Shares every file and link of an unpacked tree that nobody uses yet.
    ///
    /// # Errors
    /// Those of the file system; the tree is whole then, too, but its times may be wrong.
    pub fn share_tree(&self, parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        let stat = pack::stat(parent, name)?;
        match pack::kind(&stat) {
            SFlag::S_IFREG | SFlag::S_IFLNK => self.share(parent, name, &stat),
            SFlag::S_IFDIR => {
                let directory = pack::open(parent, name, OFlag::O_DIRECTORY)?;
                fchmod(&directory, Mode::S_IRWXU)?;
                for entry in pack::names(directory.as_fd())? {
                    self.share_tree(directory.as_fd(), &entry)?;
                }
                tree::seal(&directory)
            }
            _ => Ok(()),
        }
    }

    fn share(&self, parent: BorrowedFd<'_>, name: &CStr, stat: &FileStat) -> io::Result<()> {
        let (hash, _) = pack::nar_hash(parent, name)?;
        let link = CString::new(nix_base32_encode(&hash.0))?;
        if self.add(parent, name, &link)? || !self.is_good(&link, hash, stat)? && self.add(parent, name, &link)? {
            self.known().insert(hash);
            return Ok(());
        }
        match linkat(&self.folder, link.as_c_str(), parent, WAITING, AtFlags::empty()) {
            Ok(()) => renameat(parent, WAITING, parent, name)?,
            // As many links as a file can have, or no link for want of room in the index: this one stays by itself.
            Err(nix::Error::EMLINK | nix::Error::ENOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.saved.fetch_add(stat.st_size as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Makes this file the one that others become links to; false where there is one.
    fn add(&self, parent: BorrowedFd<'_>, name: &CStr, link: &CStr) -> io::Result<bool> {
        match linkat(parent, name, &self.folder, link, AtFlags::empty()) {
            // ext4 says that it is full where its index of this one folder is; then files are no longer shared.
            Ok(()) | Err(nix::Error::ENOSPC) => Ok(true),
            Err(nix::Error::EEXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an existing link may be used. One that is damaged is removed.
    fn is_good(&self, link: &CStr, hash: Sha256, like: &FileStat) -> io::Result<bool> {
        if self.known().contains(&hash) {
            return Ok(true);
        }
        let folder = self.folder.as_fd();
        let stat = pack::stat(folder, link)?;
        let same = (stat.st_size, stat.st_mode, stat.st_mtime) == (like.st_size, like.st_mode, like.st_mtime);
        if same && pack::nar_hash(folder, link)?.0 == hash {
            self.known().insert(hash);
            return Ok(true);
        }
        unlinkat(folder, link, UnlinkatFlags::NoRemoveDir)?;
        Ok(false)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<Sha256>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nar_tree::made;
    use std::{fs, os::unix::fs::MetadataExt};

    /// Trees of the same two files, in the form of a store.
    mod nar_tree {
        use nix_store::nar::Sink;
        use nix_store::tree::Tree;
        use std::{fs::File, os::fd::AsFd, path::Path};

        pub fn made(store: &Path, name: &str) {
            let handle = File::open(store).unwrap();
            let mut tree = Tree::new(handle.as_fd(), name.as_bytes());
            tree.enter(b"").unwrap();
            for (name, executable) in [(b"a", false), (b"b", true)] {
                tree.open(name, executable, 3).unwrap();
                tree.write(b"abc").unwrap();
                tree.close().unwrap();
            }
            tree.leave().unwrap();
        }
    }

    fn share(links: &Links, store: &Path, name: &str) {
        let handle = File::open(store).unwrap();
        links.share_tree(handle.as_fd(), &CString::new(name).unwrap()).unwrap();
    }

    fn inode(path: &Path) -> u64 {
        path.metadata().unwrap().ino()
    }

    #[test]
    fn equal_files_become_one_and_the_trees_stay_as_they_were() {
        let store = tempfile::tempdir().unwrap();
        let links = Links::open(store.path()).unwrap();
        for name in ["one", "two"] {
            made(store.path(), name);
            share(&links, store.path(), name);
        }
        let at = |path: &str| store.path().join(path);
        assert_eq!((inode(&at("one/a")), inode(&at("one/b"))), (inode(&at("two/a")), inode(&at("two/b"))));
        assert_ne!(inode(&at("one/a")), inode(&at("one/b")), "one of them is a program");
        assert_eq!(links.saved(), 6);
        let metadata = at("two").metadata().unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (0o555, 1));
        assert_eq!(fs::read_dir(at("two")).unwrap().count(), 2);
    }

    #[test]
    fn a_link_that_lost_its_content_is_replaced_and_never_used() {
        let store = tempfile::tempdir().unwrap();
        made(store.path(), "one");
        share(&Links::open(store.path()).unwrap(), store.path(), "one");
        for link in fs::read_dir(store.path().join(".links")).unwrap() {
            fs::remove_file(link.unwrap().path()).unwrap();
        }
        made(store.path(), "two");
        share(&Links::open(store.path()).unwrap(), store.path(), "two");
        for link in fs::read_dir(store.path().join(".links")).unwrap() {
            let path = link.unwrap().path();
            fs::remove_file(&path).unwrap();
            fs::write(path, "abd").unwrap();
        }
        let links = Links::open(store.path()).unwrap();
        for name in ["three", "four"] {
            made(store.path(), name);
            share(&links, store.path(), name);
        }
        assert_eq!(fs::read(store.path().join("four/a")).unwrap(), b"abc");
        assert_eq!(inode(&store.path().join("three/a")), inode(&store.path().join("four/a")));
    }
}
