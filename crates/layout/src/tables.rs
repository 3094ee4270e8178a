//! Partition tables.

use super::{Content, Hooks, yes};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A GUID partition table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gpt {
    /// By disko's name of the partition.
    pub partitions: BTreeMap<String, Partition>,
    /// In a hybrid MBR, the protective entry comes first.
    #[serde(default = "yes")]
    pub efi_gpt_partition_first: bool,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A partition of a [`Gpt`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Order on the disk: small first.
    #[serde(default)]
    priority: Option<i64>,
    /// `500M`, `100%`; `end` says the same where both are there.
    #[serde(default)]
    pub size: Option<String>,
    /// As sgdisk takes it; `0`: the next free place.
    #[serde(default)]
    pub start: Option<String>,
    /// As sgdisk takes it: `+500M`, `-0`, `-1M`, `128M`.
    #[serde(default)]
    pub end: Option<String>,
    /// Sectors; 0 for 1 MiB.
    #[serde(default)]
    pub alignment: u64,
    /// Bits of the attribute field.
    #[serde(default)]
    pub attributes: Vec<u8>,
    /// sgdisk's four digits, or a GUID.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// Name in the table.
    #[serde(default)]
    pub label: Option<String>,
    /// Fixed GUID.
    #[serde(default)]
    pub uuid: Option<uuid::Uuid>,
    /// What goes into it.
    #[serde(default)]
    pub content: Option<Content>,
    /// Its entry in a hybrid MBR.
    #[serde(default)]
    pub hybrid: Option<Hybrid>,
    /// disko's name, where it is not the key.
    #[serde(default)]
    pub name: Option<String>,
}

impl Partition {
    /// sgdisk's four digits, or a GUID.
    pub fn kind(&self) -> &str {
        let default = if matches!(self.content, Some(Content::Swap(_))) { "8200" } else { "8300" };
        self.kind.as_deref().unwrap_or(default)
    }

    /// Order on the disk: what takes the rest comes last, and what some BIOS wants first comes first.
    pub fn priority(&self) -> i64 {
        self.priority.unwrap_or(match (self.kind(), self.size.as_deref()) {
            (_, Some("100%")) => 9001,
            ("EF02" | "ef02", _) => 100,
            _ => 1000,
        })
    }
}

/// An entry of the hybrid MBR.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Hybrid {
    /// `0x0c`.
    pub mbr_partition_type: Option<String>,
    /// Marked active.
    pub mbr_bootable_flag: bool,
}

/// disko's legacy partition table, in the words of parted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Of the table.
    #[serde(default)]
    pub format: TableFormat,
    /// In the order of the disk.
    pub partitions: Vec<TablePartition>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// Kind of a legacy table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TableFormat {
    #[default]
    Gpt,
    Msdos,
}

/// A partition of a [`Table`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TablePartition {
    #[allow(missing_docs)]
    #[serde(default)]
    pub part_type: PartType,
    /// What parted is told of the content: it decides the type code.
    #[serde(default)]
    pub fs_type: Option<String>,
    /// Name in a GPT.
    #[serde(default)]
    pub name: Option<String>,
    /// `1M` is a million bytes here, `1MiB` is not; or percent.
    #[serde(default)]
    pub start: Option<String>,
    /// As `start`.
    #[serde(default)]
    pub end: Option<String>,
    /// parted's flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// parted's `boot` flag.
    #[serde(default)]
    pub bootable: bool,
    /// What goes into it.
    #[serde(default)]
    pub content: Option<Content>,
}

/// Where a partition of an msdos table is described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PartType {
    #[default]
    Primary,
    Extended,
    Logical,
}
