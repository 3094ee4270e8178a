//! libblkid itself, on images that mkfs and sfdisk made.

use super::*;
use std::{
    fs::File,
    io::Write,
    os::{fd::AsFd, unix::fs::FileExt},
    process::{Command, Stdio},
};
use tempfile::NamedTempFile;

const UUID: &str = "11111111-2222-3333-4444-555555555555";

fn image(bytes: u64) -> NamedTempFile {
    let image = NamedTempFile::new().unwrap();
    image.as_file().set_len(bytes).unwrap();
    image
}

fn with_ext4(label: &str) -> NamedTempFile {
    let image = image(8 << 20);
    let done = Command::new("mkfs.ext4").args(["-q", "-L", label, "-U", UUID]).arg(image.path()).status();
    assert!(done.unwrap().success());
    image
}

fn prober(file: &File, start: u64, size: u64) -> Prober<'_> {
    let mut prober = Prober::new(file.as_fd(), start, size).unwrap();
    let superblocks = Superblocks::DEFAULT | Superblocks::USAGE | Superblocks::MAGIC | Superblocks::BADCSUM;
    prober.superblocks(superblocks).unwrap();
    prober.partitions(Partitions::FORCE_GPT | Partitions::MAGIC).unwrap();
    prober
}

/// The values of every signature that is found.
fn found(file: &File, start: u64, size: u64, names: &[&CStr]) -> Vec<Vec<Option<String>>> {
    let mut prober = prober(file, start, size);
    let mut found = Vec::new();
    while prober.probe().unwrap() {
        found.push(names.iter().map(|name| prober.value(name)).collect());
    }
    found
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn nothing_stands_on_zeros() {
    let image = image(4 << 20);
    assert!(found(image.as_file(), 0, 0, &[c"TYPE"]).is_empty());
    assert_eq!(prober(image.as_file(), 0, 0).value(c"TYPE"), None);
}

#[test]
fn a_file_system_is_told_with_its_label_uuid_usage_and_magic_number() {
    let image = with_ext4("data");
    let names = [c"TYPE", c"LABEL", c"UUID", c"USAGE", c"SBMAGIC_OFFSET", c"PTTYPE", c"none such"];
    let values = ["ext4", "data", UUID, "filesystem", "1080"].map(some);
    assert_eq!(found(image.as_file(), 0, 0, &names), [[values.as_slice(), &[None, None]].concat()]);
}

#[test]
fn a_file_system_with_a_wrong_checksum_is_one_still() {
    let image = image(8 << 20);
    let done = Command::new("mkfs.ext4").args(["-q", "-O", "metadata_csum"]).arg(image.path()).status();
    assert!(done.unwrap().success());
    image.as_file().write_all_at(b"????", 1024 + 1020).unwrap();
    assert_eq!(found(image.as_file(), 0, 0, &[c"TYPE"]), [[some("ext4")]]);
}

#[test]
fn only_the_area_that_was_named_is_looked_at() {
    let (file_system, image) = (std::fs::read(with_ext4("data").path()).unwrap(), image(16 << 20));
    image.as_file().write_all_at(&file_system, 4 << 20).unwrap();
    assert!(found(image.as_file(), 0, 0, &[c"TYPE"]).is_empty());
    assert_eq!(found(image.as_file(), 4 << 20, 8 << 20, &[c"TYPE"]), [[some("ext4")]]);
    assert!(found(image.as_file(), 4 << 20, 512, &[c"TYPE"]).is_empty());
}

#[test]
fn a_partition_table_is_told_with_its_uuid_also_where_its_first_sectors_are_gone() {
    let image = image(8 << 20);
    let mut sfdisk = Command::new("sfdisk").arg("-q").arg(image.path()).stdin(Stdio::piped()).spawn().unwrap();
    let script = format!("label: gpt\nlabel-id: {UUID}\nsize=1M\nsize=1M\n");
    sfdisk.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(sfdisk.wait().unwrap().success());
    let names = [c"PTTYPE", c"PTUUID", c"PTMAGIC_OFFSET", c"TYPE"];
    assert_eq!(found(image.as_file(), 0, 0, &names), [[some("gpt"), some(UUID), some("512"), None]]);
    image.as_file().write_all_at(&[0; 34 * 512], 0).unwrap();
    assert_eq!(found(image.as_file(), 0, 0, &[c"PTTYPE", c"PTUUID"]), [[some("gpt"), some(UUID)]]);
}

#[test]
fn two_signatures_are_two() {
    let image = with_ext4("data");
    // The superblock of an md array (version 0.90) lies at the end.
    let at = (8 << 20) - (64 << 10);
    for (offset, word) in [(0, 0xa92b_4efcu32), (8, 90), (20, 7)] {
        image.as_file().write_all_at(&word.to_le_bytes(), at + offset).unwrap();
    }
    assert_eq!(found(image.as_file(), 0, 0, &[c"TYPE"]), [[some("linux_raid_member")], [some("ext4")]]);
}

#[test]
fn the_whole_says_one_thing_nothing_or_contradicts_itself() {
    let whole = |file: &File| {
        let mut prober = prober(file, 0, 0);
        prober.probe_whole().unwrap().then(|| prober.value(c"UUID").unwrap())
    };
    assert_eq!(whole(image(4 << 20).as_file()), None);
    let image = image(8 << 20);
    let done = Command::new("mkfs.ext4").args(["-q", "-O", "^metadata_csum", "-U", UUID]).arg(image.path()).status();
    assert!(done.unwrap().success());
    assert_eq!(whole(image.as_file()), some(UUID));
    // A swap area as well: its version where ext4 counts inodes, its magic number at the end of the first page.
    image.as_file().write_all_at(&1u32.to_le_bytes(), 1024).unwrap();
    image.as_file().write_all_at(b"SWAPSPACE2", 4086).unwrap();
    assert_eq!(found(image.as_file(), 0, 0, &[c"TYPE"]).len(), 2);
    assert_eq!(whole(image.as_file()), None);
}

#[test]
fn an_area_that_is_none_and_a_device_that_is_none_are_refused() {
    let image = image(1 << 20);
    assert!(Prober::new(image.as_file().as_fd(), u64::MAX, 0).is_err());
    assert!(Prober::new(image.as_file().as_fd(), 0, 1 << 63).is_err());
    let pipe = std::io::pipe().unwrap();
    assert!(Prober::new(pipe.0.as_fd(), 0, 0).is_err());
}

#[test]
fn a_value_ends_at_its_first_zero_and_is_text_or_none() {
    assert_eq!(text(b"data\0more"), some("data"));
    assert_eq!(text(b"data"), some("data"));
    assert_eq!(text(b"\xff\xfe\0"), None);
}
