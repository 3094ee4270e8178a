//! The /dev that programs of the target see while its boot loader is installed: no disk but those of the layout, and the
//! links below /dev/disk that udev would make of them.

use crate::{
    device_node::{sysfs_number, uevent},
    probe,
    stack::Stack,
};
use blkid::{Prober, Superblocks};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::{Mode, SFlag, makedev, mknod},
};
use protocol::{
    Code,
    failure::{OrFail, Result},
    inventory::Disk,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, FileTypeExt, MetadataExt, symlink},
    },
    path::{Path, PathBuf},
};

/// Folders below /dev that are looked into.
const DEPTH: usize = 4;
/// Device numbers of disks and of what stands on them.
type Numbers = BTreeSet<u64>;

/// Such a folder; gone on drop.
#[derive(Debug)]
pub struct TargetDev {
    folder: PathBuf,
}

/// A disk of the layout: what the layout calls it, and which it is.
pub type Asked<'a> = (&'a str, &'a Disk);

/// What is known of a block device, for the links to it.
#[derive(Debug, Default, PartialEq)]
struct Names {
    uuid: Option<String>,
    label: Option<String>,
    partuuid: Option<String>,
    partlabel: Option<String>,
}

impl TargetDev {
    /// A folder of its own at this place, with what there is now.
    ///
    /// # Errors
    /// `E-SYSTEM` where it cannot be made.
    pub fn stage(folder: &Path, disks: &[Asked<'_>]) -> Result<Self> {
        let activity = || format!("making {}", folder.display());
        fs::create_dir_all(folder).or_fail(Code::System, activity)?;
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_NOEXEC, Some("mode=755,size=1m"))
            .or_fail(Code::System, activity)?;
        let staged = Self { folder: folder.to_owned() };
        let stack = Stack::read();
        let names: Vec<&str> = disks.iter().map(|(_, disk)| disk.name.as_str()).collect();
        let standing = stack.top_down(&names);
        let numbers: Numbers =
            standing.iter().map(|node| makedev(u64::from(node.number.0), u64::from(node.number.1))).collect();
        copy(Path::new("/dev"), folder, &numbers, DEPTH).or_fail(Code::System, activity)?;
        let known: BTreeMap<&str, Names> =
            standing.iter().map(|node| (node.name.as_str(), names_of(&node.name))).collect();
        let partitions = disks.iter().map(|(_, disk)| (disk.name.as_str(), probe::partitions(&disk.name))).collect();
        for (link, name) in links(disks, &partitions, &known) {
            place(folder, &link, &name).or_fail(Code::System, activity)?;
        }
        Ok(staged)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for TargetDev {
    fn drop(&mut self) {
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Links below /dev, without that prefix, and the kernel's name of what each leads to.
fn links(
    disks: &[Asked<'_>],
    partitions: &BTreeMap<&str, BTreeMap<u32, String>>,
    known: &BTreeMap<&str, Names>,
) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    for (asked, disk) in disks {
        let parts = partitions.get(disk.name.as_str());
        let mut name = |link: String| {
            for (number, part) in parts.into_iter().flatten() {
                links.entry(format!("{link}-part{number}")).or_insert_with(|| part.clone());
            }
            links.entry(link).or_insert_with(|| disk.name.clone());
        };
        disk.by_id.iter().for_each(|id| name(format!("disk/by-id/{id}")));
        disk.by_path.iter().for_each(|path| name(format!("disk/by-path/{path}")));
        disk.diskseq.iter().for_each(|number| name(format!("disk/by-diskseq/{number}")));
        // What the layout, and with it the system's configuration, calls the disk, whichever was selected for it.
        let asked = asked.strip_prefix("/dev/").filter(|asked| is_below(asked));
        asked.into_iter().for_each(|asked| name(asked.to_owned()));
    }
    for (device, names) in known {
        for (folder, value) in [
            ("by-uuid", &names.uuid),
            ("by-label", &names.label),
            ("by-partuuid", &names.partuuid),
            ("by-partlabel", &names.partlabel),
        ] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                links.entry(format!("disk/{folder}/{}", encoded(value))).or_insert_with(|| (*device).to_owned());
            }
        }
    }
    links
}

/// Whether the path stays below its folder.
fn is_below(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !["", ".", ".."].contains(&part))
}

/// As udev writes a name from outside: what could be mistaken is `\x20` and the like.
fn encoded(text: &str) -> String {
    let is_safe = |one: char| one.is_alphanumeric() || "#+-.:=@_".contains(one);
    text.chars()
        .map(|one| match one {
            one if is_safe(one) => one.to_string(),
            one => one.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        })
        .collect()
}

fn names_of(name: &str) -> Names {
    let mut names = Names { partlabel: uevent(name, "PARTNAME"), ..Names::default() };
    names.partuuid = partuuid(name);
    let Ok(file) = File::open(probe::device_path(name)) else { return names };
    let Ok(mut prober) = Prober::new(file.as_fd(), 0, 0) else { return names };
    // What cannot be told apart has no name.
    if prober.superblocks(Superblocks::DEFAULT).is_ok() && prober.probe_whole().unwrap_or(false) {
        (names.uuid, names.label) = (prober.value(c"UUID"), prober.value(c"LABEL"));
    }
    names
}

/// The GUID of a GPT's partition, or the disk's signature and the number where there is an MBR.
fn partuuid(name: &str) -> Option<String> {
    let number: u32 = uevent(name, "PARTN")?.parse().ok()?;
    let disk = fs::canonicalize(Path::new("/sys/class/block").join(name)).ok()?;
    let disk = disk.parent()?.file_name()?.to_string_lossy().into_owned();
    let file = File::open(probe::device_path(&disk)).ok()?;
    let sector = u32::try_from(sysfs_number(&disk, "queue/logical_block_size")?).ok()?;
    if let Some(table) = probe::table(&file, sector) {
        return table.partitions.get(&number).map(|extent| extent.guid.to_string());
    }
    let mut signature = [0; 4];
    file.read_exact_at(&mut signature, 440).ok()?;
    Some(format!("{:08x}-{number:02x}", u32::from_le_bytes(signature)))
}

/// Folders, character devices, the block devices with these numbers, and the links that lead to such.
fn copy(from: &Path, to: &Path, numbers: &Numbers, depth: usize) -> io::Result<()> {
    for entry in fs::read_dir(from)?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let kind = found.file_type();
        let is_ours = |number: u64| numbers.contains(&number);
        if kind.is_dir() && depth > 0 && path != to {
            fs::create_dir_all(&target)?;
            copy(&path, &target, numbers, depth - 1)?;
        } else if kind.is_char_device() || kind.is_block_device() && is_ours(found.rdev()) {
            let kind = if kind.is_char_device() { SFlag::S_IFCHR } else { SFlag::S_IFBLK };
            mknod(&target, kind, Mode::from_bits_truncate(found.mode() & 0o777), found.rdev())?;
        } else if kind.is_symlink() {
            let leads_to_foreign_disk =
                fs::metadata(&path).is_ok_and(|found| found.file_type().is_block_device() && !is_ours(found.rdev()));
            if !leads_to_foreign_disk {
                symlink(fs::read_link(&path)?, &target)?;
            }
        }
    }
    Ok(())
}

/// Makes a link unless something has the name.
fn place(folder: &Path, link: &str, name: &str) -> io::Result<()> {
    let path = folder.join(link);
    let up = "../".repeat(link.matches('/').count());
    let target = probe::device_path(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match symlink(format!("{up}{}", target.strip_prefix("/dev").unwrap_or(&target).display()), path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, by_id: &[&str], by_path: Option<&str>) -> Disk {
        Disk {
            name: name.to_owned(),
            by_id: by_id.iter().map(|id| (*id).to_owned()).collect(),
            by_path: by_path.map(str::to_owned),
            diskseq: Some(7),
            ..Disk::default()
        }
    }

    #[test]
    fn a_disk_has_udevs_names_and_the_one_that_the_layout_uses() {
        let vda = disk("vda", &["virtio-a"], Some("pci-0000:00:03.0"));
        let nvme = disk("nvme0n1", &["nvme-x", "virtio-a"], None);
        let partitions = BTreeMap::from([
            ("vda", BTreeMap::from([(1, "vda1".to_owned())])),
            ("nvme0n1", BTreeMap::from([(2, "nvme0n1p2".to_owned())])),
        ]);
        let names = Names {
            uuid: Some("67E3-17ED".to_owned()),
            label: Some("my root/..".to_owned()),
            partuuid: Some("c12a7328".to_owned()),
            partlabel: Some("disk-main-ESP".to_owned()),
        };
        let known = BTreeMap::from([("vda1", names), ("nvme0n1p2", Names::default())]);
        let disks = [("/dev/disk/by-id/chosen-by-the-spec", &vda), ("/dev/../etc/passwd", &nvme)];
        let links = links(&disks, &partitions, &known);
        for (link, name) in [
            ("disk/by-id/virtio-a", "vda"),
            ("disk/by-id/virtio-a-part1", "vda1"),
            ("disk/by-id/nvme-x-part2", "nvme0n1p2"),
            ("disk/by-path/pci-0000:00:03.0-part1", "vda1"),
            ("disk/by-diskseq/7", "vda"),
            ("disk/by-id/chosen-by-the-spec", "vda"),
            ("disk/by-id/chosen-by-the-spec-part1", "vda1"),
            ("disk/by-uuid/67E3-17ED", "vda1"),
            ("disk/by-label/my\\x20root\\x2f..", "vda1"),
            ("disk/by-partuuid/c12a7328", "vda1"),
            ("disk/by-partlabel/disk-main-ESP", "vda1"),
        ] {
            assert_eq!(links.get(link).map(String::as_str), Some(name), "{link}: {links:?}");
        }
        assert!(links.keys().all(|link| is_below(link)), "{links:?}");
    }

    #[test]
    fn a_folder_holds_no_block_device_that_is_not_named() {
        let to = tempfile::tempdir().unwrap();
        copy(Path::new("/dev"), to.path(), &Numbers::new(), DEPTH).unwrap();
        assert!(to.path().join("null").exists());
        fn blocks(folder: &Path) -> usize {
            let entries = fs::read_dir(folder).unwrap().flatten();
            let count = |entry: fs::DirEntry| match entry.file_type().unwrap() {
                kind if kind.is_dir() => blocks(&entry.path()),
                kind => usize::from(kind.is_block_device()),
            };
            entries.map(count).sum()
        }
        assert_eq!(blocks(to.path()), 0);
        place(to.path(), "disk/by-id/x", "vda").unwrap();
        assert_eq!(fs::read_link(to.path().join("disk/by-id/x")).unwrap(), Path::new("../../vda"));
        place(to.path(), "null", "vda").unwrap();
        assert!(to.path().join("null").metadata().unwrap().file_type().is_char_device());
    }
}
