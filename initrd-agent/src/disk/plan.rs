//! The plan: from layout, selectors and what stands on the disks to exact disks and exact sectors, or a
//! refusal. Pure; only [`make`] makes a [`Plan`], and whatever writes to a disk takes one.

use super::{
    layout::{self, Filesystem, Layout},
    probe::Content,
    select,
    size::{self, End},
    table,
};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    inventory::{Disk, Firmware},
    names::NodeName,
    spec::{Disks, Selector, WipePolicy},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Alignment of partitions where the layout says nothing.
const DEFAULT_ALIGNMENT: u64 = 1 << 20;
/// Sectors of the partition array of 128 entries of 128 bytes, in bytes.
const TABLE_BYTES: u64 = 128 * 128;

/// First and last sector of a partition, both included, and its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Unique GUID of the partition.
    pub guid: Uuid,
    /// LBA.
    pub first: u64,
    /// LBA.
    pub last: u64,
}

/// What will be done to the disks. Complete before the first write.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One per disk of the layout.
    pub disks: Vec<DiskPlan>,
}

/// What will be done to one disk.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskPlan {
    /// disko's name.
    pub name: String,
    /// The disk as it was seen when the plan was made.
    pub disk: Disk,
    /// What stood on it.
    pub before: String,
    /// GUID of the partition table.
    pub guid: Uuid,
    /// In the order of the disk.
    pub partitions: Vec<PartitionPlan>,
    /// The very same table is there already: an installation of this node was interrupted, or is replaced.
    pub same_table: bool,
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionPlan {
    /// 1, 2, 3 ...
    pub number: u32,
    /// Name in the table.
    pub label: String,
    /// Type GUID.
    pub kind: Uuid,
    /// Attribute bits.
    pub attributes: u64,
    /// Where it lies.
    pub extent: Extent,
    /// What goes into it.
    pub filesystem: Option<Filesystem>,
}

/// What the plan is made from.
pub struct Facts<'a> {
    /// The node, for identifiers that are its own.
    pub node: &'a NodeName,
    /// All disks of the machine.
    pub disks: &'a [Disk],
    /// What stands on them, by kernel name.
    pub contents: &'a BTreeMap<String, Content>,
    /// How the machine booted.
    pub firmware: Firmware,
}

impl Facts<'_> {
    fn refuse(&self, code: Code, cause: &str) -> Failure {
        Failure::new(code, format!("planning the disks: {cause}\n{}", table::disks(self.disks, self.contents)))
    }
}

/// Makes the plan.
///
/// # Errors
/// `E-LAYOUT`, `E-DISK-NOT-FOUND`, `E-DISK-AMBIGUOUS`, `E-DISK-UNFIT`, `E-DISK-FOREIGN`, with the table of disks.
pub fn make(wanted: &Disks, facts: &Facts<'_>) -> Result<Plan> {
    let layout = Layout::read(&wanted.devices)?;
    if let Some(name) = wanted.select.keys().chain(wanted.wipe.keys()).find(|name| !layout.disk.contains_key(*name)) {
        return Err(
            facts.refuse(Code::Layout, &format!("the spec speaks of disk {name:?}, which the layout does not have"))
        );
    }
    let mut disks: Vec<DiskPlan> = Vec::new();
    for (name, disk_layout) in &layout.disk {
        let disk = choose(name, disk_layout, wanted, facts)?;
        if let Some(other) = disks.iter().find(|other| other.disk.name == disk.name) {
            let cause = format!("{} and {name} both mean {}", other.name, disk.name);
            return Err(facts.refuse(Code::DiskAmbiguous, &cause));
        }
        disks.push(plan_disk(name, disk_layout, disk, wanted, facts)?);
    }
    let chosen: Vec<&Disk> = disks.iter().map(|one| &one.disk).collect();
    if let Some((disk, why)) = select::held_elsewhere(&chosen, facts.contents) {
        return Err(facts.refuse(Code::DiskUnfit, &format!("{disk} is {why}")));
    }
    let plan = Plan { disks };
    check_boots(&plan, facts)?;
    Ok(plan)
}

fn choose<'a>(name: &str, layout: &layout::Disk, wanted: &Disks, facts: &Facts<'a>) -> Result<&'a Disk> {
    let by_path = Selector { device: Some(layout.device.clone()), ..Selector::default() };
    let selector = wanted.select.get(name).unwrap_or(&by_path);
    select::choose(selector, facts.disks, facts.contents).map_err(|none| {
        let hints = serde_json::to_string(selector).unwrap_or_default();
        facts.refuse(none.code(), &format!("disk {name} ({hints}): {}", none.describe()))
    })
}

fn plan_disk(name: &str, layout: &layout::Disk, disk: &Disk, wanted: &Disks, facts: &Facts<'_>) -> Result<DiskPlan> {
    let partitions = place(name, layout, disk, facts)?;
    let guid = own_guid(facts.node, &format!("disk {name}"));
    let content = facts.contents.get(&disk.name).cloned().unwrap_or_default();
    let policy = wanted.wipe.get(name).copied().unwrap_or_default();
    if matches!(policy, WipePolicy::Keep | WipePolicy::Ignore) {
        return Err(facts.refuse(Code::Layout, &format!("disk {name}: its wipe policy is not known here yet")));
    }
    // A table with this GUID can only have been written for this node and this disk of its layout.
    let own = content.table.as_ref().is_some_and(|table| table.guid == guid);
    if policy == WipePolicy::Install && !content.is_empty() && !own {
        let cause = format!("disk {name} is {}, which is not empty: {}", disk.name, content.describe());
        let remedy = format!("set disks.wipe.{name} = \"wipe\" in the spec if its content may be destroyed");
        return Err(facts.refuse(Code::DiskForeign, &cause).with_remedy(remedy));
    }
    let planned: BTreeMap<u32, Extent> = partitions.iter().map(|one| (one.number, one.extent)).collect();
    let same_table = own && content.table.as_ref().is_some_and(|table| table.partitions == planned);
    let before = content.describe();
    Ok(DiskPlan { name: name.to_owned(), disk: disk.clone(), before, guid, partitions, same_table })
}

/// Puts the partitions in disko's order (priority, then name) one behind the other.
fn place(name: &str, layout: &layout::Disk, disk: &Disk, facts: &Facts<'_>) -> Result<Vec<PartitionPlan>> {
    let gpt = layout.gpt().ok_or_else(|| facts.refuse(Code::Layout, &format!("disk {name} has no partition table")))?;
    let sector = sector_bytes(disk);
    let usable = usable(disk.size, sector)
        .ok_or_else(|| facts.refuse(Code::DiskUnfit, &format!("{} is too small for a partition table", disk.name)))?;
    let mut order: Vec<_> = gpt.partitions.iter().collect();
    order.sort_by_key(|(_, partition)| partition.priority());
    let mut next = usable.first;
    let mut placed = Vec::new();
    for (number, (key, partition)) in (1u32..).zip(order) {
        let at = format!("disk.{name}.content.partitions.{key}");
        let malformed = |what: &str| facts.refuse(Code::Layout, &format!("at {at}: {what}"));
        if partition.start != "0" {
            return Err(malformed(&format!(
                "start {:?}: only 0, right behind the one before, is made yet",
                partition.start
            )));
        }
        let alignment =
            if partition.alignment == 0 { (DEFAULT_ALIGNMENT / sector).max(1) } else { partition.alignment };
        let first = next.checked_next_multiple_of(alignment).ok_or_else(|| malformed("it lies beyond every disk"))?;
        let end = size::end(partition.end.as_deref(), partition.size.as_deref());
        let end = end.ok_or_else(|| malformed("its size is not like 500M, 100% or -1M"))?;
        let last = match end {
            End::Length(bytes) => first.checked_add(bytes.div_ceil(sector)).and_then(|end| end.checked_sub(1)),
            End::BeforeEnd(bytes) => usable.last.checked_sub(bytes.div_ceil(sector)),
        };
        let fits = last.filter(|last| *last >= first && *last <= usable.last);
        let last = fits.ok_or_else(|| {
            let cause = format!("{at} does not fit on {} ({})", disk.name, size::human(disk.size));
            facts.refuse(Code::DiskUnfit, &cause)
        })?;
        let attributes =
            partition.attributes.iter().try_fold(0u64, |bits, bit| Some(bits | 1u64.checked_shl(u32::from(*bit))?));
        placed.push(PartitionPlan {
            number,
            label: partition.label.clone().unwrap_or_else(|| format!("disk-{name}-{key}")),
            kind: type_guid(&partition.kind)
                .ok_or_else(|| malformed(&format!("type {:?} is not known", partition.kind)))?,
            attributes: attributes.ok_or_else(|| malformed("an attribute is beyond bit 63"))?,
            extent: Extent {
                guid: partition.uuid.unwrap_or_else(|| own_guid(facts.node, &format!("partition {name} {key}"))),
                first,
                last,
            },
            filesystem: partition.filesystem().cloned(),
        });
        next = last + 1;
    }
    Ok(placed)
}

/// Bytes of a logical sector; a disk that does not say has the smallest there is.
pub fn sector_bytes(disk: &Disk) -> u64 {
    u64::from(disk.sector_size.max(512))
}

struct Usable {
    first: u64,
    last: u64,
}

/// The sectors between the two tables.
fn usable(size: u64, sector: u64) -> Option<Usable> {
    let table = TABLE_BYTES.div_ceil(sector);
    let sectors = size / sector;
    let first = 2 + table;
    let last = sectors.checked_sub(2 + table)?;
    (last > first).then_some(Usable { first, last })
}

/// A GUID of this node's own, the same in every run: that is how an interrupted installation is known again.
fn own_guid(node: &NodeName, what: &str) -> Uuid {
    let hash = Sha256::of(format!("centra guid/1 {node} {what}").as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash.0[..16]);
    // RFC 9562, version 8: vendor-specific.
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

const ESP: &str = "EF00";
const BIOS_BOOT: &str = "EF02";

/// sgdisk's four digits as a type GUID, or the GUID itself.
fn type_guid(code: &str) -> Option<Uuid> {
    let guid = match code.to_ascii_uppercase().as_str() {
        ESP => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        BIOS_BOOT => "21686148-6449-6E6F-744E-656564454649",
        "8300" => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        "8304" => "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
        "8302" => "933AC7E1-2EB4-4F13-B844-0E14E2AEF915",
        "8200" => "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        "EA00" => "BC13C2FF-59E6-4262-A352-B275FD6F7172",
        "0700" => "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        other => return other.parse().ok(),
    };
    guid.parse().ok()
}

/// The layout must have a root, and what this machine's firmware boots from.
fn check_boots(plan: &Plan, facts: &Facts<'_>) -> Result<()> {
    let partitions = || plan.disks.iter().flat_map(|disk| &disk.partitions);
    let mounted_at = |path: &str| {
        let is =
            |one: &&PartitionPlan| one.filesystem.as_ref().is_some_and(|fs| fs.mountpoint.as_deref() == Some(path));
        partitions().filter(is).count()
    };
    let has = |code: &str| partitions().any(|one| Some(one.kind) == type_guid(code));
    if mounted_at("/") != 1 {
        return Err(facts.refuse(Code::Layout, "the layout must mount exactly one file system at /"));
    }
    match facts.firmware {
        Firmware::Uefi if !has(ESP) => Err(facts.refuse(
            Code::Layout,
            "this machine booted by UEFI, and the layout has no EFI system partition (type EF00)",
        )),
        Firmware::Bios if !has(BIOS_BOOT) => Err(facts.refuse(
            Code::Layout,
            "this machine booted by BIOS, and the layout has no BIOS boot partition (type EF02)",
        )),
        _ => Ok(()),
    }
}

/// Where the EFI system partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Esp {
    /// In the partition table.
    pub number: u32,
    /// Its sectors and GUID.
    pub extent: Extent,
}

impl Plan {
    /// The EFI system partition.
    ///
    /// # Errors
    /// `E-LAYOUT` where there is none; [`make`] refuses such a plan for a machine that boots by UEFI.
    pub fn esp(&self) -> Result<Esp> {
        let mut partitions = self.disks.iter().flat_map(|disk| &disk.partitions);
        let esp = partitions.find(|one| Some(one.kind) == type_guid(ESP));
        esp.map(|one| Esp { number: one.number, extent: one.extent })
            .ok_or_else(|| Failure::new(Code::Layout, "looking for the EFI system partition: the layout has none"))
    }

    /// Every table is there already, so an interrupted installation may be carried on.
    pub fn may_resume(&self) -> bool {
        self.disks.iter().all(|disk| disk.same_table)
    }

    /// The partitions with a mount point, parents before children, with the kernel name of their disk.
    pub fn mounts(&self) -> Vec<(&DiskPlan, &PartitionPlan, &str)> {
        let mut mounts: Vec<_> = self
            .disks
            .iter()
            .flat_map(|disk| disk.partitions.iter().map(move |partition| (disk, partition)))
            .filter_map(|(disk, partition)| {
                Some((disk, partition, partition.filesystem.as_ref()?.mountpoint.as_deref()?))
            })
            .collect();
        mounts.sort_by_key(|(_, _, path)| path.split('/').filter(|part| !part.is_empty()).count());
        mounts
    }

    /// The exact disks and actions, one line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for disk in &self.disks {
            let hardware = &disk.disk;
            lines.push(format!(
                "disk {} = /dev/{} ({}, serial {}, wwn {}), now: {}",
                disk.name,
                hardware.name,
                size::human(hardware.size),
                hardware.serial.as_deref().unwrap_or("-"),
                hardware.wwn.as_deref().unwrap_or("-"),
                disk.before
            ));
            let sector = sector_bytes(hardware);
            for one in &disk.partitions {
                let length = size::human((one.extent.last - one.extent.first + 1) * sector);
                let what = one.filesystem.as_ref().map_or_else(String::new, |fs| {
                    format!(", {} at {}", fs.format, fs.mountpoint.as_deref().unwrap_or("no mount point"))
                });
                lines.push(format!("  partition {} {} {length}{what}", one.number, one.label));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
