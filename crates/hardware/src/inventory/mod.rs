//! Reads the hardware from sysfs and procfs: the running machine's, or a captured tree's.
//!
//! Whatever is missing or odd stays out of the inventory; reading it never fails.

pub mod by_id;
mod by_path;
mod disks;
mod firmware;
mod nics;
mod processor;
mod secure_boot;
pub mod sysfs;

#[cfg(test)]
mod tests;

use protocol::{
    Code, Failure,
    boot_trust::Fetched,
    claims::Claims,
    failure::{OrFail, Result},
    inventory::{Disk, Inventory, Nic},
    names::Mac,
};
use std::{
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};
use sysfs::Dir;

/// Where sysfs and procfs are.
#[derive(Debug, Clone)]
pub struct Roots {
    /// sysfs
    pub sys: PathBuf,
    /// procfs; `None` in a captured tree without one.
    pub proc: Option<PathBuf>,
}

impl Roots {
    /// Those of the running machine.
    pub fn live() -> Self {
        Self { sys: "/sys".into(), proc: Some("/proc".into()) }
    }

    /// A captured tree: a folder with `sys` and `proc` in it, or a sysfs itself.
    pub fn captured(folder: PathBuf) -> Self {
        let (sys, proc) = (folder.join("sys"), folder.join("proc"));
        if sys.is_dir() { Self { sys, proc: proc.is_dir().then_some(proc) } } else { Self { sys: folder, proc: None } }
    }

    fn is_live(&self) -> bool {
        self.proc.as_deref() == Some(std::path::Path::new("/proc"))
    }
}

/// The running machine's hardware.
pub fn read() -> Inventory {
    read_from(&Roots::live())
}

/// The running machine's disks alone.
pub fn disks() -> Vec<Disk> {
    disks::read(&Dir::new(&Roots::live().sys))
}

/// The disk that stands at a path of the running machine: a whole disk, a loop device, or an image file.
///
/// # Errors
/// `E-DISK-NOT-FOUND` where nothing is there; `E-DISK-UNFIT` for a partition, a folder and whatever else is no disk.
pub fn disk_of_path(path: &Path) -> Result<Disk> {
    let activity = || format!("looking at {}", path.display());
    let found = std::fs::metadata(path).or_fail(Code::DiskNotFound, activity)?;
    if found.file_type().is_file() {
        return disks::of_file(path).or_fail(Code::DiskIo, activity);
    }
    let unfit = |what: &str| Failure::new(Code::DiskUnfit, format!("{}: it is {what}", activity()));
    if !found.file_type().is_block_device() {
        return Err(unfit("neither a block device nor a file"));
    }
    disk_of_device(found.rdev()).ok_or_else(|| unfit("no whole disk and no loop device"))
}

/// The whole disk or loop device of a device number.
pub fn disk_of_device(device: u64) -> Option<Disk> {
    let sys = Dir::new(&Roots::live().sys);
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let block = sys.join("dev/block").follow(&number)?;
    (!block.has("partition") && !block.has("dm") && !block.has("md")).then(|| disks::disk(&sys, &block))
}

/// The running machine's network cards alone.
pub fn nics() -> Vec<Nic> {
    nics::read(&Dir::new(&Roots::live().sys))
}

/// Everything there is to read below these roots.
pub fn read_from(roots: &Roots) -> Inventory {
    let sys = Dir::new(&roots.sys);
    let proc = roots.proc.as_deref().map(Dir::new);
    let live = if roots.is_live() { processor::live() } else { None };
    let (cpu, memory_bytes) = live.or_else(|| proc.as_ref().map(processor::captured)).unwrap_or_default();
    Inventory {
        cpu,
        memory_bytes,
        disks: disks::read(&sys),
        nics: nics::read(&sys),
        dmi: firmware::dmi(&sys),
        firmware: firmware::kind(&sys),
        tpm: firmware::has_tpm(&sys),
        secure_boot: secure_boot::read(&sys),
        // The kernel line has it, which is no hardware.
        fetched: Fetched::default(),
        pci: firmware::pci(&sys),
        kernel: proc.and_then(|proc| proc.text("sys/kernel/osrelease")).unwrap_or_default(),
    }
}

/// What the machine says of itself, the card that it booted from first. A card on USB is no part of the machine: it is somebody's
/// adapter, or the management controller's, which has one address on many boards.
pub fn claims(inventory: &Inventory, bootif: Option<&Mac>) -> Claims {
    let mut macs: Vec<Mac> = bootif.into_iter().cloned().collect();
    for nic in inventory.nics.iter().filter(|nic| nic.bus.as_deref() != Some("usb")) {
        if !macs.contains(&nic.mac) {
            macs.push(nic.mac.clone());
        }
    }
    Claims { uuid: inventory.dmi.uuid.clone(), serial: inventory.dmi.serial.clone(), macs }.cleaned()
}
