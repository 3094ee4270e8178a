//! Opens a disk of the plan to write to it: alone, and only if it is still that disk.

use super::{device_node::sysfs_number, mapper::patiently, probe};
use hardware::inventory;
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Disk};
use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
};

nix::ioctl_read!(blk_get_diskseq, 0x12, 128, u64);

/// Opens the disk for reading and writing. While it is open, nothing else can mount it or put it into an array.
///
/// # Errors
/// `E-DISK-UNFIT` where it is another disk than that of the plan by now, is in use, or is an image file.
pub fn open_exclusive(disk: &Disk) -> Result<File> {
    let path = probe::device_path(&disk.name);
    let activity = || format!("opening {}", path.display());
    // Without O_CREAT, O_EXCL on a block device fails while anything has it mounted or claimed.
    let flags = libc::O_EXCL | libc::O_CLOEXEC;
    let open = || OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
    let file = patiently(open).map_err(|error| {
        let code = if error.raw_os_error() == Some(libc::EBUSY) { Code::DiskUnfit } else { Code::DiskIo };
        Failure::from_error(code, activity(), &error)
    })?;
    check(disk, &file).map_err(|failure| failure.context(activity()))?;
    Ok(file)
}

/// Whether the disk that was opened is the one of the plan.
///
/// # Errors
/// `E-DISK-UNFIT` where it is not.
pub fn check(disk: &Disk, file: &File) -> Result<()> {
    let measuring = || "measuring it";
    let found = file.metadata().or_fail(Code::DiskIo, measuring)?;
    if !found.file_type().is_block_device() {
        return Err(Failure::new(Code::DiskUnfit, "an image file is planned for, and never written to"));
    }
    if sysfs_number(&disk.name, "loop/partscan") == Some(0) {
        let cause = "it is a loop device whose partitions the kernel does not look for";
        return Err(Failure::new(Code::DiskUnfit, cause).with_remedy("set it up with losetup --partscan"));
    }
    let size = (&*file).seek(SeekFrom::End(0)).or_fail(Code::DiskIo, measuring)?;
    let now = inventory::disk_of_device(found.rdev()).map(|now| {
        // The device's own word, where the kernel gives it, is that of the disk which is open.
        let diskseq = diskseq(file).or(now.diskseq);
        Disk { size, diskseq, ..now }
    });
    let differs = now.map_or(Some("it is no disk any more".to_owned()), |now| difference(disk, &now));
    differs.map_or(Ok(()), |what| {
        let cause = format!("it is not the disk of the plan any more: {what}");
        Err(Failure::new(Code::DiskUnfit, cause)
            .with_remedy("the machine plans again by itself; check that no disk comes and goes"))
    })
}

fn diskseq(file: &File) -> Option<u64> {
    let mut number = 0u64;
    // SAFETY: BLKGETDISKSEQ writes one u64, which lives until the call returns.
    unsafe { blk_get_diskseq(file.as_raw_fd(), &raw mut number) }.ok()?;
    Some(number)
}

/// In what a disk is another one than was planned with.
fn difference(planned: &Disk, now: &Disk) -> Option<String> {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let facts = [
        ("size", planned.size.to_string(), now.size.to_string()),
        ("serial", word(&planned.serial), word(&now.serial)),
        ("wwn", word(&planned.wwn), word(&now.wwn)),
        ("model", word(&planned.model), word(&now.model)),
    ];
    let differs = facts.into_iter().find(|(_, planned, now)| planned != now);
    if let Some((fact, planned, now)) = differs {
        return Some(format!("its {fact} was {planned} and is {now}"));
    }
    if now.read_only {
        return Some("it is write-protected".to_owned());
    }
    // Kernels before 5.15 have no such number.
    let (planned, now) = (planned.diskseq?, now.diskseq?);
    (planned != now).then(|| format!("a medium came since the plan (sequence number {planned}, now {now})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_the_same_by_size_serial_wwn_model_and_sequence_number() {
        let planned = Disk {
            size: 8,
            serial: Some("S".into()),
            wwn: Some("naa.5".into()),
            model: Some("M".into()),
            diskseq: Some(3),
            ..Disk::default()
        };
        assert_eq!(difference(&planned, &Disk { name: "renamed".into(), ..planned.clone() }), None);
        assert_eq!(difference(&planned, &Disk { diskseq: None, ..planned.clone() }), None);
        for (other, word) in [
            (Disk { size: 9, ..planned.clone() }, "size"),
            (Disk { serial: None, ..planned.clone() }, "serial"),
            (Disk { wwn: Some("naa.6".into()), ..planned.clone() }, "wwn"),
            (Disk { model: None, ..planned.clone() }, "model"),
            (Disk { diskseq: Some(4), ..planned.clone() }, "sequence"),
            (Disk { read_only: true, ..planned.clone() }, "write-protected"),
        ] {
            let what = difference(&planned, &other).unwrap();
            assert!(what.contains(word), "{what}");
        }
    }

    #[test]
    fn an_image_file_is_not_opened_for_writing() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let disk = inventory::disk_of_path(image.path()).unwrap();
        assert_eq!(open_exclusive(&disk).unwrap_err().code, Code::DiskUnfit);
    }
}
