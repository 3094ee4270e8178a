//! A tool's view of the machine: device nodes are in its own /dev and nowhere else, and it sees no process but those
//! that it started. So no word that it is given leads to a disk which is not shown there.

pub mod fence;

use nix::{
    libc,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::Command,
};

/// Linux 5.12.
static NODEV: libc::mount_attr = libc::mount_attr { attr_set: 0x4, attr_clr: 0, propagation: 0, userns_fd: 0 };
const AT_RECURSIVE: libc::c_uint = 0x8000;
const SET_FLAG: libc::c_uint = 0;
const SET_STRING: libc::c_uint = 1;
const CREATE: libc::c_uint = 6;
const FROM_EMPTY_PATH: libc::c_uint = 0x4;
const CLOEXEC: libc::c_uint = 1;
const NONE: libc::c_long = 0;

/// Has the command run with the folder `dev` as its /dev, in the folder `working`. It ends with the thread that started
/// it, and all that it has started ends with it.
pub fn enter(command: &mut Command, dev: &Path, working: &Path) -> io::Result<()> {
    let (dev, working) = (text(dev)?, text(working)?);
    let agent = nix::unistd::getpid();
    let enter = move || {
        die_with_parent()?;
        // It may have ended before the line above.
        if nix::unistd::getppid() != agent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
        show_only(dev.as_c_str())?;
        become_first()?;
        die_with_parent()?;
        // Through another process' root, /proc would lead to the machine's own /dev.
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some(c"proc"), c"/proc", Some(c"proc"), flags, None::<&CStr>)?;
        nix::unistd::chdir(working.as_c_str())?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, on memory made before.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn die_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a number alone.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// In a mount namespace of the caller's own: device nodes are found below /dev alone, which is the folder `dev`.
fn show_only(dev: &CStr) -> io::Result<()> {
    mount(None::<&CStr>, c"/", None::<&CStr>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&CStr>)?;
    // SAFETY: the path and the attributes live until the call returns, and the size is that of the attributes.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            AT_RECURSIVE,
            &raw const NODEV,
            size_of::<libc::mount_attr>(),
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(Some(dev), c"/dev", None::<&CStr>, MsFlags::MS_BIND, None::<&CStr>)?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(None::<&CStr>, c"/dev", None::<&CStr>, flags, None::<&CStr>)?;
    Ok(())
}

/// Goes on as the first process of a namespace of process numbers; the process that was there waits for it and ends as
/// it ends.
fn become_first() -> io::Result<()> {
    // Without the handlers of fork(3), which take locks that another thread may hold.
    // SAFETY: without CLONE_VM and with no stack of its own, the child goes on in a copy of this memory.
    match unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD), NONE, NONE, NONE, NONE) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(()),
        child => wait_for(child as libc::pid_t),
    }
}

fn wait_for(child: libc::pid_t) -> ! {
    let mut status = 0;
    // SAFETY: system calls on numbers and on a status that lives on this stack; none of them takes a lock. What the
    // agent waits to be closed, and the pipes of the tool, are the child's alone from here on.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        while libc::waitpid(child, &raw mut status, 0) == -1 {
            if *libc::__errno_location() != libc::EINTR {
                libc::_exit(127);
            }
        }
        if libc::WIFSIGNALED(status) {
            libc::signal(libc::WTERMSIG(status), libc::SIG_DFL);
            libc::kill(libc::getpid(), libc::WTERMSIG(status));
        }
        libc::_exit(libc::WEXITSTATUS(status));
    }
}

/// A file system as it is to be mounted.
pub struct Wanted<'a> {
    /// Its kind.
    pub format: &'a str,
    /// What the kernel is told to mount.
    pub source: &'a str,
    /// Of the mount.
    pub flags: MsFlags,
    /// For the file system, separated by commas.
    pub data: &'a str,
}

/// Mounts a file system at `target`. What its options name is looked for as [`enter`] has a tool look for it.
///
/// # Errors
/// Those of the kernel.
pub fn mount_at(wanted: &Wanted<'_>, dev: &Path, target: &Path) -> io::Result<()> {
    let (dev, target) = (text(dev)?, text(target)?);
    let there = std::thread::scope(|scope| {
        let prepare = || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            show_only(dev.as_c_str())?;
            nix::unistd::chdir("/run")?;
            detached(wanted)
        };
        scope.spawn(prepare).join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
    })?;
    // SAFETY: both paths are strings that live until the call returns.
    let moved = unsafe {
        let (from, to) = (c"".as_ptr(), target.as_ptr());
        libc::syscall(libc::SYS_move_mount, there.as_raw_fd(), from, libc::AT_FDCWD, to, FROM_EMPTY_PATH)
    };
    if moved == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A mount that is nowhere yet.
fn detached(wanted: &Wanted<'_>) -> io::Result<OwnedFd> {
    let format = CString::new(wanted.format)?;
    // SAFETY: the kind is a string that lives until the call returns; the descriptor is ours alone.
    let context = unsafe { owned(libc::syscall(libc::SYS_fsopen, format.as_ptr(), CLOEXEC)) }?;
    let set = |command: libc::c_uint, key: &str, value: Option<&str>| {
        let key = CString::new(key)?;
        let value = value.map(CString::new).transpose()?;
        let value = value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr());
        let key = if command == CREATE { std::ptr::null() } else { key.as_ptr() };
        // SAFETY: key and value are strings, or not there, and live until the call returns.
        match unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key, value, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    set(SET_STRING, "source", Some(wanted.source))?;
    for (flag, name) in
        [(MsFlags::MS_SYNCHRONOUS, "sync"), (MsFlags::MS_DIRSYNC, "dirsync"), (MsFlags::MS_LAZYTIME, "lazytime")]
    {
        if wanted.flags.contains(flag) {
            set(SET_FLAG, name, None)?;
        }
    }
    for word in wanted.data.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some((key, value)) => set(SET_STRING, key, Some(value))?,
            None => set(SET_FLAG, word, None)?,
        }
    }
    set(CREATE, "", None)?;
    // SAFETY: fsmount takes numbers alone; the descriptor is ours alone.
    unsafe { owned(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, attributes(wanted.flags))) }
}

/// # Safety
/// The number is a descriptor that nobody else owns, or the -1 of a failed call.
unsafe fn owned(number: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(number) {
        // SAFETY: as the caller promises.
        Ok(number @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The flags of mount(2) as fsmount(2) has them.
fn attributes(flags: MsFlags) -> libc::c_uint {
    let known = [
        (MsFlags::MS_RDONLY, 0x1),
        (MsFlags::MS_NOSUID, 0x2),
        (MsFlags::MS_NODEV, 0x4),
        (MsFlags::MS_NOEXEC, 0x8),
        (MsFlags::MS_NOATIME, 0x10),
        (MsFlags::MS_STRICTATIME, 0x20),
        (MsFlags::MS_NODIRATIME, 0x80),
    ];
    known.into_iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, attribute)| all | attribute)
}

#[cfg(test)]
mod tests;
