//! What a machine boots from.

use super::{
    DiskPlan, Facts, Plan,
    facts::{Mount, Source},
    table::{BIOS_BOOT, ESP, type_guid},
};
use crate::{
    action::Device,
    partitions::{Extent, Partition, PartitionKind, TableKind},
};
use hardware::efi::Esp;
use protocol::{Code, Failure, failure::Result, inventory::Firmware};

/// The layout must have a root, and what this machine's firmware boots from.
pub fn check(plan: &Plan, firmware: Firmware, facts: &Facts<'_>) -> Result<()> {
    let roots = plan.mounts.iter().chain(&plan.hidden).filter(|mount| mount.mountpoint == "/").count();
    if roots != 1 {
        return Err(facts.refuse(Code::Layout, "the layout must mount exactly one file system at /"));
    }
    match firmware {
        Firmware::Uefi if of_type(plan, ESP).next().is_none() => Err(facts.refuse(
            Code::Layout,
            "this machine booted by UEFI, and the layout has no EFI system partition (type EF00)",
        )),
        // GRUB also finds room before the first partition of an msdos table.
        Firmware::Bios if of_type(plan, BIOS_BOOT).next().is_none() && plan.disks.iter().all(has_gpt) => Err(facts
            .refuse(
                Code::Layout,
                "this machine booted by BIOS, and the layout has no BIOS boot partition (type EF02)",
            )),
        _ => Ok(()),
    }
}

fn has_gpt(disk: &DiskPlan) -> bool {
    let gpt = |kind: &TableKind| matches!(kind, TableKind::Gpt { .. });
    disk.table.as_ref().is_none_or(|(table, _)| gpt(&table.kind))
}

fn of_type<'a>(plan: &'a Plan, code: &'static str) -> impl Iterator<Item = (&'a DiskPlan, &'a Partition, Extent)> {
    let tables = plan.disks.iter().filter_map(|disk| Some((disk, disk.table.as_ref()?)));
    let partitions = tables.flat_map(|(disk, (table, extents))| {
        table.partitions.iter().zip(extents.iter().copied()).map(move |(one, at)| (disk, one, at))
    });
    partitions.filter(move |(_, one, _)| type_guid(code).is_some_and(|guid| one.kind == PartitionKind::Guid(guid)))
}

impl Plan {
    /// The EFI system partitions, several where they mirror each other, and where each is mounted.
    ///
    /// # Errors
    /// `E-LAYOUT` where there is none; [`super::make`] refuses such a plan for a machine that boots by UEFI.
    pub fn esps(&self) -> Result<Vec<(Esp, Option<&str>)>> {
        let esp = |(disk, one, at): (&DiskPlan, &Partition, Extent)| {
            let esp = Esp { number: one.number, guid: at.guid, first: at.first, last: at.last };
            (esp, self.mounted_at(&Device::Partition(Box::new(disk.device()), one.number)))
        };
        let esps: Vec<_> = of_type(self, ESP).map(esp).collect();
        if esps.is_empty() {
            return Err(Failure::new(Code::Layout, "looking for the EFI system partition: the layout has none"));
        }
        Ok(esps)
    }

    /// The mount point of the partition's file system, or of the mirror that it belongs to.
    fn mounted_at(&self, partition: &Device) -> Option<&str> {
        let own = self.mounts.iter().find(|mount| mount.source == Source::Device(partition.clone()));
        let mirror =
            |mount: &&Mount| matches!(mount.source, Source::Device(Device::Array(_))) && mount.format == "vfat";
        own.or_else(|| self.mounts.iter().find(mirror)).map(|mount| mount.mountpoint.as_str())
    }

    /// The mount point of a file system that the initrd can read as it is, where it cannot read the root so: what is
    /// encrypted, on LVM, or of a kind whose driver is not there yet.
    pub fn readable_without_tools(&self) -> Option<&str> {
        let readable = |mount: &&Mount| {
            let plain = match &mount.source {
                // A member of a mirror with its metadata behind the data reads as the file system itself.
                Source::Device(Device::Partition(of, _)) => matches!(**of, Device::Disk { .. }),
                Source::Device(Device::Array(_)) => mount.format == "vfat",
                _ => false,
            };
            plain && ["ext4", "vfat"].contains(&mount.format.as_str())
        };
        let root = self.mounts.iter().find(|mount| mount.mountpoint == "/")?;
        if root.format == "ext4" && readable(&root) {
            return None;
        }
        self.mounts.iter().find(readable).map(|mount| mount.mountpoint.as_str())
    }
}
