//! Mounts the target's file systems in order, and unmounts them all again.

use super::{apply, plan::Plan};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use protocol::{Code, failure::OrFail, failure::Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The mounted target. Unmounted on drop, also after a failure, so that the next attempt finds free disks.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    targets: Vec<PathBuf>,
}

impl Mounted {
    /// Mounts the plan's file systems below `root`.
    ///
    /// # Errors
    /// `E-DISK-IO` where a file system does not mount; what was mounted is unmounted again.
    pub fn mount(plan: &Plan, root: &Path) -> Result<Self> {
        let mut mounted = Self { root: root.to_owned(), targets: Vec::new() };
        for (disk, partition, mountpoint) in plan.mounts() {
            let Some(filesystem) = &partition.filesystem else { continue };
            let device = apply::device_of(disk, partition)?;
            let target = root.join(mountpoint.trim_start_matches('/'));
            let activity = || format!("mounting {} at {}", device.display(), target.display());
            fs::create_dir_all(&target).or_fail(Code::DiskIo, activity)?;
            let (flags, data) = options(&filesystem.mount_options);
            mount(Some(&device), &target, Some(filesystem.format.as_str()), flags, Some(data.as_str()))
                .or_fail(Code::DiskIo, activity)?;
            mounted.targets.push(target);
        }
        Ok(mounted)
    }

    /// Where the target's `/` is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Unmounts everything; the file systems are clean after it.
    ///
    /// # Errors
    /// `E-DISK-IO` where one is busy.
    pub fn unmount(mut self) -> Result<()> {
        while let Some(target) = self.targets.pop() {
            umount2(&target, MntFlags::empty()).or_fail(Code::DiskIo, || format!("unmounting {}", target.display()))?;
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for target in self.targets.drain(..).rev() {
            if umount2(&target, MntFlags::empty()).is_err() {
                let _ = umount2(&target, MntFlags::MNT_DETACH);
            }
        }
    }
}

/// fstab's words as the kernel takes them: flags, and the rest for the file system.
fn options(words: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut rest = Vec::new();
    for word in words {
        match word.as_str() {
            "defaults" | "rw" | "auto" | "noauto" | "nofail" | "nouser" | "suid" | "dev" | "exec" | "async" => {}
            "ro" => flags |= MsFlags::MS_RDONLY,
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "nodiratime" => flags |= MsFlags::MS_NODIRATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "strictatime" => flags |= MsFlags::MS_STRICTATIME,
            "lazytime" => flags |= MsFlags::MS_LAZYTIME,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "sync" => flags |= MsFlags::MS_SYNCHRONOUS,
            // For systemd and util-linux, not for the kernel.
            word if word.starts_with("x-") || word.starts_with("comment=") || word == "_netdev" => {}
            word => rest.push(word),
        }
    }
    // The target is written to now, whatever it will be later.
    (flags - MsFlags::MS_RDONLY - MsFlags::MS_NOEXEC, rest.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gets_flags_and_the_file_system_the_rest() {
        let words = ["defaults", "noatime", "umask=0077", "x-systemd.automount", "ro"].map(str::to_owned);
        let (flags, rest) = options(&words);
        assert_eq!(flags, MsFlags::MS_NOATIME);
        assert_eq!(rest, "umask=0077");
    }
}
