//! Removes every signature from a block device that was opened.

use super::{
    mapper::patiently,
    signature::{self, Signature},
};
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Nearly every signature lies within this of the start or the end of its device.
const EDGE: u64 = 2 << 20;
/// Copies of btrfs' superblock; the first lies within the edge.
const BTRFS: [u64; 2] = [64 << 20, 256 << 30];
/// Places of LUKS2's second header that lie beyond the edge.
const LUKS2: [u64; 2] = [2 << 20, 4 << 20];
/// A copy of a superblock.
const BLOCK: u64 = 4096;
/// Rounds of looking for what blkid still finds; each removes at least one.
const ROUNDS: usize = 64;

/// Removes every signature from a block device of our own making (an array, a volume, a mapping, a partition): old
/// content may show through at its place.
///
/// # Errors
/// `E-DISK-IO`, and `E-DISK-NOT-CLEAN` where a signature stays.
pub fn wipe(path: &Path) -> Result<()> {
    let activity = || format!("wiping {}", path.display());
    let file = patiently(|| open(path)).or_fail(Code::DiskIo, activity)?;
    let size = (&file).seek(SeekFrom::End(0)).or_fail(Code::DiskIo, activity)?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    clean(&file, &name, &[(0, size)])
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_EXCL | libc::O_CLOEXEC).open(path)
}

/// Removes every signature from these areas (start and length, bytes) of a device, and from what lies inside of
/// them at levels that do not run.
pub fn clean(file: &File, name: &str, areas: &[(u64, u64)]) -> Result<()> {
    let activity = || format!("wiping {name}");
    let unread = |why: String| Failure::new(Code::DiskIo, format!("{}: {why}", activity()));
    // Looked for before the outer levels go, which tell where the inner ones lie.
    let mut inner = Vec::new();
    for (start, length) in areas {
        let found = signature::scan(file, name, *start, *length).map_err(unread)?;
        inner.extend(found.iter().flat_map(inside).filter_map(|one| zone_of(one, *start, *length)));
    }
    // The innermost first: after a cut, the outer levels still lead to what is left.
    let zones = areas.iter().flat_map(|(start, length)| zones(*start, *length));
    for (start, length) in inner.into_iter().rev().chain(zones) {
        zero(file, start, length).or_fail(Code::DiskIo, activity)?;
    }
    for (start, length) in areas {
        sweep(file, name, *start, *length)?;
    }
    file.sync_all().or_fail(Code::DiskIo, activity)
}

/// What blkid finds all the same is removed where it says it lies.
fn sweep(file: &File, name: &str, start: u64, length: u64) -> Result<()> {
    let activity = || format!("wiping {name}");
    for _ in 0..ROUNDS {
        let unread = |why: String| Failure::new(Code::DiskIo, format!("{}: {why}", activity()));
        let found: Vec<Signature> = signature::scan(file, name, start, length).map_err(unread)?;
        let left: Vec<&Signature> = found.iter().filter(|one| !one.is_unknown()).collect();
        let Some(first) = left.first() else { return Ok(()) };
        let Some(offset) = first.offset.filter(|offset| *offset < length) else {
            let names: Vec<String> = left.iter().map(|one| one.describe()).collect();
            return Err(Failure::new(Code::DiskNotClean, format!("{}: still there: {}", activity(), names.join(", "))));
        };
        let block = offset & !(BLOCK - 1);
        zero(file, start + block, BLOCK.min(length - block)).or_fail(Code::DiskIo, activity)?;
    }
    Err(Failure::new(Code::DiskNotClean, format!("{}: signatures appear again and again", activity())))
}

fn inside(signature: &Signature) -> Vec<&Signature> {
    signature.inside.iter().flat_map(|one| std::iter::once(one).chain(inside(one))).collect()
}

/// Where an inner level begins, and its magic number; never outside of the area.
fn zone_of(signature: &Signature, start: u64, length: u64) -> Option<(u64, u64)> {
    let end = start.checked_add(length)?;
    let from = signature.start.max(start);
    let until = signature.start.checked_add(signature.offset.unwrap_or(0).saturating_add(BLOCK).max(EDGE))?.min(end);
    // A magic number far inside of its level would make this long; the sweep of that level is not ours.
    (from < until).then(|| (from, (until - from).min(4 * EDGE)))
}

/// What is overwritten of an area whatever is found there: its edges, and where copies lie beyond them.
fn zones(start: u64, length: u64) -> Vec<(u64, u64)> {
    let edge = length.min(EDGE);
    let copies = BTRFS.into_iter().chain(LUKS2).filter(|at| at.saturating_add(BLOCK) <= length);
    let copies = copies.map(|at| (start + at, BLOCK));
    [(start, edge), (start + length - edge, edge)].into_iter().chain(copies).collect()
}

fn zero(file: &File, mut from: u64, mut count: u64) -> io::Result<()> {
    let zeros = vec![0u8; usize::try_from(count.min(1 << 20)).unwrap_or(0)];
    while count > 0 {
        let part = usize::try_from(count).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(&zeros[..part], from)?;
        from += part as u64;
        count -= part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn image(bytes: u64) -> tempfile::NamedTempFile {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(bytes).unwrap();
        image
    }

    fn kinds(file: &File) -> Vec<String> {
        signature::scan(file, "x", 0, 0).unwrap().into_iter().map(|one| one.kind).collect()
    }

    #[test]
    fn no_signature_stays() {
        for mkfs in
            [&["mkfs.ext4", "-q"][..], &["mkfs.vfat"], &["mkfs.btrfs", "-q"], &["mkswap", "-q"], &["mkfs.xfs", "-q"]]
        {
            let image = image(320 << 20);
            let made = Command::new(mkfs[0]).args(&mkfs[1..]).arg(image.path()).output().unwrap();
            assert!(made.status.success(), "{mkfs:?}: {made:?}");
            assert!(!kinds(image.as_file()).is_empty(), "{mkfs:?}");
            wipe(image.path()).unwrap();
            let left = kinds(image.as_file());
            assert!(left.iter().all(|kind| kind == "unknown data"), "{mkfs:?}: {left:?}");
        }
    }

    #[test]
    fn a_file_system_inside_of_an_array_that_does_not_run_does_not_come_back() {
        let image = image(64 << 20);
        let file = image.as_file();
        let offset = 8u64 << 20;
        let made = Command::new("mkfs.ext4").args(["-q", "-E", "offset=8388608"]).arg(image.path()).arg("16M").status();
        assert!(made.unwrap().success());
        file.write_all_at(&0xa92b_4efcu32.to_le_bytes(), 4096).unwrap();
        file.write_all_at(&1u32.to_le_bytes(), 4100).unwrap();
        file.write_all_at(b"host:data", 4096 + 32).unwrap();
        file.write_all_at(&1u32.to_le_bytes(), 4096 + 72).unwrap();
        file.write_all_at(&(offset / 512).to_le_bytes(), 4096 + 128).unwrap();
        file.write_all_at(&8u64.to_le_bytes(), 4096 + 144).unwrap();
        let found = signature::scan(file, "vda", 0, 0).unwrap();
        assert_eq!(found[0].describe(), "vda: linux_raid_member \"host:data\" (raid1 host:data: ext4)");
        wipe(image.path()).unwrap();
        assert_eq!(
            signature::scan(file, "vda", offset, 16 << 20).map(|found| found.iter().any(|one| one.kind == "ext4")),
            Ok(false)
        );
    }

    proptest! {
        #[test]
        fn zones_stay_inside_of_their_area(start in 0u64..1 << 40, length in 0u64..1 << 42) {
            for (from, count) in zones(start, length) {
                prop_assert!(from >= start && from + count <= start + length);
            }
        }

        #[test]
        fn inner_zones_stay_inside_of_their_area(
            start in 0u64..1 << 40, length in 0u64..1 << 40, at: u64, offset in prop::option::of(any::<u64>()),
        ) {
            let one = Signature { start: at, offset, ..Signature::default() };
            if let Some((from, count)) = zone_of(&one, start, length) {
                prop_assert!(from >= start && count > 0 && from + count <= start + length);
            }
        }
    }
}
