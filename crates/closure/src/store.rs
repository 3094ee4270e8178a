//! The target's store: its folders, its lock, its room, and how a path gets into it.

use super::optimise::Links;
use nix::fcntl::{RenameFlags, renameat2};
use nix_store::{fault::disk_failure, tree};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::StorePath,
};
use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// A path that is not whole yet has this before the hash of its name. Nix leaves hidden names alone.
const TEMPORARY: &str = ".centra-";
/// Room kept besides the NARs, for the database and what the file system needs.
const MARGIN: u64 = 32 << 20;
/// An installation that was given up takes this long to end, at most.
const LOCK_TRIES: u32 = if cfg!(test) { 2 } else { 100 };
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The store below a root, locked for us.
pub struct Store {
    folder: PathBuf,
    database: PathBuf,
    handle: File,
    links: Option<Links>,
    _lock: nix::fcntl::Flock<File>,
}

impl Store {
    /// Makes the folders that are missing and locks the store. With `optimise`, equal files are shared.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where another process has it; `E-DISK-IO`.
    pub async fn open(root: &Path, optimise: bool) -> Result<Self> {
        let folder = root.join("nix/store");
        let database = root.join("nix/var/nix/db");
        let failed = |error: &io::Error| disk_failure(format!("preparing the store in {}", root.display()), error);
        prepare(&folder, &database).map_err(|error| failed(&error))?;
        let handle = File::open(&folder).map_err(|error| failed(&error))?;
        let lock = lock(&database.join("big-lock")).await?;
        let links = optimise.then(|| Links::open(&folder)).transpose().map_err(|error| failed(&error))?;
        Ok(Self { folder, database, handle, links, _lock: lock })
    }

    /// Where equal files are shared, if they are.
    pub fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// Where the database is.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The store folder, to create in.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Whether the path's files are there; a crash may have come before they were registered.
    pub fn holds(&self, path: &StorePath) -> bool {
        tree::exists(&self.folder.join(path.base()))
    }

    /// The name a path has while it is unpacked.
    pub fn temporary_name(path: &StorePath) -> String {
        format!("{TEMPORARY}{}", path.hash_part())
    }

    /// Removes whatever an attempt at `path` left.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove_temporary(&self, path: &StorePath) -> io::Result<()> {
        tree::remove(&self.folder.join(Self::temporary_name(path)))
    }

    /// Removes the files of a path that is not registered; whether there were any.
    ///
    /// # Errors
    /// `E-DISK-IO`.
    pub fn remove_unregistered(&self, path: &StorePath) -> Result<bool> {
        if !self.holds(path) {
            return Ok(false);
        }
        let path = self.folder.join(path.base());
        tree::remove(&path).or_fail(Code::DiskIo, || format!("removing the unregistered {}", path.display()))?;
        Ok(true)
    }

    /// Removes everything that was half unpacked when an earlier run ended.
    ///
    /// # Errors
    /// `E-DISK-IO`.
    pub fn remove_temporaries(&self) -> Result<()> {
        let clean = || -> io::Result<()> {
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
                    tree::remove(&entry.path())?;
                }
            }
            Ok(())
        };
        clean().or_fail(Code::DiskIo, || format!("removing leftovers in {}", self.folder.display()))
    }

    /// Gives an unpacked path its name. A damaged path of that name is exchanged for it in one step, and removed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn publish(&self, path: &StorePath) -> io::Result<()> {
        let temporary = Self::temporary_name(path);
        let rename = |flags| renameat2(&self.handle, temporary.as_str(), &self.handle, path.base(), flags);
        match rename(RenameFlags::RENAME_NOREPLACE) {
            Err(nix::Error::EEXIST) => {
                // Not before it is whole on the disk: the name is registered.
                nix::unistd::syncfs(&self.handle)?;
                rename(RenameFlags::RENAME_EXCHANGE)?;
                self.remove_temporary(path)
            }
            // A file system without flags for rename.
            Err(nix::Error::EINVAL) => fs::rename(self.folder.join(temporary), self.folder.join(path.base())),
            result => Ok(result?),
        }
    }

    /// The room that there is now.
    ///
    /// # Errors
    /// `E-DISK-IO`.
    pub fn room(&self) -> Result<Room> {
        let place = self.folder.display().to_string();
        let numbers = nix::sys::statvfs::fstatvfs(&self.handle)
            .or_fail(Code::DiskIo, || format!("asking for room in {place}"))?;
        let free = numbers.blocks_available().saturating_mul(numbers.fragment_size());
        Ok(Room { place, free, needed: MARGIN })
    }

    /// Everything written so far is on the disk when this returns.
    ///
    /// # Errors
    /// `E-DISK-IO` or `E-NO-SPACE`: since the last call, something was not written.
    pub fn sync(&self) -> Result<()> {
        nix::unistd::syncfs(&self.handle)
            .map_err(|errno| disk_failure(format!("syncing {}", self.folder.display()), &errno.into()))
    }
}

/// The room that was free, and how much of it is spoken for.
#[derive(Debug)]
pub struct Room {
    place: String,
    free: u64,
    needed: u64,
}

impl Room {
    /// Speaks for the NAR of one path more.
    ///
    /// # Errors
    /// `E-NO-SPACE` where it will not fit.
    pub fn take(&mut self, nar_size: u64) -> Result<()> {
        self.needed = self.needed.saturating_add(nar_size);
        if self.free >= self.needed {
            return Ok(());
        }
        let (place, needed, free) = (&self.place, self.needed.div_ceil(1 << 20), self.free >> 20);
        let cause = format!("the closure needs {needed} MiB or more in {place}, {free} MiB are free");
        Err(Failure::new(Code::NoSpace, cause))
    }
}

fn prepare(folder: &Path, database: &Path) -> io::Result<()> {
    let make = |folder: &Path| fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    let fresh = !folder.exists();
    make(folder)?;
    make(database)?;
    remove_default_acl(folder)?;
    if fresh {
        // For builders of the group nixbld, as NixOS sets it at every boot; it can wait until then.
        let owned = std::os::unix::fs::chown(folder, Some(0), Some(30000));
        if owned.is_ok() {
            fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o1775))?;
        }
    }
    Ok(())
}

/// Whatever is made in the store would get entries of it, and store paths have none.
fn remove_default_acl(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: both strings end with a zero byte and live until the call returns.
    let removed = unsafe { libc::removexattr(path.as_ptr(), c"system.posix_acl_default".as_ptr()) };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENODATA | libc::EOPNOTSUPP) => Ok(()),
        _ if removed == 0 => Ok(()),
        _ => Err(error),
    }
}

/// Nix itself holds this lock, shared, while it uses the store.
async fn lock(file: &Path) -> Result<nix::fcntl::Flock<File>> {
    let open = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
    let mut handle = open.or_fail(Code::DiskIo, || format!("opening {}", file.display()))?;
    for _ in 0..LOCK_TRIES {
        match nix::fcntl::Flock::lock(handle, nix::fcntl::FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::Error::EWOULDBLOCK)) => handle = back,
            Err((_, error)) => {
                return Err(Failure::from_error(Code::DiskIo, format!("locking {}", file.display()), &error));
            }
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    let cause = format!("locking {}: another process uses this store", file.display());
    Err(Failure::new(Code::WrongState, cause).with_remedy("end the other installation or Nix process and try again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(hash: char, name: &str) -> StorePath {
        StorePath::from_base(&format!("{}-{name}", hash.to_string().repeat(32))).unwrap()
    }

    #[tokio::test]
    async fn leftovers_go_and_everything_else_stays() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), false).await.unwrap();
        let folder = root.path().join("nix/store");
        let (left, other) = (path('0', "left"), path('1', "other"));
        let temporary = folder.join(Store::temporary_name(&left));
        fs::create_dir(&temporary).unwrap();
        fs::write(temporary.join("half"), "").unwrap();
        fs::create_dir(folder.join(".links")).unwrap();
        fs::write(folder.join(other.base()), "").unwrap();
        store.remove_temporaries().unwrap();
        assert!(!temporary.exists() && store.holds(&other) && folder.join(".links").exists());
        assert!(store.remove_unregistered(&other).unwrap());
        assert!(!store.remove_unregistered(&other).unwrap());
        assert!(!store.holds(&other));
    }

    #[tokio::test]
    async fn room_is_checked_with_a_margin() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), false).await.unwrap();
        let mut room = store.room().unwrap();
        room.take(1).unwrap();
        assert_eq!(room.take(u64::MAX).unwrap_err().code, Code::NoSpace);
    }

    #[tokio::test]
    async fn a_store_that_is_in_use_is_left_alone_and_free_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let first = Store::open(root.path(), false).await.unwrap();
        assert_eq!(Store::open(root.path(), false).await.err().unwrap().code, Code::WrongState);
        drop(first);
        Store::open(root.path(), false).await.unwrap();
    }

    #[test]
    fn a_temporary_name_fits_whatever_the_name() {
        let longest = path('0', &"n".repeat(211));
        assert!(Store::temporary_name(&longest).len() <= 255 && longest.base().len() <= 255);
    }
}
