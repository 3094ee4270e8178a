//! UEFI boot entries and their order (UEFI specification 2.10, sections 3.1 and 3.3), through efivarfs.

pub mod loader;
mod option;

use nix::libc::c_long;
use option::LoadOption;
use protocol::{Code, Failure, failure::OrFail, failure::Result, spec::BootOrder};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};
use uuid::Uuid;

const VARIABLES: &str = "/sys/firmware/efi/efivars";
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, boot service access, runtime access.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
const DESCRIPTION: &str = "NixOS (centra)";
/// Firmware variables are small; this one is read into memory.
const MAX_VARIABLE: usize = 64 << 10;

mod ioctl {
    #![allow(missing_docs, reason = "macros")]
    use super::c_long;
    nix::ioctl_read!(get_flags, b'f', 1, c_long);
    nix::ioctl_write_ptr!(set_flags, b'f', 2, c_long);
}
const FS_IMMUTABLE_FL: c_long = 0x10;

/// Where an EFI system partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Esp {
    /// In the partition table, from 1.
    pub number: u32,
    /// Its unique GUID.
    pub guid: Uuid,
    /// First sector.
    pub first: u64,
    /// Last sector.
    pub last: u64,
}

/// An EFI system partition, and what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Where it is.
    pub esp: Esp,
    /// The programs on it ([`loader::programs`]).
    pub programs: Vec<String>,
}

/// Boot order before and after, as descriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordered {
    /// As found.
    pub before: Vec<String>,
    /// As read back.
    pub after: Vec<String>,
}

/// Makes sure that an entry for each EFI system partition exists (several mirror each other, so that the machine boots
/// from whichever disk is left) whose loader is there, writes BootOrder by the policy, and reads it back.
///
/// # Errors
/// `E-BOOT-ORDER` where a variable cannot be read or written, or does not read back; `E-BOOT-LOADER` where none of the
/// programs is known to be the loader.
pub fn set_boot_order(esps: &[Filled], policy: BootOrder) -> Result<Ordered> {
    let before = order()?;
    let found = options()?;
    let descriptions_before = descriptions(&before, &found);
    let mut disks = Vec::new();
    for esp in esps {
        disks.push(entry_of(esp)?);
    }
    let current =
        read_variable("BootCurrent")?.and_then(|bytes| Some(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?)));
    let wanted = new_order(&before, current, &disks, policy);
    write_variable("BootOrder", &wanted.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
    let after = order()?;
    if after != wanted {
        return Err(failed(&format!("it reads back as {after:04X?} and not as {wanted:04X?}")));
    }
    Ok(Ordered { before: descriptions_before, after: descriptions(&after, &options()?) })
}

/// The boot order as it is, as descriptions; empty where there is none, as on BIOS.
///
/// # Errors
/// `E-BOOT-ORDER` where a variable cannot be read.
pub fn found() -> Result<Vec<String>> {
    let order = order()?;
    if order.is_empty() { Ok(Vec::new()) } else { Ok(descriptions(&order, &options()?)) }
}

fn descriptions(order: &[u16], options: &BTreeMap<u16, LoadOption>) -> Vec<String> {
    let described =
        |number: &u16| options.get(number).map_or_else(|| format!("Boot{number:04X}"), |one| one.description.clone());
    order.iter().map(described).collect()
}

/// The number of the entry for an EFI system partition, which is made where there is none that would start.
fn entry_of(filled: &Filled) -> Result<u16> {
    let options = options()?;
    if let Some((number, _)) = options.iter().find(|(_, option)| starts(option, filled)) {
        return Ok(*number);
    }
    let loader = loader::choose(&filled.programs)?;
    let number = free_number(&options).ok_or_else(|| failed("all numbers of boot entries are taken"))?;
    let name = format!("Boot{number:04X}");
    write_variable(&name, &option::encode(DESCRIPTION, &filled.esp, loader))?;
    let read_back = read_variable(&name)?.and_then(|bytes| option::decode(&bytes));
    if read_back.is_none_or(|option| !starts(&option, filled)) {
        return Err(failed(&format!("{name} does not read back as an entry for {loader}")));
    }
    Ok(number)
}

/// Whether the entry names a program that is on this partition.
fn starts(option: &LoadOption, filled: &Filled) -> bool {
    let is_there = |loader: &String| filled.programs.iter().any(|program| program.eq_ignore_ascii_case(loader));
    option.partition == Some(filled.esp.guid) && option.loader.as_ref().is_some_and(is_there)
}

/// The order by policy: what booted us (the network) and the disks in front, the rest as it was.
fn new_order(before: &[u16], current: Option<u16>, disks: &[u16], policy: BootOrder) -> Vec<u16> {
    let network = current.filter(|current| !disks.contains(current));
    let front: Vec<u16> = match policy {
        BootOrder::NetworkFirst => network.into_iter().chain(disks.iter().copied()).collect(),
        BootOrder::DiskFirst => disks.iter().copied().chain(network).collect(),
    };
    let rest = before.iter().copied().filter(|number| !front.contains(number));
    front.iter().copied().chain(rest).collect()
}

fn free_number(options: &BTreeMap<u16, LoadOption>) -> Option<u16> {
    (0..=u16::MAX).find(|number| !options.contains_key(number))
}

fn order() -> Result<Vec<u16>> {
    let bytes = read_variable("BootOrder")?.unwrap_or_default();
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn options() -> Result<BTreeMap<u16, LoadOption>> {
    let entries = fs::read_dir(VARIABLES).or_fail(Code::BootOrder, || format!("reading {VARIABLES}"))?;
    let number = |entry: &fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let digits = name.strip_prefix("Boot")?.strip_suffix(GLOBAL)?.strip_suffix('-')?;
        (digits.len() == 4).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let mut options = BTreeMap::new();
    for number in entries.flatten().filter_map(|entry| number(&entry)) {
        if let Some(option) = read_variable(&format!("Boot{number:04X}"))?.and_then(|bytes| option::decode(&bytes)) {
            options.insert(number, option);
        }
    }
    Ok(options)
}

fn variable_path(name: &str) -> PathBuf {
    Path::new(VARIABLES).join(format!("{name}-{GLOBAL}"))
}

/// The value without its attributes; none where the variable does not exist.
fn read_variable(name: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(variable_path(name)) {
        Ok(bytes) if bytes.len() > MAX_VARIABLE => Err(failed(&format!("{name} is larger than any boot variable"))),
        Ok(bytes) => Ok(Some(bytes.get(4..).unwrap_or_default().to_vec())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&format!("reading {name}: {error}"))),
    }
}

fn write_variable(name: &str, value: &[u8]) -> Result<()> {
    let path = variable_path(name);
    let activity = || format!("writing the UEFI variable {name}");
    if let Ok(existing) = File::open(&path) {
        make_mutable(&existing);
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .or_fail(Code::BootOrder, activity)?;
    // efivarfs takes attributes and value in one write.
    file.write_all(&[&ATTRIBUTES, value].concat()).or_fail(Code::BootOrder, activity)
}

/// efivarfs marks what it does not know to be harmless as immutable.
fn make_mutable(file: &File) {
    let mut flags: c_long = 0;
    // SAFETY: both ioctls read or write one long, which outlives the calls, on an open descriptor.
    unsafe {
        if ioctl::get_flags(file.as_raw_fd(), &raw mut flags).is_ok() {
            flags &= !FS_IMMUTABLE_FL;
            let _ = ioctl::set_flags(file.as_raw_fd(), &raw const flags);
        }
    }
}

fn failed(why: &str) -> Failure {
    Failure::new(Code::BootOrder, format!("setting the UEFI boot order: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_counts_only_with_the_partition_and_a_program_that_is_on_it() {
        let guid: Uuid = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".parse().unwrap();
        let esp = Esp { number: 2, guid, first: 4096, last: 8191 };
        let filled = Filled { esp, programs: vec!["\\EFI\\NixOS-boot\\grubx64.efi".to_owned()] };
        let option = |partition, loader: &str| LoadOption {
            description: "x".to_owned(),
            partition,
            loader: Some(loader.to_owned()),
        };
        assert!(starts(&option(Some(guid), "\\EFI\\nixos-boot\\GRUBX64.EFI"), &filled));
        assert!(!starts(&option(Some(guid), "\\EFI\\BOOT\\BOOTX64.EFI"), &filled));
        assert!(!starts(&option(None, "\\EFI\\NixOS-boot\\grubx64.efi"), &filled));
        assert!(!starts(&LoadOption { loader: None, ..option(Some(guid), "") }, &filled));
    }

    #[test]
    fn the_disk_stands_right_behind_the_network_or_before_it() {
        assert_eq!(new_order(&[1, 2, 3], Some(2), &[9], BootOrder::NetworkFirst), [2, 9, 1, 3]);
        assert_eq!(new_order(&[1, 2, 3], Some(2), &[9], BootOrder::DiskFirst), [9, 2, 1, 3]);
        assert_eq!(new_order(&[9, 2], Some(9), &[9], BootOrder::NetworkFirst), [9, 2]);
        assert_eq!(new_order(&[], None, &[9], BootOrder::NetworkFirst), [9]);
        assert_eq!(new_order(&[1, 2], Some(2), &[8, 9], BootOrder::NetworkFirst), [2, 8, 9, 1]);
    }

    proptest! {
        #[test]
        fn no_entry_is_lost_or_doubled(before in proptest::collection::hash_set(0u16..50, 0..20), current in 0u16..50, disk in 0u16..50) {
            let before: Vec<u16> = before.into_iter().collect();
            for policy in [BootOrder::NetworkFirst, BootOrder::DiskFirst] {
                let after = new_order(&before, Some(current), &[disk], policy);
                let distinct: std::collections::HashSet<_> = after.iter().collect();
                prop_assert_eq!(distinct.len(), after.len());
                prop_assert!(before.iter().all(|number| after.contains(number)));
            }
        }
    }
}
