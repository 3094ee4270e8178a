//! Runs programs of the target with the target as their root, as nixos-enter does: in mounts, processes and a host name of
//! their own, so that whatever they mount or leave running ends with them.

use host::command;
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{chdir, chroot},
};
use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{
    ffi::{CStr, CString, OsStr},
    fs, io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    time::Duration,
};

/// A file system that the programs see below the target.
struct Mount {
    source: CString,
    target: CString,
    kind: Option<CString>,
    flags: MsFlags,
    data: Option<CString>,
}

/// The target as a root.
pub struct Chroot {
    root: CString,
    mounts: Vec<Mount>,
    /// Shows the processes of the new namespace, so it is mounted by the first of them.
    proc: CString,
}

impl Chroot {
    /// The target at this folder.
    ///
    /// # Errors
    /// `E-DISK-IO` where it does not take a folder.
    pub fn new(root: &Path) -> Result<Self> {
        Ok(Self { root: text(root.as_os_str())?, mounts: Vec::new(), proc: mount_point(root, "proc")? })
    }

    /// The kernel's file systems of this kind are mounted there.
    ///
    /// # Errors
    /// As [`Chroot::new`].
    pub fn with(mut self, root: &Path, kind: &str, at: &str, data: Option<&str>) -> Result<Self> {
        let kind = text(OsStr::new(kind))?;
        self.mounts.push(Mount {
            source: kind.clone(),
            // What lies in a file system that is mounted first has its folders there.
            target: if at.starts_with("sys/") { text(root.join(at).as_os_str())? } else { mount_point(root, at)? },
            kind: Some(kind),
            flags: MsFlags::empty(),
            data: data.map(|data| text(OsStr::new(data))).transpose()?,
        });
        Ok(self)
    }

    /// This folder is seen there.
    ///
    /// # Errors
    /// As [`Chroot::new`].
    pub fn with_folder(mut self, root: &Path, folder: &Path, at: &str) -> Result<Self> {
        self.mounts.push(Mount {
            source: text(folder.as_os_str())?,
            target: mount_point(root, at)?,
            kind: None,
            flags: MsFlags::MS_BIND | MsFlags::MS_REC,
            data: None,
        });
        Ok(self)
    }

    /// Runs a program to its end; whatever it left running ends with it.
    ///
    /// # Errors
    /// `E-TOOL` as [`command::run_within`].
    pub fn run(
        self,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        limit: Duration,
    ) -> Result<command::Output> {
        let mut command = command::prepare(program, arguments);
        command.env_clear().envs(variables.iter().copied());
        // SAFETY: between fork and exec, `enter` makes system calls only, on memory made before.
        unsafe { command.pre_exec(move || enter(&self)) };
        command::run_within(command, limit)
    }
}

/// The folder is made now: nothing can be made between fork and exec.
fn mount_point(root: &Path, at: &str) -> Result<CString> {
    let target = root.join(at);
    if !target.exists() {
        fs::create_dir_all(&target).or_fail(Code::DiskIo, || format!("making {}", target.display()))?;
    }
    text(target.as_os_str())
}

fn text(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).or_fail(Code::Internal, || "naming a folder of the target")
}

fn enter(chroot_to: &Chroot) -> io::Result<()> {
    const NOTHING: Option<&CStr> = None;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS)?;
    mount(NOTHING, c"/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    for one in &chroot_to.mounts {
        let (kind, data) = (one.kind.as_deref(), one.data.as_deref());
        mount(Some(one.source.as_c_str()), one.target.as_c_str(), kind, one.flags, data)?;
    }
    become_first_process()?;
    mount(Some(c"proc"), chroot_to.proc.as_c_str(), Some(c"proc"), MsFlags::empty(), NOTHING)?;
    chroot(chroot_to.root.as_c_str())?;
    chdir(c"/")?;
    Ok(())
}

/// Only a child is in the new namespace of processes. It goes on; this process waits for it and ends as it does. With the
/// first process of the namespace all others end, and it ends with the agent.
fn become_first_process() -> io::Result<()> {
    let die_with_parent = || {
        // SAFETY: takes two numbers.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
    };
    die_with_parent()?;
    // SAFETY: fork without the C library's handlers, which are not for a process that has forked from threads.
    let child = Errno::result(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })?;
    if child == 0 {
        return Ok(die_with_parent()?);
    }
    // SAFETY: system calls on numbers, and on a status that outlives the call; this process never returns from here. It
    // lets go of the pipes first: the child alone has them, until its end.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        let mut status = 0;
        while libc::waitpid(child as libc::pid_t, &raw mut status, 0) < 0 && Errno::last() == Errno::EINTR {}
        libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(60);

    fn sh(script: &str, limit: Duration) -> Result<command::Output> {
        let path = [("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")];
        Chroot::new(Path::new("/")).unwrap().run("/bin/sh", &["-c", script], &path, limit)
    }

    #[test]
    fn what_a_program_leaves_running_or_mounted_ends_with_it() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().display();
        let marker = format!("sleep 4{:05}", std::process::id());
        let started = Instant::now();
        let script =
            format!("mount -t tmpfs none {at} && touch {at}/x && {marker} & sleep 0.5; echo done; hostname other");
        assert_eq!(sh(&script, LIMIT).unwrap().stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(30), "it waited for what was left running");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains(&*at.to_string()));
        let still_runs = |process: &fs::DirEntry| {
            fs::read(process.path().join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0).collect::<Vec<_>>().join(&b' ').starts_with(marker.as_bytes())
            })
        };
        assert!(!fs::read_dir("/proc").unwrap().flatten().any(|process| still_runs(&process)), "{marker}");
        assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "other\n");
    }

    #[test]
    fn a_program_that_fails_or_never_ends_is_named() {
        let failure = sh("echo it hurts >&2; exit 3", LIMIT).unwrap_err();
        assert!(failure.cause.contains("exit status: 3: it hurts"), "{failure}");
        let started = Instant::now();
        let failure = sh("echo half; sleep 600", Duration::from_millis(300)).unwrap_err();
        assert!(failure.cause.contains("still running after") && failure.cause.contains("half"), "{failure}");
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(sh("kill -9 $$; sleep 600 & exec sleep 600", Duration::from_secs(1)).is_err());
    }
}
