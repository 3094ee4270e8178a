//! What may be done with a disk: from whose what stands on it is, and what the operator asks and allows. Pure, and one
//! table, which docs/disk-fate.md shows.

use super::{Identity, filesystem};
use crate::{
    partitions::{Extent, Table, TableKind},
    probe::{Content, partition_name},
};
use layout::Content as Wanted;
use protocol::{
    Code,
    report::{Fate, Lost},
    spec::WipePolicy,
};
use std::collections::{BTreeMap, BTreeSet};

/// What stands on a disk: whose it is, and whether it is what the layout wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing at all.
    Empty,
    /// This very layout, made for this node and this disk of it, whole.
    Whole,
    /// The node's own, and its making was cut off.
    Unfinished,
    /// The node's own, of another layout, with the partitions and the kinds of file systems that this one wants.
    OwnAlike,
    /// The node's own, of another layout.
    OwnOther,
    /// Somebody else's, with the partitions and the kinds of file systems that the layout wants.
    ForeignAlike,
    /// Somebody else's, or nobody knows whose.
    Foreign,
}

/// Who made what stands on a disk, by its identifiers.
enum Maker {
    ThisLayout,
    Unfinished,
    OtherLayout,
    Somebody,
}

/// Compares what stands on a disk with what the layout wants there.
pub fn standing(
    name: &str,
    disk: &layout::Disk,
    table: Option<&(Table, Vec<Extent>)>,
    content: &Content,
    kernel_name: &str,
    own: &Identity,
) -> Standing {
    if content.is_empty() {
        return Standing::Empty;
    }
    let (maker, alike) = match table {
        None => (
            maker_of_whole_disk(name, disk, content, kernel_name, own),
            carries(disk.content.as_ref(), content, kernel_name),
        ),
        Some((table, extents)) => {
            let numbered = table.partitions.iter().zip(extents).map(|(one, extent)| (one.number, *extent));
            let planned: BTreeMap<u32, Extent> = numbered.collect();
            let maker = maker_of_table(name, &table.kind, &planned, content, kernel_name, own);
            (maker, same_places(content, &planned) && file_systems(disk, content, kernel_name))
        }
    };
    match (maker, alike) {
        (Maker::ThisLayout, _) => Standing::Whole,
        (Maker::Unfinished, _) => Standing::Unfinished,
        (Maker::OtherLayout, true) => Standing::OwnAlike,
        (Maker::OtherLayout, false) => Standing::OwnOther,
        (Maker::Somebody, true) => Standing::ForeignAlike,
        (Maker::Somebody, false) => Standing::Foreign,
    }
}

fn same_places(content: &Content, planned: &BTreeMap<u32, Extent>) -> bool {
    let places = |extents: &BTreeMap<u32, Extent>| -> Vec<(u32, u64, u64)> {
        extents.iter().map(|(number, one)| (*number, one.first, one.last)).collect()
    };
    content.table.as_ref().is_some_and(|found| places(&found.partitions) == places(planned))
}

/// The first partition that does not lie where the layout has it, with the sectors of both.
pub fn difference(table: Option<&(Table, Vec<Extent>)>, content: &Content) -> Option<String> {
    let (table, extents) = table?;
    let found = &content.table.as_ref()?.partitions;
    let planned: BTreeMap<u32, &Extent> =
        table.partitions.iter().zip(extents).map(|(one, extent)| (one.number, extent)).collect();
    let place =
        |one: Option<&Extent>| one.map_or("is not there".to_owned(), |one| format!("is {}..{}", one.first, one.last));
    let numbers: BTreeSet<u32> = planned.keys().chain(found.keys()).copied().collect();
    let places = |number: u32| (place(found.get(&number)), place(planned.get(&number).copied()));
    let differs =
        numbers.into_iter().map(|number| (number, places(number))).find(|(_, (found, planned))| found != planned);
    differs.map(|(number, (found, planned))| {
        format!("its partition {number} {found}, and in the layout it {planned} (sectors)")
    })
}

fn maker_of_table(
    name: &str,
    kind: &TableKind,
    planned: &BTreeMap<u32, Extent>,
    content: &Content,
    kernel_name: &str,
    own: &Identity,
) -> Maker {
    match kind {
        TableKind::Gpt { guid, unfinished, .. } => match &content.table {
            Some(found) if found.guid == *unfinished => Maker::Unfinished,
            Some(found) if found.guid == *guid && found.partitions == *planned => Maker::ThisLayout,
            Some(found) if own.owns(&format!("disk {}", name.replace('/', "_")), found.guid) => Maker::OtherLayout,
            _ => Maker::Somebody,
        },
        TableKind::Msdos { signature, unfinished } => {
            let is = |wanted: &u32| {
                let wanted = format!("{wanted:08x}");
                let on_disk = content.signatures.iter().filter(|one| one.device == kernel_name);
                on_disk.filter_map(|one| one.uuid.as_ref()).any(|uuid| *uuid == wanted)
            };
            match (is(unfinished), is(signature)) {
                (true, _) => Maker::Unfinished,
                (false, true) => Maker::ThisLayout,
                (false, false) => Maker::Somebody,
            }
        }
    }
}

/// Whether each partition carries the kind of file system that the layout wants.
fn file_systems(disk: &layout::Disk, content: &Content, kernel_name: &str) -> bool {
    let Some(wanted) = &disk.content else { return true };
    super::table::contents(wanted)
        .into_iter()
        .all(|(_, number, wanted)| carries(wanted, content, &partition_name(kernel_name, number)))
}

/// Whether a device carries the kind of content that the layout wants.
fn carries(wanted: Option<&Wanted>, content: &Content, kernel_name: &str) -> bool {
    let kind = match wanted {
        Some(Wanted::Filesystem(one)) => one.format.as_str(),
        Some(Wanted::Btrfs(_)) => "btrfs",
        Some(Wanted::Luks(_)) => "crypto_LUKS",
        Some(Wanted::LvmPv(_)) => "LVM2_member",
        Some(Wanted::Mdraid(_)) => "linux_raid_member",
        Some(Wanted::Zfs(_)) => "zfs_member",
        Some(Wanted::Bcachefs(_)) => "bcachefs",
        _ => return true,
    };
    content.signature_of(kernel_name).is_some_and(|found| found.kind == kind)
}

/// A disk without a table is known by the identifier of what stands on it.
fn maker_of_whole_disk(name: &str, disk: &layout::Disk, content: &Content, kernel_name: &str, own: &Identity) -> Maker {
    let at = format!("disk.{name}.content");
    let uuid = match &disk.content {
        Some(Wanted::Filesystem(one)) => filesystem::uuid(&one.format, &one.extra_args, own.guid(&at)),
        Some(Wanted::Btrfs(_) | Wanted::Luks(_) | Wanted::Swap(_)) => Some(own.guid(&at).to_string()),
        Some(Wanted::LvmPv(_)) => Some(super::lvm::uuid(own.guid(&at))),
        Some(Wanted::Mdraid(one)) => Some(own.guid(&format!("mdadm.{}", one.name)).to_string()),
        _ => None,
    };
    let found = content.signature_of(kernel_name).and_then(|found| found.uuid.as_ref());
    if uuid.is_some() && found == uuid.as_ref() { Maker::ThisLayout } else { Maker::Somebody }
}

/// What the operator says of a disk.
#[derive(Debug, Clone, Copy)]
pub struct May {
    /// For this disk.
    pub policy: WipePolicy,
    /// disko's `destroy`.
    pub destroy: bool,
    /// File systems that are to be kept lie on it.
    pub keeps: bool,
    /// The plan waits for an admin, who sees what is lost.
    pub hold: bool,
    /// What an earlier installation of this node left may go.
    pub reinstall: bool,
}

/// What is asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Policy `keep`: it is opened as it is.
    Keep,
    /// disko's `destroy = false`.
    Spare,
    /// The same, and policy `wipe` beside it.
    SpareAndWipe,
    /// Some of its file systems are to be kept.
    KeepInPart,
    /// Everything anew.
    Make,
}

/// What may go for that, beside what is left of a layout that was being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MayGo {
    /// This layout, and no other.
    ThisLayout,
    /// Whatever is the node's own: an installation was asked for.
    Own,
    /// Anything: by policy `wipe`, or with an admin's approval.
    Foreign,
}

impl May {
    fn asked(self) -> Asked {
        match (self.policy, self.destroy, self.keeps) {
            // An ignored disk is left out of the layout before it comes here; it would never be written.
            (WipePolicy::Keep | WipePolicy::Ignore, _, _) => Asked::Keep,
            (WipePolicy::Wipe, false, _) => Asked::SpareAndWipe,
            (WipePolicy::Install, false, _) => Asked::Spare,
            (WipePolicy::Wipe | WipePolicy::Install, true, true) => Asked::KeepInPart,
            (WipePolicy::Wipe | WipePolicy::Install, true, false) => Asked::Make,
        }
    }

    fn may_go(self) -> MayGo {
        match (self.policy == WipePolicy::Wipe || self.hold, self.reinstall) {
            (true, _) => MayGo::Foreign,
            (false, true) => MayGo::Own,
            (false, false) => MayGo::ThisLayout,
        }
    }
}

/// Why a disk is not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// To be kept, and not as laid out.
    NothingToKeep,
    /// To be kept in part, and not as laid out.
    NothingToKeepInPart,
    /// `destroy = false`, and not as laid out.
    NothingToSpare,
    /// `destroy = false` and `wipe`.
    Contradiction,
    /// It carries what may not be lost unasked.
    NotToBeLost,
}

impl Refusal {
    /// For programs.
    pub fn code(self) -> Code {
        match self {
            Refusal::NothingToKeep | Refusal::NothingToKeepInPart | Refusal::NothingToSpare => Code::DiskUnfit,
            Refusal::Contradiction => Code::Layout,
            Refusal::NotToBeLost => Code::DiskForeign,
        }
    }

    /// Behind "it is vda,".
    pub fn cause(self) -> &'static str {
        match self {
            Refusal::NothingToKeep => "which is to be kept, and does not carry what the layout describes",
            Refusal::NothingToKeepInPart => {
                "which has file systems to keep, and does not carry the partitions that the layout describes"
            }
            Refusal::NothingToSpare => {
                "which the layout says is not to be destroyed (destroy = false), and does not carry what it describes"
            }
            Refusal::Contradiction => {
                "which the layout says is not to be destroyed (destroy = false), and the spec says is to be wiped"
            }
            Refusal::NotToBeLost => "which is not empty",
        }
    }

    /// For the disk of this name in the layout.
    pub fn remedy(self, name: &str) -> String {
        match self {
            Refusal::NothingToKeep => {
                format!("correct the layout, or set disks.wipe.{name} = \"wipe\" if its content may be destroyed")
            }
            Refusal::NothingToKeepInPart => {
                "correct the layout; or take its file systems out of disks.keep if they may be destroyed".to_owned()
            }
            Refusal::NothingToSpare => "correct the layout".to_owned(),
            Refusal::Contradiction => "decide for one of them".to_owned(),
            Refusal::NotToBeLost => format!(
                "set disks.wipe.{name} = \"wipe\" in the spec if its content may be destroyed, or disks.hold = true to \
                 have the plan wait for an admin's approval"
            ),
        }
    }
}

impl Refusal {
    /// It was to be as laid out, so that it matters where it differs.
    pub fn is_of_what_differs(self) -> bool {
        match self {
            Refusal::NothingToKeep | Refusal::NothingToKeepInPart | Refusal::NothingToSpare => true,
            Refusal::Contradiction | Refusal::NotToBeLost => false,
        }
    }
}

/// What is done with a disk, and what is lost by it.
///
/// # Errors
/// [`Refusal`] where it may not be touched.
pub fn decide(standing: Standing, may: May) -> Result<Fate, Refusal> {
    table(standing, may.asked(), may.may_go())
}

fn table(standing: Standing, asked: Asked, may_go: MayGo) -> Result<Fate, Refusal> {
    use Standing::{Empty, Foreign, ForeignAlike, OwnAlike, OwnOther, Unfinished, Whole};
    match (asked, standing, may_go) {
        (Asked::Keep, Whole | OwnAlike | ForeignAlike, _) => Ok(Fate::Keep),
        (Asked::Keep, Empty | Unfinished | OwnOther | Foreign, _) => Err(Refusal::NothingToKeep),

        // What was cut off was cleared before: there is nothing left on it to be kept or spared.
        (_, Empty | Unfinished, _) => Ok(Fate::Make { loses: Lost::Nothing }),

        (Asked::SpareAndWipe, _, _) => Err(Refusal::Contradiction),
        (Asked::Spare, Whole | OwnAlike | ForeignAlike, _) => Ok(Fate::Keep),
        (Asked::Spare, OwnOther | Foreign, _) => Err(Refusal::NothingToSpare),

        (Asked::KeepInPart, OwnOther | Foreign, _) => Err(Refusal::NothingToKeepInPart),
        (Asked::KeepInPart, Whole | OwnAlike, _) => Ok(Fate::KeepInPart { loses: Lost::Own }),
        (Asked::KeepInPart, ForeignAlike, MayGo::Foreign) => Ok(Fate::KeepInPart { loses: Lost::Foreign }),
        (Asked::KeepInPart, ForeignAlike, MayGo::ThisLayout | MayGo::Own) => Err(Refusal::NotToBeLost),

        (Asked::Make, Whole, _) => Ok(Fate::Make { loses: Lost::Own }),
        (Asked::Make, OwnAlike | OwnOther, MayGo::Own | MayGo::Foreign) => Ok(Fate::Make { loses: Lost::Own }),
        (Asked::Make, ForeignAlike | Foreign, MayGo::Foreign) => Ok(Fate::Make { loses: Lost::Foreign }),
        (Asked::Make, OwnAlike | OwnOther, MayGo::ThisLayout) => Err(Refusal::NotToBeLost),
        (Asked::Make, ForeignAlike | Foreign, MayGo::ThisLayout | MayGo::Own) => Err(Refusal::NotToBeLost),
    }
}

#[cfg(test)]
mod tests;
