//! Mounts the target's file systems in order, and unmounts and closes everything again.

use super::{
    action::Device,
    confine::{self, Wanted},
    opened::Opened,
    plan::{
        Plan,
        facts::{Mount, Source, SwapSpace},
    },
    private_dev, probe, swap, tool,
};
use blkid::{Prober, Superblocks};
use hardware::coldplug;
use host::command;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// Tables of names that vfat asks the kernel for while it is mounted.
const VFAT_NAMES: [&str; 2] = ["nls_cp437", "nls_ascii"];

/// Loads what mounting will ask the kernel for, while the file systems are still being made. Only where modules are the
/// agent's to load: each that the kernel has to ask for costs a start of the agent.
pub fn load_ahead(plan: &Plan) {
    if fs::read_to_string("/proc/sys/kernel/modprobe").is_ok_and(|program| program.trim() != "/init") {
        return;
    }
    let mut names: Vec<String> = plan.mounts.iter().map(|one| format!("fs-{}", one.format)).collect();
    if plan.mounts.iter().any(|one| one.format == "vfat") {
        names.extend(VFAT_NAMES.map(str::to_owned));
    }
    names.sort();
    names.dedup();
    // What does not load is asked for again by whoever needs it.
    std::thread::spawn(move || drop(coldplug::load(&names)));
}

/// The mounted target. Unmounted and closed on drop, also after a failure, so that the next attempt finds free
/// disks.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    targets: Vec<(PathBuf, Mount)>,
    swaps: Vec<PathBuf>,
    opened: Opened,
}

impl Mounted {
    /// Mounts the plan's file systems below `root`, and swaps to its swap space.
    ///
    /// # Errors
    /// `E-DISK-IO` where a file system does not mount; what was mounted is unmounted again, and what was open is
    /// closed.
    pub fn mount(plan: &Plan, opened: Opened, root: &Path) -> Result<Self> {
        let mut mounted = Self { root: root.to_owned(), targets: Vec::new(), swaps: Vec::new(), opened };
        plan.mounts.iter().try_for_each(|mount| mounted.mount_one(mount))?;
        plan.swaps.iter().for_each(|swap| mounted.swap_on(swap));
        Ok(mounted)
    }

    fn mount_one(&mut self, one: &Mount) -> Result<()> {
        let target = self.root.join(one.mountpoint.trim_start_matches('/'));
        let activity = || format!("mounting {} at {}", one.source, target.display());
        self.run_hook(one, "preMountHook", one.hooks.pre_mount_hook.as_ref())?;
        fs::create_dir_all(&target).or_fail(Code::DiskIo, activity)?;
        let source = match &one.source {
            Source::Folder(folder) => {
                let folder = self.root.join(folder.trim_start_matches('/'));
                fs::create_dir_all(&folder).or_fail(Code::DiskIo, activity)?;
                folder.to_string_lossy().into_owned()
            }
            Source::Device(device) => {
                let node = self.opened.dev().nodes().node_of(device)?;
                check_uuid(&node, one.uuid.as_deref()).map_err(|failure| failure.context(activity()))?;
                self.show(device)?
            }
            Source::Devices(devices, _) => {
                devices.iter().map(|device| self.show(device)).collect::<Result<Vec<_>>>()?.join(":")
            }
            Source::Named(name) => name.clone(),
        };
        let (flags, data) = options(&one.options);
        if one.format == "zfs" {
            // By the name of a dataset alone; it opens no disk.
            let arguments = ["-o", &one.options.join(","), &source, &target.to_string_lossy()];
            command::run("mount.zfs", &arguments).map_err(|failure| failure.context(activity()))?;
        } else if flags.contains(MsFlags::MS_BIND) {
            mount(Some(source.as_str()), &target, None::<&str>, flags, None::<&str>).or_fail(Code::DiskIo, activity)?;
        } else {
            self.opened.dev().show_disks()?;
            let wanted = Wanted { format: &one.format, source: &source, flags, data: &data };
            confine::mount_at(&wanted, self.opened.dev().root(), &target).or_fail(Code::DiskIo, activity)?;
        }
        self.targets.push((target, one.clone()));
        self.run_hook(one, "postMountHook", one.hooks.post_mount_hook.as_ref())
    }

    /// The name of a device that the mount table is to have.
    fn show(&self, device: &Device) -> Result<String> {
        let dev = self.opened.dev();
        dev.show(device)?;
        let name = dev.nodes().wait_for(device)?;
        Ok(private_dev::node_name(device, &name).to_string_lossy().into_owned())
    }

    fn run_hook(&self, one: &Mount, name: &str, text: Option<&String>) -> Result<()> {
        let Some(text) = text else { return Ok(()) };
        let device = match &one.source {
            Source::Device(device) => self.opened.dev().show(device)?.to_string_lossy().into_owned(),
            other => other.to_string(),
        };
        let variables = [
            ("device", device),
            ("mountpoint", one.mountpoint.clone()),
            ("format", one.format.clone()),
            ("fsType", one.format.clone()),
            ("rootMountPoint", self.root.to_string_lossy().into_owned()),
        ];
        tool::run_hook(&format!("{}.{name}", one.mountpoint), text, &variables, self.opened.dev())
    }

    /// Without swap an installation is only a little closer to the end of its memory.
    fn swap_on(&mut self, space: &SwapSpace) {
        if space.random_encryption {
            return;
        }
        let path = match &space.device {
            Some(device) => self.opened.dev().nodes().node_of(device).ok(),
            None => Some(self.root.join(space.path.trim_start_matches('/'))),
        };
        let Some(path) = path else { return };
        match swap::on(&path, space) {
            Ok(()) => self.swaps.push(path),
            Err(error) => tracing::warn!("swapping to {}: {error}", path.display()),
        }
    }

    /// What an earlier `disk mount` has left mounted below `root`.
    ///
    /// # Errors
    /// `E-DISK-IO` where nothing of it is mounted.
    pub fn adopt(plan: &Plan, root: &Path) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").or_fail(Code::DiskIo, || "reading /proc/self/mounts")?;
        let is_mounted = |target: &Path| {
            let target = target.to_string_lossy().trim_end_matches('/').replace(' ', "\\040");
            mounts.lines().any(|line| line.split(' ').nth(1) == Some(target.as_str()))
        };
        let targets = plan.mounts.iter().map(|one| (root.join(one.mountpoint.trim_start_matches('/')), one.clone()));
        let targets = targets.filter(|(target, _)| is_mounted(target)).collect();
        let opened = Opened::of(plan)?;
        let in_use = fs::read_to_string("/proc/swaps").unwrap_or_default();
        let path_of = |space: &SwapSpace| match &space.device {
            Some(device) => opened.dev().nodes().find(device).map(|name| probe::device_path(&name)),
            None => Some(root.join(space.path.trim_start_matches('/'))),
        };
        let swaps = plan.swaps.iter().filter_map(path_of);
        let is_used = |path: &PathBuf| in_use.lines().any(|line| line.split(' ').next() == path.to_str());
        let swaps = swaps.filter(is_used).collect();
        Ok(Self { root: root.to_owned(), targets, swaps, opened })
    }

    /// Where the target's `/` is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Leaves everything mounted and open.
    pub fn leave(mut self) {
        self.targets.clear();
        self.swaps.clear();
        self.opened.forget();
    }

    /// Unmounts everything; the file systems are clean after it, and all below them is closed.
    ///
    /// # Errors
    /// `E-DISK-IO`, `E-TOOL` where something is busy.
    pub fn unmount(mut self) -> Result<()> {
        while let Some(path) = self.swaps.pop() {
            swap::off(&path).or_fail(Code::DiskIo, || format!("swapping off {}", path.display()))?;
        }
        while let Some((target, one)) = self.targets.pop() {
            let at = target.display();
            self.run_hook(&one, "preUnmountHook", one.hooks.pre_unmount_hook.as_ref())?;
            umount2(&target, MntFlags::empty()).or_fail(Code::DiskIo, || format!("unmounting {at}"))?;
            self.run_hook(&one, "postUnmountHook", one.hooks.post_unmount_hook.as_ref())?;
        }
        self.opened.close_all()
    }
}

/// Lets go of everything that an earlier process of this boot has left mounted below `root`, open or swapped to.
/// For the initrd alone. Gives a line for each thing that was done.
pub fn release(root: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(|path| path.replace("\\040", " "));
    let below: Vec<String> = targets.filter(|path| Path::new(path).starts_with(root)).collect();
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let swaps = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let mut lines = Vec::new();
    for path in swaps.filter(|path| swap::off(Path::new(path)).is_ok()) {
        lines.push(format!("swapped off {path}"));
    }
    for path in below.iter().rev() {
        if umount2(path.as_str(), MntFlags::empty()).or_else(|_| umount2(path.as_str(), MntFlags::MNT_DETACH)).is_ok() {
            lines.push(format!("unmounted {path}"));
        }
    }
    lines.extend(super::teardown::close_all());
    lines
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for path in self.swaps.drain(..) {
            drop(swap::off(&path));
        }
        for (target, _) in self.targets.drain(..).rev() {
            if umount2(&target, MntFlags::empty()).is_err() {
                let _ = umount2(&target, MntFlags::MNT_DETACH);
            }
        }
    }
}

/// What is mounted is the file system of the plan, whatever the device is called.
fn check_uuid(node: &Path, wanted: Option<&str>) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let reading = || "reading its UUID";
    let file = File::open(node).or_fail(Code::DiskIo, reading)?;
    let mut prober = Prober::new(file.as_fd(), 0, 0).or_fail(Code::DiskIo, reading)?;
    prober.superblocks(Superblocks::DEFAULT).or_fail(Code::DiskIo, reading)?;
    let is_one = prober.probe_whole().or_fail(Code::DiskIo, reading)?;
    let found = if is_one { prober.value(c"UUID").unwrap_or_default() } else { String::new() };
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let found = if found.is_empty() { "none".to_owned() } else { found };
    Err(Failure::new(Code::DiskUnfit, format!("its UUID is {found}, and the plan's is {wanted}")))
}

/// fstab's words as the kernel takes them: flags, and the rest for the file system.
fn options(words: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut rest = Vec::new();
    for word in words.iter().flat_map(|word| word.split(',')) {
        match word {
            "" | "defaults" | "rw" | "auto" | "noauto" | "nofail" | "nouser" | "suid" | "dev" | "exec" | "async" => {}
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
            "dirsync" => flags |= MsFlags::MS_DIRSYNC,
            "bind" => flags |= MsFlags::MS_BIND,
            "rbind" => flags |= MsFlags::MS_BIND | MsFlags::MS_REC,
            // For systemd and util-linux, not for the kernel.
            _ if word.starts_with("x-") || word.starts_with("X-") || word.starts_with("comment=") => {}
            "_netdev" | "user" | "users" | "owner" | "group" => {}
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
        let words =
            ["defaults", "noatime", "umask=0077", "x-systemd.automount", "ro", "X-mount.mkdir"].map(str::to_owned);
        let (flags, rest) = options(&words);
        assert_eq!(flags, MsFlags::MS_NOATIME);
        assert_eq!(rest, "umask=0077");
    }

    #[test]
    fn options_that_stand_in_one_word_are_taken_apart() {
        let (flags, rest) = options(&["compress_algorithm=zstd:6,lazytime,nodiscard".to_owned()]);
        assert_eq!(flags, MsFlags::MS_LAZYTIME);
        assert_eq!(rest, "compress_algorithm=zstd:6,nodiscard");
    }
}
