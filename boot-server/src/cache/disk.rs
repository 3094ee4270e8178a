//! The files of the cache. Everything here blocks.
//!
//! A file gets its name when it is whole and durable; no symbolic link is followed, not by a write either.

use super::Member;
use crate::base::files;
use nix::{
    fcntl::{AT_FDCWD, OFlag, open, openat, renameat},
    sys::{stat::Mode, statvfs::statvfs},
    unistd::{UnlinkatFlags, fsync, unlinkat},
};
use nix_store::narinfo::{self, NarInfo};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};
use tempfile::NamedTempFile;

/// Uploads that are under way; no name of the cache begins with a dot.
pub const INCOMING: &str = ".incoming";

/// The folder of a cache.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The cache in this folder.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes what is missing, and removes what an interrupted upload left behind.
    pub fn prepare(&self) -> Result<()> {
        let incoming = self.0.join(INCOMING);
        let activity = || format!("preparing the cache {}", self.0.display());
        match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).or_fail(Code::System, activity),
            _ => {}
        }
        let make = |path: PathBuf, mode| std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
        make(self.0.join("nar"), 0o755).or_fail(Code::System, activity)?;
        make(incoming, 0o700).or_fail(Code::System, activity)
    }

    /// A file without a name of the cache. It goes away by itself unless it is kept.
    ///
    /// # Errors
    /// `E-SYSTEM`, `E-NO-SPACE`.
    pub fn incoming(&self) -> Result<NamedTempFile> {
        NamedTempFile::new_in(self.0.join(INCOMING)).map_err(|error| unwritten("making a file in the cache", &error))
    }

    /// Gives the file its name, once its content is durable; replaces what has the name.
    ///
    /// # Errors
    /// `E-SYSTEM`, `E-NO-SPACE`.
    pub fn keep(&self, file: &NamedTempFile, member: Member) -> Result<()> {
        let keep = || -> io::Result<()> {
            // Another web server may serve the same folder.
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            let (folder, name) = self.parent(member)?;
            renameat(AT_FDCWD, file.path(), folder.as_fd(), name)?;
            fsync(folder.as_fd())?;
            Ok(())
        };
        keep().map_err(|error| unwritten(&format!("writing {} of the cache", member.names().join("/")), &error))
    }

    /// Opens a member; none where it is not here.
    pub fn open(&self, member: Member) -> Result<Option<(File, Metadata)>> {
        match files::open_below(&self.0, &member.names()) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).or_fail(Code::System, || format!("opening {} of the cache", member.names().join("/")))
            }
        }
    }

    /// The narinfo of a hash part as it is written; none where it is not here.
    ///
    /// # Errors
    /// `E-CLOSURE-CORRUPT` for what is no narinfo of this hash part, `E-SYSTEM`.
    pub fn narinfo(&self, hash: &str) -> Result<Option<(String, NarInfo)>> {
        let name = format!("{hash}.narinfo");
        let Some((file, _)) = self.open(Member::NarInfo(&name))? else { return Ok(None) };
        let mut text = String::new();
        let corrupt =
            |cause: String| Failure::new(Code::ClosureCorrupt, format!("reading {name} of the cache: {cause}"));
        file.take(narinfo::MAX_BYTES as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|error| corrupt(error.to_string()))?;
        let info = narinfo::parse(&text).map_err(|error| corrupt(error.to_string()))?;
        if info.path.hash_part() != hash {
            return Err(corrupt(format!("it is about {}", info.path)));
        }
        Ok(Some((text, info)))
    }

    /// Whether there is a narinfo of this hash part.
    pub fn has(&self, hash: &str) -> Result<bool> {
        Ok(self.open(Member::NarInfo(&format!("{hash}.narinfo")))?.is_some())
    }

    /// When a narinfo came or went last.
    pub fn changed(&self) -> Result<SystemTime> {
        let changed = std::fs::metadata(&self.0).and_then(|metadata| metadata.modified());
        changed.or_fail(Code::System, || format!("reading the cache {}", self.0.display()))
    }

    /// Bytes that may still be written.
    pub fn free(&self) -> Result<u64> {
        let fs = statvfs(&self.0).or_fail(Code::System, || format!("reading the cache {}", self.0.display()))?;
        Ok(fs.blocks_available().saturating_mul(fs.fragment_size()))
    }

    /// Takes a member's name away, durably once [`Folder::sync`] is done; none of this name is fine.
    pub fn remove(&self, member: Member) -> Result<()> {
        let remove = || -> io::Result<()> {
            let (folder, name) = self.parent(member)?;
            match unlinkat(folder.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
                Err(nix::Error::ENOENT) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        remove().or_fail(Code::System, || format!("removing {} of the cache", member.names().join("/")))
    }

    /// Makes what was removed durable.
    pub fn sync(&self) -> Result<()> {
        let sync = |member| -> io::Result<()> { Ok(fsync(self.parent(member)?.0.as_fd())?) };
        sync(Member::Info)
            .and_then(|()| sync(Member::Nar("")))
            .or_fail(Code::System, || format!("syncing the cache {}", self.0.display()))
    }

    /// The folder that holds the member, and its name there.
    fn parent<'a>(&self, member: Member<'a>) -> io::Result<(OwnedFd, &'a str)> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&self.0, flags, Mode::empty())?;
        match member {
            Member::Info => Ok((root, "nix-cache-info")),
            Member::NarInfo(name) => Ok((root, name)),
            Member::Nar(name) => Ok((openat(root, "nar", flags | OFlag::O_NOFOLLOW, Mode::empty())?, name)),
        }
    }
}

/// A write that failed.
pub fn unwritten(activity: &str, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => no_space(&format!("{activity}: {error}")),
        _ => Failure::from_error(Code::System, activity, error),
    }
}

/// The cache is full.
pub fn no_space(cause: &str) -> Failure {
    Failure::new(Code::NoSpace, cause)
        .with_remedy("free some on the boot-server: boot-server closure gc, or a larger disk for [cache] dir")
}
