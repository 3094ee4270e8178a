//! What stands on a disk now. Reads only.

pub use super::signature::Signature;
use super::{
    partitions::Extent,
    signature,
    stack::{Kind, Node, Stack},
};
use gpt::disk::LogicalBlockSize;
use protocol::inventory::Disk;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A GUID partition table as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOnDisk {
    /// Of the disk.
    pub guid: Uuid,
    /// By partition number.
    pub partitions: BTreeMap<u32, Extent>,
}

/// Why the kernel would not let go of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Busy {
    /// A file system of it is mounted.
    Mounted {
        /// What is mounted: the disk, a partition, or what stands on it.
        device: String,
        /// Where.
        at: String,
    },
    /// The kernel swaps to it.
    Swap {
        /// The disk, a partition, or what stands on it.
        device: String,
    },
    /// It is one path of a multipath disk.
    Multipath {
        /// That disk.
        by: String,
    },
    /// Arrays, volumes or mappings stand on it. They can be taken down.
    Held {
        /// As an operator knows them, those on top first.
        by: Vec<String>,
        /// The other disks that they stand on, too.
        also_on: Vec<String>,
    },
    /// Something holds it that the agent cannot take down.
    Claimed {
        /// What, where the kernel says.
        by: Option<String>,
    },
}

impl Busy {
    /// In words, behind "it is".
    pub fn describe(&self) -> String {
        match self {
            Busy::Mounted { device, at } => format!("in use: {device} is mounted at {at}"),
            Busy::Swap { device } => format!("in use: the kernel swaps to {device}"),
            Busy::Multipath { by } => format!("a path of the {by}"),
            Busy::Held { by, .. } => format!("held by {}", by.join(", ")),
            Busy::Claimed { by: Some(by) } => format!("in use: held by {by}"),
            Busy::Claimed { by: None } => "in use: the kernel does not let it be opened alone".to_owned(),
        }
    }
}

/// What stands on one disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// On the disk and on its partitions.
    pub signatures: Vec<Signature>,
    /// The partition table, if it is a valid GPT; also where only its backup is left.
    pub table: Option<TableOnDisk>,
    /// What the kernel does with it.
    pub busy: Option<Busy>,
    /// Why it cannot be read.
    pub unreadable: Option<String>,
}

impl Content {
    /// Nothing was found on it, and nothing stands on it.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty() && self.table.is_none() && self.busy.is_none() && self.unreadable.is_none()
    }

    /// What stands on a device, by kernel name; where there are several, the one that says most.
    pub fn signature_of(&self, device: &str) -> Option<&Signature> {
        let mut on = self.signatures.iter().filter(|signature| signature.device == device);
        let first = on.next()?;
        Some(std::iter::once(first).chain(on).find(|one| one.usage.is_some()).unwrap_or(first))
    }

    /// One cell of the table of disks.
    pub fn describe(&self) -> String {
        if let Some(why) = &self.unreadable {
            return format!("unreadable: {why}");
        }
        let mut found: Vec<String> = self.signatures.iter().map(Signature::describe).collect();
        if let Some(Busy::Held { by, .. }) = &self.busy {
            found.push(format!("active: {}", by.join(", ")));
        }
        match (found.is_empty(), &self.busy) {
            (false, _) => found.join(", "),
            (true, Some(busy)) => busy.describe(),
            (true, None) if self.table.is_some() => "a partition table".to_owned(),
            (true, None) => "empty".to_owned(),
        }
    }
}

/// Reads what stands on each of the disks, by kernel name. A disk that cannot be read says so in its content.
pub fn contents(disks: &[Disk]) -> BTreeMap<String, Content> {
    let stack = Stack::read();
    disks.iter().map(|disk| (disk.name.clone(), content(disk, &stack))).collect()
}

/// Reads what stands on one disk, a loop device or an image file.
pub fn content(disk: &Disk, stack: &Stack) -> Content {
    let mut content = Content { busy: busy(stack, &disk.name), ..Content::default() };
    if disk.size == 0 {
        return content;
    }
    let path = device_path(&disk.name);
    if let Err(why) = read(disk, &path, &mut content) {
        content.unreadable = Some(format!("reading {}: {why}", path.display()));
    }
    if content.busy.is_none() && is_claimed(&path) {
        content.busy = Some(Busy::Claimed { by: None });
    }
    content
}

fn read(disk: &Disk, path: &Path, content: &mut Content) -> Result<(), String> {
    let file = open(path).map_err(|error| error.to_string())?;
    content.table = table(&file, disk.sector_size);
    content.signatures = signature::scan(&file, &disk.name, 0, disk.size)?;
    // Of a table that is known, the bytes are not unknown.
    if content.table.is_some() {
        content.signatures.retain(|signature| !signature.is_unknown());
    }
    let partitions = partitions(&disk.name);
    for name in partitions.values() {
        let path = device_path(name);
        let of_partition = |why: String| format!("its partition {name}: {why}");
        let file = open(&path).map_err(|error| of_partition(error.to_string()))?;
        content.signatures.extend(signature::scan(&file, name, 0, 0).map_err(of_partition)?);
    }
    // The kernel shows no partitions of a file, and none where the first copy of the table is gone.
    let hidden = content.table.iter().flat_map(|table| &table.partitions);
    for (number, extent) in hidden.filter(|(number, _)| !partitions.contains_key(number)) {
        let sector = u64::from(disk.sector_size.max(512));
        let start = extent.first.saturating_mul(sector);
        let end = extent.last.saturating_add(1).saturating_mul(sector).min(disk.size);
        if start < end {
            let name = partition_name(&disk.name, *number);
            content.signatures.extend(signature::scan(&file, &name, start, end - start)?);
        }
    }
    Ok(())
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK).open(path)
}

/// Whether the kernel refuses to open it exclusively, as it does for file systems and pools that no table shows.
fn is_claimed(path: &Path) -> bool {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_EXCL;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
}

/// Why the kernel would not let go of a disk; what cannot be taken down comes first.
pub fn busy(stack: &Stack, disk: &str) -> Option<Busy> {
    let standing = stack.top_down(&[disk]);
    if let Some(node) = standing.iter().find(|node| !node.mounts.is_empty()) {
        return Some(Busy::Mounted { device: node.label(), at: node.mounts.join(", ") });
    }
    if let Some(node) = standing.iter().find(|node| node.swap) {
        return Some(Busy::Swap { device: node.label() });
    }
    if let Some(node) = standing.iter().find(|node| node.is_multipath()) {
        return Some(Busy::Multipath { by: node.label() });
    }
    let holders: Vec<&&Node> =
        standing.iter().filter(|node| node.name != disk && node.kind != Kind::Partition).collect();
    if let Some(node) = holders.iter().find(|node| !matches!(node.kind, Kind::Mapper { .. } | Kind::Array { .. })) {
        return Some(Busy::Claimed { by: Some(node.label()) });
    }
    if holders.is_empty() {
        return None;
    }
    let mut also_on: Vec<String> =
        holders.iter().flat_map(|node| stack.disks_below(&node.name)).map(str::to_owned).collect();
    also_on.sort();
    also_on.dedup();
    also_on.retain(|name| name != disk);
    Some(Busy::Held { by: holders.iter().map(|node| node.label()).collect(), also_on })
}

/// `/dev/NAME`, or the path of an image file.
pub fn device_path(name: &str) -> PathBuf {
    // sysfs writes `!` for the `/` in names such as `cciss/c0d0`.
    Path::new("/dev").join(name.replace('!', "/"))
}

/// The kernel's name for a partition.
pub fn partition_name(disk: &str, number: u32) -> String {
    let between = if disk.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{between}{number}")
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

/// The GUID partition table of an open disk.
pub fn table(file: &File, sector_size: u32) -> Option<TableOnDisk> {
    let config = gpt::GptConfig::new().writable(false).logical_block_size(block_size(sector_size));
    let disk = config.open_from_device(file.try_clone().ok()?).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::{mapper, stack};

    fn disk_with_stack(mounted: bool) -> Stack {
        let mut stack = stack(&[
            ("sda", Kind::Disk, &["sda1"]),
            ("sda1", Kind::Partition, &["md0"]),
            ("sdb", Kind::Disk, &["md0"]),
            ("md0", Kind::Array { level: "raid1".into() }, &["dm-0"]),
            ("dm-0", mapper("vg-root", "LVM-x"), &[]),
            ("sdc", Kind::Disk, &["dm-1"]),
            ("dm-1", mapper("mpatha", "mpath-3600"), &[]),
            ("sdd", Kind::Disk, &["bcache0"]),
            ("bcache0", Kind::Other, &[]),
        ]);
        if mounted {
            stack.mark("1 1 8:4 / /mnt rw - ext4 /dev/dm-0 rw", "", &|_| None);
        }
        stack
    }

    #[test]
    fn a_mount_is_seen_through_any_stack() {
        let at = "/mnt".to_owned();
        let mounted = Some(Busy::Mounted { device: "LVM volume vg-root".into(), at });
        assert_eq!(busy(&disk_with_stack(true), "sda"), mounted);
        assert_eq!(busy(&disk_with_stack(true), "sdb"), mounted);
    }

    #[test]
    fn holders_are_named_top_down_with_the_other_disks_they_stand_on() {
        let by = vec!["LVM volume vg-root".to_owned(), "md0 (raid1)".to_owned()];
        let held = Busy::Held { by, also_on: vec!["sdb".into()] };
        assert_eq!(busy(&disk_with_stack(false), "sda"), Some(held));
    }

    #[test]
    fn multipath_and_what_cannot_be_taken_down_are_told_apart() {
        let stack = disk_with_stack(false);
        assert_eq!(busy(&stack, "sdc"), Some(Busy::Multipath { by: "multipath disk mpatha".into() }));
        assert_eq!(busy(&stack, "sdd"), Some(Busy::Claimed { by: Some("bcache0".into()) }));
        assert_eq!(busy(&stack, "sde"), None);
    }

    #[test]
    fn partitions_are_named_as_the_kernel_does() {
        assert_eq!(partition_name("sda", 2), "sda2");
        assert_eq!(partition_name("nvme0n1", 2), "nvme0n1p2");
    }

    #[test]
    fn an_image_file_is_probed_with_its_partitions_and_data_of_an_unknown_kind() {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(8 << 20).unwrap();
        let content = || {
            let disk = hardware::inventory::disk_of_path(image.path()).unwrap();
            (content(&disk, &Stack::default()), disk.name)
        };
        assert!(content().0.is_empty());
        std::os::unix::fs::FileExt::write_all_at(image.as_file(), b"raw", 70_000).unwrap();
        let (found, name) = content();
        assert_eq!((found.is_empty(), found.describe()), (false, format!("{name}: unknown data")));
        let mut mkfs = std::process::Command::new("mkfs.ext4");
        mkfs.args(["-q", "-E", "offset=1048576"]).arg(image.path()).arg("4M");
        assert!(mkfs.status().unwrap().success());
        let config = gpt::GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
        let mut table = config.create_from_device(image.reopen().unwrap(), None).unwrap();
        table.add_partition("root", 4 << 20, gpt::partition_types::LINUX_FS, 0, Some(2048)).unwrap();
        table.write().unwrap();
        let (found, name) = content();
        let root = partition_name(&name, 1);
        assert_eq!(found.signature_of(&root).map(|one| one.kind.as_str()), Some("ext4"), "{found:?}");
        assert!(!found.describe().contains("unknown"), "{found:?}");
    }

    #[test]
    fn a_disk_that_is_held_is_not_empty() {
        let busy = Some(Busy::Held { by: vec!["x".into()], also_on: vec![] });
        assert!(!Content { busy, ..Content::default() }.is_empty());
    }
}
