//! Magic numbers: blkid's, and what blkid misses: the inside of md arrays and volume groups that do not run, and
//! data without a magic number. Reads only, and boundedly.

use super::{lvm, md};
use blkid::{Partitions, Prober, Superblocks};
use std::{
    ffi::CStr,
    fs::File,
    io::{self, Seek, SeekFrom},
    os::{fd::AsFd, unix::fs::FileExt},
};

/// Signatures of one device; more are damage or malice.
const MOST: usize = 64;
/// Levels of arrays and volumes inside each other.
const DEEPEST: usize = 4;
/// Volumes of a group that are looked into.
const MOST_VOLUMES: usize = 64;
/// What a disk without any signature has here is data of an unknown kind.
const START: u64 = 1 << 20;
const UNKNOWN: &str = "unknown data";
/// blkid's word for a disk of an md array.
const MEMBER: &str = "linux_raid_member";

/// A magic number that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Kernel name of the disk or partition, or `group/volume` inside of one.
    pub device: String,
    /// `ext4`, `LVM2_member`, `gpt` ...
    pub kind: String,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its UUID, if it has one, as blkid writes it.
    pub uuid: Option<String>,
    /// `filesystem`, `raid`, `crypto` or `other`; partition tables have none.
    pub usage: Option<String>,
    /// Where the area begins that it stands on, bytes from the start of what was opened.
    pub start: u64,
    /// Where its magic number lies in this area, bytes, where blkid says.
    pub offset: Option<u64>,
    /// What it holds, where it can be told without running it.
    pub inside: Vec<Signature>,
}

impl Signature {
    /// Data without a magic number.
    pub fn is_unknown(&self) -> bool {
        self.kind == UNKNOWN
    }

    /// `vda2: LVM2_member (vg/root: ext4 "data")`.
    pub fn describe(&self) -> String {
        let label = self.label.as_ref().map_or_else(String::new, |label| format!(" {label:?}"));
        let inside: Vec<String> = self.inside.iter().map(Signature::describe).collect();
        let inside = if inside.is_empty() { String::new() } else { format!(" ({})", inside.join(", ")) };
        format!("{}: {}{label}{inside}", self.device, self.kind)
    }
}

/// What stands on a device from `start` for `size` bytes; a size of 0 is all of it.
///
/// # Errors
/// Where it cannot be read, in words.
pub fn scan(file: &File, name: &str, start: u64, size: u64) -> Result<Vec<Signature>, String> {
    let size = match size {
        0 => (&*file).seek(SeekFrom::End(0)).map_err(|error| error.to_string())?.saturating_sub(start),
        size => size,
    };
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut found = level(file, name, start, size, 0)?;
    if found.is_empty() && has_data(file, start, size.min(START))? {
        found.push(Signature { device: name.to_owned(), kind: UNKNOWN.to_owned(), ..Signature::default() });
    }
    Ok(found)
}

fn level(file: &File, name: &str, start: u64, size: u64, depth: usize) -> Result<Vec<Signature>, String> {
    let mut found = magic(file, name, start, size)?;
    if depth >= DEEPEST {
        return Ok(found);
    }
    let read = |at: u64, length: usize| read(file, start, size, at, length);
    let mut whole = None;
    for signature in &mut found {
        match signature.kind.as_str() {
            MEMBER => {
                for member in md::members(size, &read) {
                    let what = format!("{} {}", member.level, member.name.as_deref().unwrap_or(&member.uuid));
                    match member.data_offset {
                        0 => whole = Some(what),
                        at => signature.inside.extend(area(file, &what, start, size, at, depth)),
                    }
                }
            }
            "LVM2_member" => {
                let Some(group) = lvm::group(&read) else { continue };
                for (volume, at) in group.volumes.iter().take(MOST_VOLUMES) {
                    let what = format!("{}/{volume}", group.name);
                    let inside = at.map(|at| area(file, &what, start, size, at, depth)).unwrap_or_default();
                    let start = start.saturating_add(at.unwrap_or(0));
                    let bare = || Signature { start, device: what, kind: "volume".to_owned(), ..Signature::default() };
                    signature.inside.extend(if inside.is_empty() { vec![bare()] } else { inside });
                }
            }
            _ => {}
        }
    }
    match whole {
        Some(array) => Ok(put_into(found, &array)),
        None => Ok(found),
    }
}

/// What stands beside a member whose array begins where the member does stands on the array.
fn put_into(found: Vec<Signature>, array: &str) -> Vec<Signature> {
    let (mut members, others): (Vec<Signature>, Vec<Signature>) = found.into_iter().partition(|one| one.kind == MEMBER);
    if let Some(member) = members.first_mut() {
        member.inside.extend(others.into_iter().map(|one| Signature { device: array.to_owned(), ..one }));
    }
    members
}

/// What stands inside of an area; what cannot be read there is left out, as the outside is known already.
fn area(file: &File, name: &str, start: u64, size: u64, at: u64, depth: usize) -> Vec<Signature> {
    let rest = size.checked_sub(at).filter(|rest| *rest > 0);
    rest.and_then(|rest| level(file, name, start + at, rest, depth + 1).ok()).unwrap_or_default()
}

fn magic(file: &File, name: &str, start: u64, size: u64) -> Result<Vec<Signature>, String> {
    let words = |error: io::Error| error.to_string();
    let mut prober = Prober::new(file.as_fd(), start, size).map_err(words)?;
    let superblocks = Superblocks::DEFAULT | Superblocks::USAGE | Superblocks::MAGIC | Superblocks::BADCSUM;
    prober.superblocks(superblocks).map_err(words)?;
    // Without force, a table is not seen whose protective MBR is gone, nor one of which only the backup is left.
    prober.partitions(Partitions::FORCE_GPT | Partitions::MAGIC).map_err(words)?;
    let mut found: Vec<Signature> = Vec::new();
    // One probe a round; a device may carry several signatures.
    for _ in 0..MOST {
        if !prober.probe().map_err(words)? {
            break;
        }
        let value = |key: &CStr| prober.value(key);
        let Some(kind) = value(c"TYPE").or_else(|| value(c"PTTYPE")) else { continue };
        let offset = value(c"SBMAGIC_OFFSET").or_else(|| value(c"PTMAGIC_OFFSET"));
        let signature = Signature {
            device: name.to_owned(),
            kind,
            label: value(c"LABEL"),
            uuid: value(c"UUID").or_else(|| value(c"PTUUID")),
            usage: value(c"USAGE"),
            start,
            offset: offset.and_then(|offset| offset.parse().ok()),
            inside: Vec::new(),
        };
        if !found.contains(&signature) {
            found.push(signature);
        }
    }
    Ok(found)
}

/// So many bytes from `at` of an area; nothing beyond its end, and nothing where they cannot be read.
pub fn read(file: &File, start: u64, size: u64, at: u64, length: usize) -> Option<Vec<u8>> {
    let end = at.checked_add(u64::try_from(length).ok()?)?;
    if end > size {
        return None;
    }
    let mut bytes = vec![0u8; length];
    file.read_exact_at(&mut bytes, start.checked_add(at)?).ok()?;
    Some(bytes)
}

fn has_data(file: &File, start: u64, length: u64) -> Result<bool, String> {
    let mut bytes = vec![0u8; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start).map_err(|error| error.to_string())?;
    Ok(bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn image(bytes: u64) -> (tempfile::NamedTempFile, File) {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(bytes).unwrap();
        let file = image.reopen().unwrap();
        (image, file)
    }

    fn kinds(file: &File) -> Vec<String> {
        scan(file, "x", 0, 0).unwrap().into_iter().map(|one| one.kind).collect()
    }

    #[test]
    fn an_empty_device_has_nothing_and_one_with_odd_bytes_unknown_data() {
        let (_image, file) = image(4 << 20);
        assert_eq!(scan(&file, "x", 0, 0), Ok(vec![]));
        file.write_all_at(b"?", 4096).unwrap();
        assert_eq!(kinds(&file), ["unknown data"]);
        assert_eq!(scan(&image_of(&file), "x", 0, 100), Ok(vec![]));
    }

    fn image_of(file: &File) -> File {
        file.try_clone().unwrap()
    }

    #[test]
    fn a_file_system_says_its_kind_label_uuid_and_usage() {
        let (path, file) = image(8 << 20);
        let uuid = "11111111-2222-3333-4444-555555555555";
        let done = Command::new("mkfs.ext4").args(["-q", "-L", "data", "-U", uuid]).arg(path.path()).status();
        assert!(done.unwrap().success());
        let found = scan(&file, "vda2", 0, 0).unwrap();
        assert_eq!((found[0].kind.as_str(), found[0].label.as_deref()), ("ext4", Some("data")));
        assert_eq!((found[0].uuid.as_deref(), found[0].usage.as_deref()), (Some(uuid), Some("filesystem")));
        assert_eq!(found[0].offset, Some(1080));
        assert_eq!(found[0].describe(), "vda2: ext4 \"data\"");
    }

    #[test]
    fn what_an_array_holds_from_its_first_byte_is_told_once() {
        let (path, file) = image(8 << 20);
        assert!(Command::new("mkfs.ext4").arg("-q").arg(path.path()).arg("7M").status().unwrap().success());
        let superblock = (8 << 20) - 8192;
        for (at, bytes) in [(0, 0xa92b_4efcu32.to_le_bytes()), (4, 1u32.to_le_bytes()), (72, 1u32.to_le_bytes())] {
            file.write_all_at(&bytes, superblock + at).unwrap();
        }
        file.write_all_at(&(superblock / 512).to_le_bytes(), superblock + 144).unwrap();
        let found = scan(&file, "sda", 0, 0).unwrap();
        assert_eq!(
            (found.len(), found[0].kind.as_str(), found[0].inside[0].kind.as_str()),
            (1, "linux_raid_member", "ext4")
        );
    }

    #[test]
    fn a_table_of_which_only_the_backup_stands_is_found() {
        let (path, file) = image(8 << 20);
        let config = gpt::GptConfig::new().writable(true).logical_block_size(gpt::disk::LogicalBlockSize::Lb512);
        config.create_from_device(path.reopen().unwrap(), None).unwrap().write().unwrap();
        assert_eq!(kinds(&file), ["gpt"]);
        file.write_all_at(&[0; 34 * 512], 0).unwrap();
        assert_eq!(kinds(&file), ["gpt"]);
    }
}
