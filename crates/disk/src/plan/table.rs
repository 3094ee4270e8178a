//! Partition tables of a layout: order, numbers, types, names, identifiers.

use super::{
    Identity,
    builder::{Builder, Inside, Mode},
};
use crate::{
    action::{Action, Device},
    partitions::{Partition, PartitionKind, Place, Table, TableKind},
};
use layout::{Content, Gpt, TableFormat, TablePartition};
use std::{collections::BTreeMap, sync::LazyLock};
use uuid::Uuid;

/// Type code of an EFI system partition.
pub const ESP: &str = "EF00";
/// Type code of the partition that GRUB uses on BIOS machines.
pub const BIOS_BOOT: &str = "EF02";

/// sgdisk's four digits as a type GUID, or the GUID itself.
pub fn type_guid(code: &str) -> Option<Uuid> {
    static CODES: LazyLock<BTreeMap<&str, Uuid>> = LazyLock::new(|| {
        let lines = include_str!("../type_codes.txt").lines();
        lines
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(code, guid)| Some((code, guid.parse().ok()?)))
            .collect()
    });
    CODES.get(code.to_ascii_uppercase().as_str()).copied().or_else(|| code.parse().ok())
}

/// Writes the table; its partitions are there then.
pub fn make<'a>(
    builder: &mut Builder<'_>,
    at: &str,
    device: &Device,
    content: &'a Content,
    mode: Mode,
) -> Vec<Inside<'a>> {
    let table = of(content, device, builder.own);
    for one in &table.partitions {
        builder.labels.extend(layout::partition_path(&one.label).map(|path| (path, device.partition(one.number))));
    }
    if mode == Mode::Make {
        builder.actions.push(Action::Table { device: device.clone(), table });
    }
    let inside = |(key, number, content)| Inside {
        at: format!("{at}.partitions.{key}"),
        device: device.partition(number),
        content,
        mode,
    };
    contents(content).into_iter().map(inside).collect()
}

/// The table that a `gpt` or a `table` describes. `device` is the disk or the array that it is for.
pub fn of(content: &Content, device: &Device, own: &Identity) -> Table {
    match content {
        Content::Gpt(gpt) => of_gpt(gpt, device, own),
        Content::Table(table) => of_legacy(table, device, own),
        _ => Table { kind: gpt_kind(device, own, true), partitions: Vec::new() },
    }
}

/// Key, number and content of each partition, in the order of their numbers.
pub fn contents(content: &Content) -> Vec<(String, u32, Option<&Content>)> {
    match content {
        Content::Gpt(gpt) => {
            let numbered = (1u32..).zip(sorted(gpt));
            numbered.map(|(number, (key, one))| (key.clone(), number, one.content.as_ref())).collect()
        }
        Content::Table(table) => {
            let numbers = legacy_numbers(table);
            let numbered = table.partitions.iter().zip(numbers).enumerate();
            numbered.map(|(n, (one, number))| (n.to_string(), number, one.content.as_ref())).collect()
        }
        _ => Vec::new(),
    }
}

/// disko's order: by priority, then by name.
fn sorted(gpt: &Gpt) -> Vec<(&String, &layout::Partition)> {
    let mut partitions: Vec<_> = gpt.partitions.iter().collect();
    partitions.sort_by_key(|(_, partition)| partition.priority());
    partitions
}

/// Name of the device in the layout, as it stands in partition labels: `disk-main`.
fn label_of(device: &Device) -> (&'static str, String) {
    match device {
        Device::Disk { name, .. } => ("disk", name.replace('/', "_")),
        Device::Array(name) => ("mdadm", name.clone()),
        other => ("device", other.to_string()),
    }
}

fn gpt_kind(device: &Device, own: &Identity, protective_first: bool) -> TableKind {
    let (kind, name) = label_of(device);
    TableKind::Gpt {
        guid: own.table(&format!("{kind} {name}"), true),
        unfinished: own.table(&format!("{kind} {name}"), false),
        protective_first,
    }
}

fn of_gpt(gpt: &Gpt, device: &Device, own: &Identity) -> Table {
    let (kind, name) = label_of(device);
    let partition = |(number, (key, one)): (u32, (&String, &layout::Partition))| {
        let size = one.size.as_deref().unwrap_or("0");
        let by_size = if size == "100%" { "-0".to_owned() } else { format!("+{size}") };
        let start = one.start.clone().unwrap_or_else(|| "0".to_owned());
        let end = one.end.clone().unwrap_or(by_size);
        let in_sectors = start.ends_with('s') || end.ends_with('s');
        let alignment = if one.alignment == 0 && in_sectors { 1 } else { one.alignment };
        Partition {
            number,
            label: layout::partition_label(kind, &name, key, one),
            kind: PartitionKind::Guid(type_guid(one.kind()).unwrap_or_default()),
            attributes: one
                .attributes
                .iter()
                .fold(0, |bits, bit| bits | 1u64.checked_shl(u32::from(*bit)).unwrap_or(0)),
            guid: one.uuid.unwrap_or_else(|| own.guid(&format!("partition {name} {key}"))),
            place: Place::Gpt { start, end, alignment },
            hybrid: one.hybrid.as_ref().map(|hybrid| {
                let code = hybrid.mbr_partition_type.as_deref().and_then(mbr_code).unwrap_or(0x83);
                (code, hybrid.mbr_bootable_flag)
            }),
        }
    };
    let partitions = (1u32..).zip(sorted(gpt)).map(partition).collect();
    Table { kind: gpt_kind(device, own, gpt.efi_gpt_partition_first), partitions }
}

/// `0x0c` or `0c`.
pub fn mbr_code(text: &str) -> Option<u8> {
    u8::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// Numbers 1 to 4 are in the first sector, logical ones begin at 5.
fn legacy_numbers(table: &layout::Table) -> Vec<u32> {
    let mut logical = 4;
    let mut primary = 0;
    let number = |one: &TablePartition| {
        let counter = if table.format == TableFormat::Msdos && one.part_type == layout::PartType::Logical {
            &mut logical
        } else {
            &mut primary
        };
        *counter += 1;
        *counter
    };
    table.partitions.iter().map(number).collect()
}

fn of_legacy(table: &layout::Table, device: &Device, own: &Identity) -> Table {
    let (kind, name) = label_of(device);
    let gpt = table.format == TableFormat::Gpt;
    let partition = |(number, one): (u32, &TablePartition)| {
        let (guid, attributes) = legacy_gpt_type(one);
        let kind = if gpt {
            PartitionKind::Guid(guid)
        } else {
            let active = one.bootable || one.flags.iter().any(|flag| flag == "boot");
            PartitionKind::Mbr { code: legacy_mbr_type(one), active, part: one.part_type }
        };
        Partition {
            number,
            label: one.name.clone().unwrap_or_default(),
            kind,
            attributes,
            guid: own.guid(&format!("partition {name} {number}")),
            place: Place::Legacy {
                start: one.start.clone().unwrap_or_else(|| "0%".to_owned()),
                end: one.end.clone().unwrap_or_else(|| "100%".to_owned()),
            },
            hybrid: None,
        }
    };
    let partitions = legacy_numbers(table).into_iter().zip(&table.partitions).map(partition).collect();
    let signature = |finished| own.signature(&format!("{kind} {name}"), finished);
    let kind = match table.format {
        TableFormat::Gpt => gpt_kind(device, own, true),
        TableFormat::Msdos => TableKind::Msdos { signature: signature(true), unfinished: signature(false) },
    };
    Table { kind, partitions }
}

/// What parted's flags, or else the kind of file system, make of a GPT entry: type and attributes.
fn legacy_gpt_type(one: &TablePartition) -> (Uuid, u64) {
    let mut code = match one.fs_type.as_deref() {
        Some("linux-swap") => "8200",
        Some("fat16" | "fat32" | "ntfs" | "udf") => "0700",
        Some("hfs" | "hfs+") => "AF00",
        _ => "8300",
    };
    let mut attributes = 0;
    let boot = one.bootable.then_some("boot");
    for flag in boot.into_iter().chain(one.flags.iter().map(String::as_str)) {
        match flag {
            "boot" | "esp" => code = ESP,
            "bios_grub" => code = BIOS_BOOT,
            "raid" => code = "FD00",
            "lvm" => code = "8E00",
            "swap" => code = "8200",
            "msftres" => code = "0C01",
            "msftdata" => code = "0700",
            "legacy_boot" => attributes |= 1 << 2,
            "hidden" => attributes |= 1,
            "no_automount" => attributes |= 1 << 63,
            _ => {}
        }
    }
    (type_guid(code).unwrap_or_default(), attributes)
}

/// The same for an entry of an msdos table.
fn legacy_mbr_type(one: &TablePartition) -> u8 {
    if one.part_type == layout::PartType::Extended {
        return 0x0f;
    }
    let mut code = match one.fs_type.as_deref() {
        Some("linux-swap") => 0x82,
        Some("fat16") => 0x0e,
        Some("fat32") => 0x0c,
        Some("ntfs" | "udf") => 0x07,
        Some("hfs" | "hfs+") => 0xaf,
        _ => 0x83,
    };
    for flag in &one.flags {
        match flag.as_str() {
            "esp" => code = 0xef,
            "raid" => code = 0xfd,
            "lvm" => code = 0x8e,
            "swap" => code = 0x82,
            _ => {}
        }
    }
    code
}

/// The flags that are known here; others are refused when the plan is made.
pub const FLAGS: [&str; 12] = [
    "boot",
    "esp",
    "bios_grub",
    "raid",
    "lvm",
    "swap",
    "msftres",
    "msftdata",
    "legacy_boot",
    "hidden",
    "no_automount",
    "lba",
];

/// Types, attributes and flags that nobody knows, by the partition's key.
///
/// # Errors
/// Key and reason.
pub fn check(content: &Content) -> Result<(), (String, String)> {
    match content {
        Content::Gpt(gpt) => gpt.partitions.iter().try_for_each(|(key, one)| {
            let why = if type_guid(one.kind()).is_none() {
                format!("type {:?} is not known", one.kind())
            } else if one.attributes.iter().any(|bit| *bit > 63) {
                "an attribute is beyond bit 63".to_owned()
            } else if one
                .hybrid
                .as_ref()
                .and_then(|one| one.mbr_partition_type.as_deref())
                .is_some_and(|code| mbr_code(code).is_none())
            {
                "the type in the hybrid MBR is not like 0x0c".to_owned()
            } else {
                return Ok(());
            };
            Err((key.clone(), why))
        }),
        Content::Table(table) => {
            let mut flags =
                table.partitions.iter().zip(1..).flat_map(|(one, n)| one.flags.iter().map(move |flag| (n, flag)));
            let unknown = flags.find(|(_, flag)| !FLAGS.contains(&flag.as_str()));
            let primary = table.partitions.iter().filter(|one| one.part_type != layout::PartType::Logical).count();
            let extended = table.partitions.iter().filter(|one| one.part_type == layout::PartType::Extended).count();
            if let Some((n, flag)) = unknown {
                return Err((
                    n.to_string(),
                    format!("the flag {flag:?} is not set here; these are: {}", FLAGS.join(", ")),
                ));
            }
            if table.format == TableFormat::Msdos && (primary > 4 || extended > 1) {
                return Err((
                    "5".to_owned(),
                    "an msdos table has four primary partitions, one of them extended".to_owned(),
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
