//! The /dev that tools see: the plan's disks, their partitions, and what a run has made of them so far. Where there is
//! no udev, the names of what is open are put into the machine's own /dev as well.

use super::{
    action::Device,
    device_node::{Nodes, mapper_name, name_of, number_of, uevent},
    exclusive, probe, stack,
};
use nix::{
    libc,
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::{Mode, SFlag, mknod},
};
use protocol::{Code, failure::OrFail, failure::Result, inventory::Disk};
use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Where the engine keeps what only it uses.
pub const PRIVATE: &str = "/run/centra/disk";
/// What tools need beside disks, where the machine has it.
const CONTROLS: [&str; 11] = [
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "mapper/control",
    "loop-control",
    "btrfs-control",
    "bcachefs-ctl",
    "zfs",
];
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
const FOLDERS: [&str; 4] = ["mapper", "md", "disk/by-partlabel", "shm"];
const PARTITION_NAMES: &str = "disk/by-partlabel";

/// A folder of device nodes, gone when it is dropped.
#[derive(Debug)]
pub struct PrivateDev {
    root: PathBuf,
    nodes: Nodes,
    disks: Vec<Disk>,
}

impl PrivateDev {
    /// For a plan's disks.
    ///
    /// # Errors
    /// `E-SYSTEM` where it cannot be made.
    pub fn new(disks: Vec<Disk>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        forget_the_dead();
        let name = format!("dev-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(PRIVATE).join(name);
        let activity = || format!("preparing the devices that tools see in {}", root.display());
        private_folder(Path::new(PRIVATE)).and_then(|()| folder(&root)).or_fail(Code::System, activity)?;
        folder(&working_folder()).or_fail(Code::System, activity)?;
        mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, Some("mode=0755,size=4m"))
            .or_fail(Code::System, activity)?;
        let names = disks.iter().map(|disk| disk.name.clone()).collect();
        let made = Self { nodes: Nodes::new(names, root.clone()), root, disks };
        made.fill().or_fail(Code::System, || "preparing the devices that tools see")?;
        Ok(made)
    }

    fn fill(&self) -> io::Result<()> {
        FOLDERS.iter().try_for_each(|name| folder(&self.root.join(name)))?;
        self.show_controls()?;
        LINKS.iter().try_for_each(|(name, to)| symlink(to, self.root.join(name)))
    }

    /// Those of modules come when these are loaded.
    fn show_controls(&self) -> io::Result<()> {
        for name in CONTROLS {
            let own = self.root.join(name);
            let Ok(found) = fs::metadata(Path::new("/dev").join(name)) else { continue };
            if found.file_type().is_char_device() && fs::symlink_metadata(&own).is_err() {
                mknod(&own, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), found.rdev())?;
            }
        }
        Ok(())
    }

    /// The folder that a tool gets as its /dev.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The kernel's names of the plan's disks.
    pub fn disks(&self) -> Vec<&str> {
        self.disks.iter().map(|disk| disk.name.as_str()).collect()
    }

    /// Looks for devices on the plan's disks.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Shows the plan's disks and their partitions as they are now, also by the partitions' names.
    ///
    /// # Errors
    /// `E-DISK-UNFIT` where one is another disk by now, `E-DISK-IO`.
    pub fn show_disks(&self) -> Result<()> {
        let links = self.root.join(PARTITION_NAMES);
        let showing = || "showing the disks to tools";
        fs::remove_dir_all(&links).and_then(|()| folder(&links)).or_fail(Code::System, showing)?;
        self.show_controls().or_fail(Code::System, showing)?;
        for disk in &self.disks {
            check_same_disk(disk)?;
            self.show_with_partitions(&disk.name)
                .or_fail(Code::System, || format!("showing {} to tools", disk.name))?;
        }
        Ok(())
    }

    fn show_with_partitions(&self, name: &str) -> io::Result<()> {
        self.put_kernel_node(name)?;
        for partition in probe::partitions(name).values() {
            self.put_kernel_node(partition)?;
            if let Some(label) = partition_name(partition) {
                put_link(&self.root.join(PARTITION_NAMES).join(label), &probe::device_path(partition), true)?;
            }
        }
        Ok(())
    }

    /// Shows a device that is there by now; the name by which tools know it.
    ///
    /// # Errors
    /// `E-DISK-IO` where it does not appear, or stands on another disk than the plan's.
    pub fn show(&self, device: &Device) -> Result<PathBuf> {
        let name = self.nodes.wait_for(device)?;
        let showing = || format!("showing {device} to tools");
        self.show_with_partitions(&name).or_fail(Code::System, showing)?;
        put_names(&self.root, device, &name, true).or_fail(Code::System, showing)?;
        Ok(name_of(device, &name))
    }

    /// Puts the names that tools have made of what is open into the machine's own /dev, where nobody else does. One that
    /// is there and leads elsewhere stays.
    pub fn publish(&self) {
        if has_udev() {
            return;
        }
        let groups = entries(&self.root).into_iter().filter(|path| path.is_dir() && !path.is_symlink());
        for folder in groups {
            let Some(name) = folder.file_name().map(PathBuf::from) else { continue };
            for path in entries(&folder) {
                let Some(own) = path.file_name() else { continue };
                if let Err(error) = copy_name(&path, &Path::new("/dev").join(&name).join(own)) {
                    tracing::warn!("naming {} in /dev: {error}", path.display());
                }
            }
        }
    }

    fn put_kernel_node(&self, name: &str) -> io::Result<()> {
        let path = probe::device_path(name);
        let path = self.root.join(path.strip_prefix("/dev").unwrap_or(&path));
        put_node(&path, number_of(name), true)
    }
}

impl Drop for PrivateDev {
    fn drop(&mut self) {
        let _ = umount2(&self.root, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.root);
    }
}

/// Folders that a process which was killed has left.
fn forget_the_dead() {
    for entry in fs::read_dir(PRIVATE).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix("dev-").and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = umount2(&entry.path(), MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The name may mean another disk by now.
///
/// # Errors
/// `E-DISK-UNFIT` where it does, `E-DISK-IO` where it cannot be opened.
pub fn check_same_disk(disk: &Disk) -> Result<()> {
    let path = probe::device_path(&disk.name);
    let opening = || format!("opening {}", path.display());
    let file = File::open(&path).or_fail(Code::DiskIo, opening)?;
    exclusive::check(disk, &file).map_err(|failure| failure.context(opening()))
}

/// The node of a device in the machine's own /dev, by the name that stays the same.
pub fn node_name(device: &Device, name: &str) -> PathBuf {
    match mapper_name(device) {
        Some(mapper) => Path::new("/dev/mapper").join(mapper),
        None => probe::device_path(name),
    }
}

/// Removes what [`PrivateDev::publish`] has put there, where the device is gone.
pub fn tidy() {
    if has_udev() {
        return;
    }
    for path in entries(Path::new("/dev/mapper")) {
        if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_block_device() && is_gone(&found)) {
            let _ = fs::remove_file(path);
        }
    }
    for path in entries(Path::new("/dev/md")).into_iter().filter(|path| leads_nowhere(path)) {
        let _ = fs::remove_file(path);
    }
    // Groups of volumes: folders of links into /dev/mapper.
    for folder in entries(Path::new("/dev")).into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
        let is_there = |to: &Path| to.starts_with("../mapper") || to.starts_with("/dev/mapper");
        let into_mapper = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| is_there(&to));
        let is_dead = |path: &PathBuf| into_mapper(path) && leads_nowhere(path);
        let dead: Vec<PathBuf> = entries(&folder).into_iter().filter(is_dead).collect();
        if !dead.is_empty() {
            dead.iter().for_each(|path| drop(fs::remove_file(path)));
            // Only an empty folder goes.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A node, or a link to one beside it; of what is neither there is nothing to be named.
fn copy_name(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    if found.file_type().is_block_device() {
        return put_node(to, Some((libc::major(found.rdev()), libc::minor(found.rdev()))), false);
    }
    match fs::read_link(from) {
        Ok(link) if link.starts_with("..") || link.starts_with("/dev") => put_link(to, &link, false),
        _ => Ok(()),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn has_udev() -> bool {
    Path::new("/run/udev/control").exists()
}

/// What the kernel says of a partition's name, where it can be a name of a file.
fn partition_name(partition: &str) -> Option<String> {
    uevent(partition, "PARTNAME").filter(|label| layout::partition_path(label).is_some())
}

/// Names of a device of the mapper, an array or a volume of a pool, beside the kernel's own.
fn put_names(root: &Path, device: &Device, name: &str, anew: bool) -> io::Result<()> {
    let kernel = probe::device_path(name);
    match device {
        Device::Mapper(_) | Device::Volume { .. } => {
            let mapper = mapper_name(device).unwrap_or_default();
            put_node(&root.join("mapper").join(&mapper), number_of(name), anew)?;
            if let Device::Volume { group, name } = device {
                put_link(&root.join(group).join(name), &Path::new("../mapper").join(&mapper), anew)?;
            }
            Ok(())
        }
        Device::Array(array) => put_link(&root.join("md").join(array), &Path::new("..").join(name), anew),
        Device::Zvol { pool, name } => put_link(&root.join("zvol").join(pool).join(name), &kernel, anew),
        Device::Disk { .. } | Device::Partition(..) => Ok(()),
    }
}

/// A block node; one that is there and leads elsewhere is replaced where `anew` says so, or its device is gone.
fn put_node(path: &Path, number: Option<(u32, u32)>, anew: bool) -> io::Result<()> {
    let (major, minor) = number.ok_or_else(|| io::Error::other("the kernel shows no such device"))?;
    let wanted = libc::makedev(major, minor);
    if let Ok(found) = fs::symlink_metadata(path) {
        let is_it = fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == wanted);
        if is_it {
            return Ok(());
        }
        if !anew && !leads_nowhere(path) && !is_gone(&found) {
            return Err(io::Error::other(format!("{} leads elsewhere", path.display())));
        }
        fs::remove_file(path)?;
    }
    path.parent().map_or(Ok(()), folder)?;
    Ok(mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), wanted)?)
}

fn put_link(path: &Path, to: &Path, anew: bool) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        if fs::read_link(path).is_ok_and(|found| found == to) {
            return Ok(());
        }
        if !anew && !leads_nowhere(path) {
            return Err(io::Error::other(format!("{} leads elsewhere", path.display())));
        }
        fs::remove_file(path)?;
    }
    path.parent().map_or(Ok(()), folder)?;
    symlink(to, path)
}

fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

fn is_gone(found: &Metadata) -> bool {
    let (major, minor) = (libc::major(found.rdev()), libc::minor(found.rdev()));
    found.file_type().is_block_device() && !stack::is_known(major, minor)
}

/// Where tools work: a relative word leads to nothing there.
pub fn working_folder() -> PathBuf {
    Path::new(PRIVATE).join("empty")
}

/// That only root sees.
pub fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}
