//! Partition tables as data: what a layout wants written, and where each partition lies.

use crate::place::{LegacyWanted, Wanted};
use std::fmt;
use uuid::Uuid;

/// First and last sector of a partition, both included, and its GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Unique GUID of the partition.
    pub guid: Uuid,
    /// LBA.
    pub first: u64,
    /// LBA.
    pub last: u64,
}

/// A partition table to be written. Where it lies on an array is known only once the array is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// GPT or msdos.
    pub kind: TableKind,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// Which table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableKind {
    /// With the disk's GUID once everything stands, and the one it has until then.
    Gpt {
        /// Of a layout that is complete.
        guid: Uuid,
        /// Of one that is being made.
        unfinished: Uuid,
        /// The protective entry comes first in a hybrid MBR.
        protective_first: bool,
    },
    /// With the disk's signature, complete and until then.
    Msdos {
        /// Of a layout that is complete.
        signature: u32,
        /// Of one that is being made.
        unfinished: u32,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// 1, 2, 3 ...
    pub number: u32,
    /// Name in a GPT.
    pub label: String,
    /// Its type.
    pub kind: PartitionKind,
    /// Attribute bits of a GPT.
    pub attributes: u64,
    /// Unique GUID in a GPT.
    pub guid: Uuid,
    /// Where it is to lie.
    pub place: Place,
    /// Its entry in a hybrid MBR: type and active flag.
    pub hybrid: Option<(u8, bool)>,
}

/// Type of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKind {
    /// GPT.
    Guid(Uuid),
    /// msdos: type, active, and where it is described.
    Mbr {
        #[allow(missing_docs)]
        code: u8,
        #[allow(missing_docs)]
        active: bool,
        #[allow(missing_docs)]
        part: layout::PartType,
    },
}

/// Where a partition is to lie, in the words of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Place {
    Gpt { start: String, end: String, alignment: u64 },
    Legacy { start: String, end: String },
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self.kind, TableKind::Gpt { .. }) { "gpt" } else { "msdos" };
        write!(f, "{kind}")?;
        for one in &self.partitions {
            let (start, end) = match &one.place {
                Place::Gpt { start, end, .. } | Place::Legacy { start, end } => (start, end),
            };
            write!(f, ", {} {:?} {start}..{end}", one.number, one.label)?;
        }
        Ok(())
    }
}

impl Place {
    /// For [`crate::place::gpt`].
    pub fn wanted(&self) -> Wanted<'_> {
        match self {
            Place::Gpt { start, end, alignment } => Wanted { start, end: end.clone(), alignment: *alignment },
            Place::Legacy { start, end } => Wanted { start, end: end.clone(), alignment: 0 },
        }
    }

    /// For [`crate::place::legacy`].
    pub fn legacy(&self) -> LegacyWanted<'_> {
        match self {
            Place::Gpt { start, end, .. } | Place::Legacy { start, end } => LegacyWanted { start, end },
        }
    }
}
