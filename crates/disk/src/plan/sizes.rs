//! Whether what stands above the partitions has room: known before the first write, as far as the tools' own arithmetic
//! is. Where the operator's arguments change that arithmetic, the tools decide.

use super::{DiskPlan, sector_bytes};
use crate::action::Device;
use layout::{Array, Btrfs, Filesystem, Luks, LvmType, SwapFile, Volume, VolumeSize, words};
use protocol::size;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
/// lvcreate counts in these; physical volumes begin them behind the first MiB.
pub const EXTENT: u64 = 4 * MIB;
/// In front of the data of LUKS2.
const LUKS2: u64 = 16 * MIB;
/// The least that mkfs takes, in MiB: of xfsprogs 6.1, btrfs-progs 6.2 and f2fs-tools 1.15.
const LEAST: [(&str, u64); 3] = [("xfs", 300), ("btrfs", 109), ("f2fs", 52)];
/// Ten pages.
const LEAST_SWAP: u64 = 40 << 10;

/// A disk and its partitions, with their sizes.
pub fn on_disk(plan: &DiskPlan) -> Vec<(Device, u64)> {
    let sector = sector_bytes(&plan.disk);
    let partitions = plan.table.iter().flat_map(|(table, extents)| table.partitions.iter().zip(extents));
    let partitions = partitions.map(|(one, extent)| {
        (plan.device().partition(one.number), (extent.last - extent.first + 1).saturating_mul(sector))
    });
    std::iter::once((plan.device(), plan.disk.size)).chain(partitions).collect()
}

/// Devices whose sizes are known, and what does not fit on them.
#[derive(Debug, Default)]
pub struct Sizes {
    known: BTreeMap<Device, u64>,
    /// Each with its path, in the order of the layout.
    pub unfit: Vec<String>,
}

impl Sizes {
    /// For devices whose sizes are known beforehand.
    pub fn of(known: BTreeMap<Device, u64>) -> Self {
        Sizes { known, unfit: Vec::new() }
    }

    fn get(&self, device: &Device) -> Option<u64> {
        self.known.get(device).copied()
    }

    fn set(&mut self, device: &Device, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.known.insert(device.clone(), bytes);
        }
    }

    fn refuse(&mut self, at: &str, why: &str) {
        self.unfit.push(format!("at {at}: {why}"));
    }

    fn least(&mut self, at: &str, device: &Device, least: u64, what: &str) {
        if let Some(bytes) = self.get(device).filter(|bytes| *bytes < least) {
            let why = format!("{device} has {}, and {what} needs {}", size::human(bytes), size::human(least));
            self.refuse(at, &why);
        }
    }
}

/// A file system of its own device.
pub fn filesystem(sizes: &mut Sizes, at: &str, device: &Device, one: &Filesystem) {
    let least = LEAST.iter().find(|(format, _)| *format == one.format);
    if let Some((format, least)) = least.filter(|_| one.extra_args.iter().all(|word| is_harmless(word))) {
        sizes.least(at, device, least * MIB, format);
    }
}

/// btrfs with its swap files.
pub fn btrfs(sizes: &mut Sizes, at: &str, device: &Device, one: &Btrfs) {
    let extra = words(&one.extra_args).unwrap_or_default();
    if extra.iter().all(|word| is_harmless(word)) {
        sizes.least(at, device, 109 * MIB, "btrfs");
    }
    let Some(bytes) = sizes.get(device) else { return };
    // Over several devices there is more room.
    if extra.iter().any(|word| word.starts_with('/')) {
        return;
    }
    let top = one.swap.iter().map(|(key, file)| (format!("{at}.swap.{key}"), file));
    let inner = one.subvolumes.iter().flat_map(|(subvolume, one)| {
        one.swap.iter().map(move |(key, file)| (format!("{at}.subvolumes.{subvolume}.swap.{key}"), file))
    });
    let files: Vec<(String, &SwapFile)> = top.chain(inner).collect();
    let mut taken = 0u64;
    for (at, file) in files {
        taken = taken.saturating_add(size::bytes(&file.size).unwrap_or(0));
        if taken > bytes {
            let why =
                format!("with this swap file it is {}, and {device} has {}", size::human(taken), size::human(bytes));
            return sizes.refuse(&at, &why);
        }
    }
}

/// A label, or what is said to be quiet: nothing that changes how a file system is laid out.
fn is_harmless(word: &str) -> bool {
    !word.starts_with('-') || ["-L", "-l", "-f", "-q", "-F", "-K", "--label", "--quiet", "--force"].contains(&word)
}

/// Swap space on a device.
pub fn swap(sizes: &mut Sizes, at: &str, device: &Device) {
    sizes.least(at, device, LEAST_SWAP, "swap space");
}

/// What is left behind the header.
pub fn luks(sizes: &mut Sizes, at: &str, device: &Device, mapper: &Device, one: &Luks) {
    const MOVES: [&str; 7] =
        ["--type", "--offset", "--align-payload", "--header", "--luks2-metadata-size", "--luks2-keyslots-size", "-M"];
    let extra = words(&one.extra_format_args).unwrap_or_default();
    if extra.iter().any(|word| MOVES.iter().any(|option| word.starts_with(option))) {
        return;
    }
    sizes.least(at, device, LUKS2 + 512, "LUKS");
    let inside = sizes.get(device).and_then(|bytes| bytes.checked_sub(LUKS2));
    sizes.set(mapper, inside);
}

/// At most: what metadata take is left to mdadm.
pub fn array(sizes: &mut Sizes, device: &Device, members: &[Device], one: &Array) {
    if !one.extra_args.is_empty() {
        return;
    }
    let each: Option<Vec<u64>> = members.iter().map(|member| sizes.get(member)).collect();
    let Some((each, least)) = each.and_then(|each| Some((each.clone(), *each.iter().min()?))) else { return };
    let many = |count: usize| u64::try_from(count).unwrap_or(0).saturating_mul(least);
    let count = each.len();
    let bytes = match one.level {
        0 => each.iter().sum(),
        1 => least,
        4 | 5 => many(count.saturating_sub(1)),
        6 => many(count.saturating_sub(2)),
        10 => many(count) / 2,
        _ => return,
    };
    sizes.set(device, Some(bytes));
}

/// Volumes in the order in which they are made. Their sizes are known then.
pub fn group(sizes: &mut Sizes, at: &str, members: &[Device], volumes: &[(&String, &Volume, Device)]) {
    let each: Option<Vec<u64>> = members.iter().map(|member| sizes.get(member)).collect();
    let Some(each) = each else { return };
    let total: u64 = each.iter().map(|bytes| bytes.saturating_sub(MIB) / EXTENT).sum();
    let mut free = total;
    for (key, volume, device) in volumes {
        let at = format!("{at}.lvs.{key}");
        let kind = volume.lvm_type.and_then(least_members).filter(|_| volume.extra_args.is_empty());
        if let Some((kind, least)) = kind.filter(|(_, least)| members.len() < *least) {
            let why = format!("{kind} needs {least} physical volumes, and the group has {}", members.len());
            return sizes.refuse(&format!("{at}.lvm_type"), &why);
        }
        let Some(amount) = volume.amount() else { continue };
        if volume.lvm_type == Some(LvmType::ThinVolume) {
            let virtual_size = if let VolumeSize::Bytes(bytes) = amount { Some(bytes) } else { None };
            sizes.set(device, virtual_size);
            continue;
        }
        let share = |of: u64, percent: f64| (of as f64 * percent / 100.0) as u64;
        let wanted = match amount {
            VolumeSize::Bytes(bytes) => bytes.div_ceil(EXTENT),
            VolumeSize::OfFree(percent) => share(free, percent),
            VolumeSize::OfGroup(percent) => share(total, percent),
            VolumeSize::OfOrigin(_) => continue,
        };
        // A percentage of raid counts what its copies take as well.
        let copies = match (volume.lvm_type, amount) {
            (Some(LvmType::Mirror | LvmType::Raid1 | LvmType::Raid10), VolumeSize::Bytes(_)) => 2,
            _ => 1,
        };
        let takes = if volume.extra_args.is_empty() { wanted.saturating_mul(copies) } else { wanted };
        if wanted == 0 || takes > free {
            let bytes = |extents: u64| size::human(extents.saturating_mul(EXTENT));
            let why = format!(
                "{:?} is {} of the group, of which {} of {} are free",
                volume.size,
                bytes(takes),
                bytes(free),
                bytes(total)
            );
            return sizes.refuse(&format!("{at}.size"), &why);
        }
        free -= takes;
        let plain = volume.lvm_type.is_none();
        sizes.set(device, plain.then(|| wanted.saturating_mul(EXTENT)));
    }
}

/// Kinds that lie on several physical volumes, with their least number.
fn least_members(kind: LvmType) -> Option<(&'static str, usize)> {
    match kind {
        LvmType::Mirror => Some(("a mirror", 2)),
        LvmType::Raid0 => Some(("raid0", 2)),
        LvmType::Raid1 => Some(("raid1", 2)),
        LvmType::Raid4 => Some(("raid4", 3)),
        LvmType::Raid5 => Some(("raid5", 3)),
        LvmType::Raid6 => Some(("raid6", 5)),
        LvmType::Raid10 => Some(("raid10", 4)),
        LvmType::ThinPool | LvmType::ThinVolume => None,
    }
}
