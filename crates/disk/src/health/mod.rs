//! Whether a disk is fit to be used: what it says of itself, and whether it reads and writes.

mod ask;
mod decode;

pub use decode::{Health, Verdict, judge};

use super::{exclusive, plan::Plan, probe};
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Disk, spec::HealthPolicy};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
};

/// One read or write of the probes: a whole number of sectors of any disk, where direct access wants it to lie.
#[repr(align(4096))]
struct Block([u8; SIZE]);

const SIZE: usize = 4096;
const MEBIBYTE: u64 = 1 << 20;
/// No policy lets a disk be used that does not read or write.
const REPLACE: &str = "replace the disk, or choose another one of the table";

/// Asks every disk that a plan writes to for its health: the notes to show.
///
/// # Errors
/// As [`check`] and [`apply_policy`].
pub fn examine(plan: &Plan, policy: HealthPolicy) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for disk in &plan.disks {
        notes.extend(apply_policy(&disk.disk, &check(&disk.disk)?, policy)?);
    }
    Ok(notes)
}

/// Asks the disk for its health, and reads at its start, middle and end. Writes nothing.
///
/// # Errors
/// `E-DISK-FAILING` where a read fails, `E-DISK-IO` where it cannot be opened.
pub fn check(disk: &Disk) -> Result<Health> {
    let path = probe::device_path(&disk.name);
    let opening = || format!("opening {}", path.display());
    let open = |flags: i32| OpenOptions::new().read(true).custom_flags(flags | libc::O_CLOEXEC).open(&path);
    // Some file systems under an image or a loop device know no direct access.
    let file = open(libc::O_DIRECT).or_else(|_| open(0)).or_fail(Code::DiskIo, opening)?;
    for at in read_places(disk.size) {
        let mut block = Block([0; SIZE]);
        let reading = || format!("reading {} at {at}", path.display());
        let read = file.read_exact_at(&mut block.0, at).or_fail(Code::DiskFailing, reading);
        read.map_err(|failure| failure.with_remedy(REPLACE))?;
    }
    Ok(ask::ask(disk, &file))
}

/// What the policy makes of a disk's health: the notes to show.
///
/// # Errors
/// `E-DISK-FAILING` with the numbers, where it fails and the policy is to refuse it.
pub fn apply_policy(disk: &Disk, health: &Health, policy: HealthPolicy) -> Result<Vec<String>> {
    let Verdict { failing, notes } = judge(health);
    let lines = |words: Vec<String>| words.into_iter().map(|word| format!("{}: {word}", disk.name));
    if failing.is_empty() || policy == HealthPolicy::Warn {
        return Ok(lines(failing).chain(lines(notes)).collect());
    }
    let serial = disk.serial.as_deref().unwrap_or("-");
    let cause = format!("checking the health of {} (serial {serial}): {}", disk.name, failing.join("; "));
    Err(Failure::new(Code::DiskFailing, cause))
}

/// Reads a block in the first and one in the last MiB, writes the same bytes back and reads them again. Nothing on
/// the disk changes. A disk that something stands on is left alone: the teardown probes it when it is free.
///
/// # Errors
/// `E-DISK-FAILING` where it does not take or keep what is written, `E-DISK-UNFIT` where it is another disk than that
/// of the plan.
pub fn probe_write(disk: &Disk) -> Result<()> {
    match exclusive::open_exclusive(disk) {
        Ok(file) => probe_write_open(disk, &file),
        Err(_) if is_held(disk) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn is_held(disk: &Disk) -> bool {
    matches!(probe::busy(&super::stack::Stack::read(), &disk.name), Some(probe::Busy::Held { .. }))
}

/// The same for a disk that is open alone already.
///
/// # Errors
/// `E-DISK-FAILING`.
pub fn probe_write_open(disk: &Disk, file: &File) -> Result<()> {
    let failing = |at: u64, why: &dyn std::fmt::Display| {
        Failure::new(Code::DiskFailing, format!("writing {} at {at} to try it: {why}", disk.name)).with_remedy(REPLACE)
    };
    set_direct(file, true);
    let probed = write_places(disk.size).into_iter().try_for_each(|at| match write_back(file, at) {
        Ok(true) => Ok(()),
        Ok(false) => Err(failing(at, &"other bytes are read than were written")),
        Err(error) => Err(failing(at, &error)),
    });
    set_direct(file, false);
    probed
}

fn write_back(file: &File, at: u64) -> io::Result<bool> {
    let mut before = Block([0; SIZE]);
    file.read_exact_at(&mut before.0, at)?;
    file.write_all_at(&before.0, at)?;
    file.sync_all()?;
    let mut after = Block([0; SIZE]);
    file.read_exact_at(&mut after.0, at)?;
    Ok(before.0 == after.0)
}

/// Past the page cache, where the device allows; else what is read again may come from memory.
fn set_direct(file: &File, direct: bool) {
    let Ok(now) = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETFL) else { return };
    let mut flags = nix::fcntl::OFlag::from_bits_retain(now);
    flags.set(nix::fcntl::OFlag::O_DIRECT, direct);
    let _ = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_SETFL(flags));
}

/// Start, middle and end, as far as there is room for a block.
fn read_places(size: u64) -> Vec<u64> {
    let Some(last) = last_block(size) else { return Vec::new() };
    let mut places = vec![0, last / 2 / SIZE as u64 * SIZE as u64, last];
    places.dedup();
    places
}

/// In the first MiB behind where a partition table is, and at the start of the last.
fn write_places(size: u64) -> Vec<u64> {
    let Some(last) = last_block(size) else { return Vec::new() };
    let mut places = vec![(MEBIBYTE - SIZE as u64).min(last), last.saturating_sub(MEBIBYTE - SIZE as u64)];
    places.sort_unstable();
    places.dedup();
    places
}

fn last_block(size: u64) -> Option<u64> {
    (size / SIZE as u64).checked_sub(1).map(|block| block * SIZE as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failing_disk_is_refused_with_the_numbers_or_used_with_a_warning() {
        let disk = Disk { name: "nvme0n1".into(), serial: Some("S1".into()), ..Disk::default() };
        let failing =
            Health::Nvme(decode::Nvme { critical: 4, spare: 100, media_errors: 12, ..decode::Nvme::default() });
        let refused = apply_policy(&disk, &failing, HealthPolicy::Refuse).unwrap_err();
        assert_eq!(refused.code, Code::DiskFailing);
        assert!(refused.cause.contains("serial S1") && refused.cause.contains("12 media errors"), "{refused}");
        let warned = apply_policy(&disk, &failing, HealthPolicy::Warn).unwrap();
        assert!(warned[0].contains("12 media errors"), "{warned:?}");
    }

    #[test]
    fn a_probe_changes_nothing() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..3u32 << 20).map(|index| index.to_le_bytes()[0] ^ index.to_le_bytes()[1]).collect();
        std::fs::write(image.path(), &bytes).unwrap();
        let disk = hardware::inventory::disk_of_path(image.path()).unwrap();
        assert_eq!(check(&disk), Ok(Health::None));
        let file = OpenOptions::new().read(true).write(true).open(image.path()).unwrap();
        probe_write_open(&disk, &file).unwrap();
        assert_eq!(std::fs::read(image.path()).unwrap(), bytes);
    }

    #[test]
    fn a_disk_that_is_shorter_than_it_says_fails() {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(1 << 20).unwrap();
        let disk = hardware::inventory::disk_of_path(image.path()).unwrap();
        let failure = check(&Disk { size: 2 << 20, ..disk }).unwrap_err();
        assert_eq!(failure.code, Code::DiskFailing);
    }

    proptest! {
        #[test]
        fn places_are_blocks_inside_of_the_disk(size: u64) {
            for at in read_places(size).into_iter().chain(write_places(size)) {
                prop_assert!(at % SIZE as u64 == 0 && at + SIZE as u64 <= size);
            }
        }
    }
}
