//! `--check`: reads what is registered, and finds what is not as it was registered. Nix compares the hash alone; modes
//! and times count here too, as a path with others is not what Nix would have made.

use super::{
    database::{Database, Registered},
    store::Store,
};
use nix::{
    fcntl::OFlag,
    sys::stat::{FileStat, SFlag},
};
use nix_store::{fault::disk_failure, pack};
use protocol::{Failure, failure::Result, names::StorePath};
use std::{
    collections::HashSet,
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Mutex,
};

/// The registered paths among `toplevels` and all they refer to that are damaged, found by so many threads.
///
/// # Errors
/// `E-DISK-IO` where the database cannot be read.
pub fn damaged(
    toplevels: &[StorePath],
    store: &Store,
    database: &Database,
    threads: usize,
) -> Result<HashSet<StorePath>> {
    let work = Mutex::new(registered(toplevels, database)?);
    let damaged = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((path, registered)) = take(&work) {
                    if let Err(why) = intact(store.handle(), &path, &registered) {
                        tracing::warn!("{path} is damaged: {}", why.cause);
                        damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(path);
                    }
                }
            });
        }
    });
    Ok(damaged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn take<T>(work: &Mutex<Vec<T>>) -> Option<T> {
    work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
}

fn registered(toplevels: &[StorePath], database: &Database) -> Result<Vec<(StorePath, Registered)>> {
    let mut seen: HashSet<StorePath> = toplevels.iter().cloned().collect();
    let mut waiting: Vec<StorePath> = seen.iter().cloned().collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let Some(references) = database.references(&path)? else { continue };
        waiting.extend(references.into_iter().filter(|path| seen.insert(path.clone())));
        let registered = database.content(&path)?;
        found.push((path, registered));
    }
    Ok(found)
}

/// Says what is wrong with a path's files.
fn intact(store: BorrowedFd<'_>, path: &StorePath, registered: &Registered) -> Result<()> {
    let failed = |error: io::Error| disk_failure(format!("reading {path}"), &error);
    let name = CString::new(path.base()).map_err(|error| failed(error.into()))?;
    let (hash, size) = pack::nar_hash(store, &name).map_err(failed)?;
    let wrong = |what: String| Err(Failure::new(protocol::Code::ClosureCorrupt, what));
    if registered.nar_hash != Some(hash) {
        return wrong(format!("its NAR has the hash sha256:{hash}"));
    }
    if registered.nar_size.is_some_and(|registered| registered != size) {
        return wrong(format!("its NAR has {size} bytes"));
    }
    match canonical(store, &name).map_err(failed)? {
        true => Ok(()),
        false => wrong("an object in it has another mode, time or owner than a store path has".to_owned()),
    }
}

/// Whether an object and all below it have the metadata of a store path.
fn canonical(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let stat = pack::stat(parent, name)?;
    if !is_canonical(&stat) {
        return Ok(false);
    }
    if pack::kind(&stat) != SFlag::S_IFDIR {
        return Ok(true);
    }
    let directory = pack::open(parent, name, OFlag::O_DIRECTORY)?;
    for entry in pack::names(directory.as_fd())? {
        if !canonical(directory.as_fd(), &entry)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_canonical(stat: &FileStat) -> bool {
    let mode = match pack::kind(stat) {
        SFlag::S_IFLNK => stat.st_mode & 0o7777,
        SFlag::S_IFDIR => 0o555,
        _ if stat.st_mode & 0o100 != 0 => 0o555,
        _ => 0o444,
    };
    stat.st_mode & 0o7777 == mode
        && (stat.st_mtime, stat.st_mtime_nsec) == (1, 0)
        && stat.st_uid == nix::unistd::geteuid().as_raw()
}
