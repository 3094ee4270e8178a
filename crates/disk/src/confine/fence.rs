//! What the kernel refuses to a hook. Its text could make a node of its own for a disk that it is not shown, or mount a
//! /dev that has all of them; a control group of devices is asked however a device is opened.

use nix::{
    libc,
    mount::{MntFlags, MsFlags, mount, umount2},
};
use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// A control group whose processes open none of some devices; gone when it is dropped.
#[derive(Debug)]
pub struct Fence {
    group: PathBuf,
    processes: File,
    _hierarchy: Hierarchy,
}

impl Fence {
    /// Against these devices. `place` is a folder to be made, and where the groups are seen meanwhile.
    ///
    /// # Errors
    /// Those of the kernel, which may have been built without such groups.
    pub fn against(numbers: &[(u32, u32)], place: &Path) -> io::Result<Self> {
        let hierarchy = Hierarchy::mount(place)?;
        let group = place.join(format!("centra-{}", std::process::id()));
        // Of a process that had the same number.
        let _ = fs::remove_dir(&group);
        fs::create_dir(&group)?;
        for (major, minor) in numbers {
            fs::write(group.join("devices.deny"), format!("b {major}:{minor} rwm"))?;
        }
        let processes = File::options().write(true).open(group.join("cgroup.procs"))?;
        Ok(Self { group, processes, _hierarchy: hierarchy })
    }

    /// Has the command run behind it, with all that it starts.
    pub fn enclose(&self, command: &mut Command) {
        let processes = self.processes.as_raw_fd();
        let enter = move || {
            // SAFETY: two bytes of this program's own, to a descriptor that `self` keeps open until the child is there.
            match unsafe { libc::write(processes, c"0".as_ptr().cast(), 1) } {
                1 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: between fork and exec only a system call is made.
        unsafe { command.pre_exec(enter) };
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}

/// Where the groups are mounted.
#[derive(Debug)]
struct Hierarchy(PathBuf);

impl Hierarchy {
    fn mount(place: &Path) -> io::Result<Self> {
        fs::create_dir_all(place)?;
        let made = Self(place.to_owned());
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("cgroup"), place, Some("cgroup"), flags, Some("devices"))?;
        Ok(made)
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}
