//! What stands on a disk now. Reads only.

use super::plan::Extent;
use blkid::prober::{ProbeState, Prober};
use gpt::disk::LogicalBlockSize;
use protocol::{Code, failure::OrFail, failure::Result, inventory::Disk};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A magic number that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Kernel name of the disk or partition.
    pub device: String,
    /// `ext4`, `LVM2_member`, `gpt` ...
    pub kind: String,
    /// Its label, if it has one.
    pub label: Option<String>,
}

/// A GUID partition table as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOnDisk {
    /// Of the disk.
    pub guid: Uuid,
    /// By partition number.
    pub partitions: BTreeMap<u32, Extent>,
}

/// What stands on one disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// On the disk and on its partitions.
    pub signatures: Vec<Signature>,
    /// The partition table, if it is a valid GPT.
    pub table: Option<TableOnDisk>,
    /// Something of it is mounted or held by another device.
    pub in_use: bool,
}

impl Content {
    /// Nothing was found on it.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty() && self.table.is_none()
    }

    /// One cell of the table of disks.
    pub fn describe(&self) -> String {
        if self.is_empty() {
            return "empty".to_owned();
        }
        let found: Vec<String> = self
            .signatures
            .iter()
            .map(|signature| {
                let label = signature.label.as_ref().map_or_else(String::new, |label| format!(" {label:?}"));
                format!("{}: {}{label}", signature.device, signature.kind)
            })
            .collect();
        found.join(", ")
    }
}

/// Reads what stands on each of the disks, by kernel name.
///
/// # Errors
/// `E-DISK-IO` where a disk cannot be read.
pub fn contents(disks: &[Disk]) -> Result<BTreeMap<String, Content>> {
    disks.iter().map(|disk| Ok((disk.name.clone(), content(disk)?))).collect()
}

fn content(disk: &Disk) -> Result<Content> {
    let mut content = Content { in_use: is_held(&disk.name), ..Content::default() };
    if disk.size == 0 {
        return Ok(content);
    }
    let partitions = partitions(&disk.name);
    for name in std::iter::once(&disk.name).chain(partitions.values()) {
        content.signatures.extend(signatures(name)?);
        content.in_use |= is_mounted(name) || is_held(name);
    }
    content.table = table(&device_path(&disk.name), disk.sector_size);
    Ok(content)
}

/// `/dev/NAME`.
pub fn device_path(name: &str) -> PathBuf {
    Path::new("/dev").join(name)
}

/// Kernel names of a disk's partitions by number, as the kernel sees them now.
pub fn partitions(disk: &str) -> BTreeMap<u32, String> {
    let Ok(children) = fs::read_dir(Path::new("/sys/class/block").join(disk)) else { return BTreeMap::new() };
    let numbered = |entry: fs::DirEntry| {
        let number = fs::read_to_string(entry.path().join("partition")).ok()?;
        Some((number.trim().parse().ok()?, entry.file_name().to_string_lossy().into_owned()))
    };
    children.flatten().filter_map(numbered).collect()
}

fn signatures(name: &str) -> Result<Vec<Signature>> {
    let path = device_path(name);
    let activity = || format!("looking for signatures on {}", path.display());
    let prober = Prober::new_from_filename(&path).or_fail(Code::DiskIo, activity)?;
    prober.enable_superblocks(true).or_fail(Code::DiskIo, activity)?;
    prober.enable_partitions(true).or_fail(Code::DiskIo, activity)?;
    let mut found = Vec::new();
    // One probe a round; a device may carry several signatures.
    while found.len() < 64 && prober.do_probe().or_fail(Code::DiskIo, activity)? == ProbeState::Success {
        let value = |key: &str| prober.lookup_value(key).ok();
        if let Some(kind) = value("TYPE").or_else(|| value("PTTYPE")) {
            let signature = Signature { device: name.to_owned(), kind, label: value("LABEL") };
            if !found.contains(&signature) {
                found.push(signature);
            }
        }
    }
    Ok(found)
}

fn table(path: &Path, sector_size: u32) -> Option<TableOnDisk> {
    let disk = gpt::GptConfig::new().writable(false).logical_block_size(block_size(sector_size)).open(path).ok()?;
    let extent = |partition: &gpt::partition::Partition| Extent {
        guid: partition.part_guid,
        first: partition.first_lba,
        last: partition.last_lba,
    };
    let used = disk.partitions().iter().filter(|(_, partition)| partition.is_used());
    Some(TableOnDisk { guid: *disk.guid(), partitions: used.map(|(number, one)| (*number, extent(one))).collect() })
}

/// The gpt crate's name for a sector size.
pub fn block_size(sector_size: u32) -> LogicalBlockSize {
    if sector_size == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 }
}

fn is_held(name: &str) -> bool {
    fs::read_dir(Path::new("/sys/class/block").join(name).join("holders")).is_ok_and(|mut held| held.next().is_some())
}

fn is_mounted(name: &str) -> bool {
    let device = format!("/dev/{name}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').next() == Some(&device))
}
