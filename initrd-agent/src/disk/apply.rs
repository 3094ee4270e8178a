//! Carries a plan out: wipes, partitions, formats.

use super::{
    plan::{DiskPlan, PartitionPlan, Plan, sector_bytes},
    probe,
};
use crate::command;
use gpt::partition::Partition;
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// Every signature that blkid knows lies within this of the start or the end of its device.
const SIGNATURE_ZONE: u64 = 2 << 20;
const DEVICE_PATIENCE: Duration = Duration::from_secs(10);

nix::ioctl_none!(reread_partitions, 0x12, 95);

/// Wipes, partitions and formats every disk of the plan. What was on them is gone.
///
/// # Errors
/// `E-DISK-IO`, `E-DISK-UNFIT` where a disk is not the one of the plan any more, `E-TOOL` for mkfs.
pub fn apply(plan: &Plan) -> Result<()> {
    for disk in &plan.disks {
        partition(disk)?;
    }
    for disk in &plan.disks {
        let devices = wait_for_partitions(disk)?;
        for one in &disk.partitions {
            if let Some(device) = devices.get(&one.number) {
                format(device, one)?;
            }
        }
    }
    Ok(())
}

fn partition(plan: &DiskPlan) -> Result<()> {
    let path = probe::device_path(&plan.disk.name);
    // O_EXCL on a block device fails while anything has it mounted or claimed.
    let mut device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_EXCL | libc::O_CLOEXEC)
        .open(&path)
        .or_fail(Code::DiskIo, || format!("opening {}", path.display()))?;
    check_same_disk(plan, &mut device)?;
    wipe(plan, &mut device, &path)?;
    let device = write_table(plan, device).or_fail(Code::DiskIo, || format!("partitioning {}", path.display()))?;
    device.sync_all().or_fail(Code::DiskIo, || format!("writing the partition table of {}", path.display()))?;
    reread(&device, &path)
}

/// The name may mean another disk by now; its size and serial are those of the plan, or nothing is written.
fn check_same_disk(plan: &DiskPlan, device: &mut File) -> Result<()> {
    let size = device.seek(SeekFrom::End(0)).or_fail(Code::DiskIo, || format!("measuring {}", plan.disk.name))?;
    let now = crate::inventory::disks().into_iter().find(|disk| disk.name == plan.disk.name);
    let same = now.is_some_and(|now| now.serial == plan.disk.serial && now.wwn == plan.disk.wwn);
    if size == plan.disk.size && same {
        return Ok(());
    }
    let cause =
        format!("opening {}: it is not the disk of the plan any more (size, serial or wwn differ)", plan.disk.name);
    Err(Failure::new(Code::DiskUnfit, cause)
        .with_remedy("the machine plans again by itself; check that no disk comes and goes"))
}

/// Overwrites where signatures lie: on the disk, on the partitions that were, and on those that will be.
fn wipe(plan: &DiskPlan, device: &mut File, path: &Path) -> Result<()> {
    let sector = sector_bytes(&plan.disk);
    let mut zones = vec![(0, plan.disk.size)];
    for name in probe::partitions(&plan.disk.name).values() {
        zones.extend(zone_of(name));
    }
    for one in &plan.partitions {
        zones.push((one.extent.first * sector, (one.extent.last + 1 - one.extent.first) * sector));
    }
    for (start, length) in zones {
        for (from, count) in edges(start, length) {
            zero(device, from, count).or_fail(Code::DiskIo, || format!("wiping {}", path.display()))?;
        }
    }
    Ok(())
}

/// Start and length in bytes of a partition as the kernel sees it now.
fn zone_of(name: &str) -> Option<(u64, u64)> {
    // sysfs counts sectors of 512 bytes whatever the disk's own are.
    let read = |file: &str| -> Option<u64> {
        let text = std::fs::read_to_string(Path::new("/sys/class/block").join(name).join(file)).ok()?;
        text.trim().parse::<u64>().ok()?.checked_mul(512)
    };
    Some((read("start")?, read("size")?))
}

/// The first and the last bytes of a zone, without going over its ends.
fn edges(start: u64, length: u64) -> [(u64, u64); 2] {
    let count = length.min(SIGNATURE_ZONE);
    [(start, count), (start + length - count, count)]
}

fn zero(device: &mut File, from: u64, mut count: u64) -> std::io::Result<()> {
    let zeros = vec![0u8; 1 << 20];
    device.seek(SeekFrom::Start(from))?;
    while count > 0 {
        let part = usize::try_from(count).unwrap_or(zeros.len()).min(zeros.len());
        device.write_all(&zeros[..part])?;
        count -= part as u64;
    }
    Ok(())
}

fn write_table(plan: &DiskPlan, mut device: File) -> Result<File, gpt::GptError> {
    let sector = sector_bytes(&plan.disk);
    let sectors = u32::try_from(plan.disk.size / sector - 1).unwrap_or(u32::MAX);
    let protective = gpt::mbr::ProtectiveMBR::with_lb_size(sectors);
    protective.overwrite_lba0(&mut device).map_err(std::io::Error::other)?;
    let config = gpt::GptConfig::new().writable(true).logical_block_size(probe::block_size(plan.disk.sector_size));
    let mut table = config.create_from_device(device, Some(plan.guid))?;
    table.update_partitions(plan.partitions.iter().map(|one| (one.number, table_entry(one))).collect())?;
    table.write()
}

fn table_entry(one: &PartitionPlan) -> Partition {
    Partition {
        part_type_guid: gpt::partition_types::Type { guid: one.kind, os: gpt::partition_types::OperatingSystem::None },
        part_guid: one.extent.guid,
        first_lba: one.extent.first,
        last_lba: one.extent.last,
        flags: one.attributes,
        name: one.label.clone(),
    }
}

fn reread(device: &File, path: &Path) -> Result<()> {
    // SAFETY: BLKRRPART takes no argument; the descriptor is open for the length of the call.
    let result = unsafe { reread_partitions(device.as_raw_fd()) };
    result.map(drop).or_fail(Code::DiskIo, || format!("re-reading the partition table of {}", path.display()))
}

/// The device of each partition, once the kernel shows it where the plan put it.
fn wait_for_partitions(plan: &DiskPlan) -> Result<BTreeMap<u32, PathBuf>> {
    let deadline = Instant::now() + DEVICE_PATIENCE;
    let sector = sector_bytes(&plan.disk);
    loop {
        let now = probe::partitions(&plan.disk.name);
        let ready = |one: &PartitionPlan| {
            let name = now.get(&one.number)?;
            let path = probe::device_path(name);
            let (start, _) = zone_of(name)?;
            (start == one.extent.first * sector && path.exists()).then_some((one.number, path))
        };
        let devices: BTreeMap<u32, PathBuf> = plan.partitions.iter().filter_map(ready).collect();
        if devices.len() == plan.partitions.len() {
            return Ok(devices);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(
                Code::DiskIo,
                format!("waiting for the partitions of {}: they do not appear", plan.disk.name),
            ));
        }
        sleep(Duration::from_millis(20));
    }
}

/// Device of a partition of the plan, as the kernel names it now.
pub fn device_of(disk: &DiskPlan, partition: &PartitionPlan) -> Result<PathBuf> {
    let found = probe::partitions(&disk.disk.name).get(&partition.number).map(|name| probe::device_path(name));
    found.ok_or_else(|| {
        Failure::new(
            Code::DiskIo,
            format!("looking for partition {} of {}: it is gone", partition.number, disk.disk.name),
        )
    })
}

fn format(device: &Path, partition: &PartitionPlan) -> Result<()> {
    let Some(filesystem) = &partition.filesystem else { return Ok(()) };
    let device = device.to_string_lossy().into_owned();
    let own: Vec<String> = match filesystem.format.as_str() {
        "ext4" => ["-q", "-F", "-U", &partition.extent.guid.to_string()].map(str::to_owned).to_vec(),
        "vfat" => ["-i", &volume_id(partition)].map(str::to_owned).to_vec(),
        other => return Err(Failure::new(Code::Layout, format!("formatting {device}: {other} is not made here"))),
    };
    let arguments = [own, filesystem.extra_args.clone(), vec![device.clone()]].concat();
    command::run(&format!("mkfs.{}", filesystem.format), &arguments)
        .map(drop)
        .map_err(|failure| failure.context(format!("formatting {device}")))
}

/// FAT has 32 bits for an identifier.
fn volume_id(partition: &PartitionPlan) -> String {
    let (high, _) = partition.extent.guid.as_u64_pair();
    format!("{:08x}", high >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_stay_inside_their_zone() {
        for length in [0, 1, 512, SIGNATURE_ZONE, 3 * SIGNATURE_ZONE] {
            for (from, count) in edges(1000, length) {
                assert!(from >= 1000 && from + count <= 1000 + length);
            }
        }
    }

    #[test]
    fn only_the_edges_are_wiped() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7u8; 100]).unwrap();
        zero(&mut file, 10, 5).unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == 0).count(), 5);
        assert_eq!(bytes.len(), 100);
    }
}
