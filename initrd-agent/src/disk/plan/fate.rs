//! What may be done with a disk: from what stands on it and what the operator allows. Pure.

use super::{
    Extent, Identity,
    action::{Table, TableKind},
    build::Mode,
    filesystem,
};
use crate::disk::{
    layout::{self, Content as Wanted},
    probe::{Content, partition_name},
};
use protocol::{Code, spec::WipePolicy};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What stands on a disk, seen from the layout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Nothing at all.
    pub empty: bool,
    /// It was made for this node and this disk of its layout.
    pub own: bool,
    /// Its making was cut off.
    pub unfinished: bool,
    /// It is this very layout, whole.
    pub complete: bool,
    /// It has the partitions and the kinds of file systems that the layout wants, whoever made it.
    pub alike: bool,
}

/// Compares what stands on a disk with what the layout wants there.
pub fn found(
    name: &str,
    disk: &layout::Disk,
    table: Option<&(Table, Vec<Extent>)>,
    content: &Content,
    kernel_name: &str,
    own: &Identity,
) -> Found {
    if content.is_empty() {
        return Found { empty: true, ..Found::default() };
    }
    let Some((table, extents)) = table else {
        let complete = is_own_whole_disk(name, disk, content, kernel_name, own);
        let alike = carries(disk.content.as_ref(), content, kernel_name);
        return Found { own: complete, complete, alike, ..Found::default() };
    };
    let on_disk = content.table.as_ref();
    let planned: BTreeMap<u32, Extent> =
        table.partitions.iter().zip(extents).map(|(one, extent)| (one.number, *extent)).collect();
    let places = |extents: &BTreeMap<u32, Extent>| -> Vec<(u32, u64, u64)> {
        extents.iter().map(|(number, one)| (*number, one.first, one.last)).collect()
    };
    let alike = on_disk.is_some_and(|found| places(&found.partitions) == places(&planned))
        && file_systems(disk, content, kernel_name);
    match &table.kind {
        TableKind::Gpt { guid, unfinished, .. } => {
            let is = |guid: &Uuid| on_disk.is_some_and(|found| found.guid == *guid);
            Found {
                own: on_disk.is_some_and(|found| own.owns(&format!("disk {}", name.replace('/', "_")), found.guid)),
                unfinished: is(unfinished),
                complete: is(guid) && on_disk.is_some_and(|found| found.partitions == planned),
                alike,
                empty: false,
            }
        }
        TableKind::Msdos { signature, unfinished } => {
            let is = |wanted: &u32| {
                let wanted = format!("{wanted:08x}");
                let on_disk = content.signatures.iter().filter(|one| one.device == kernel_name);
                on_disk.filter_map(|one| one.uuid.as_ref()).any(|uuid| *uuid == wanted)
            };
            let (complete, unfinished) = (is(signature), is(unfinished));
            Found { own: complete || unfinished, unfinished, complete, alike, empty: false }
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
fn is_own_whole_disk(name: &str, disk: &layout::Disk, content: &Content, kernel_name: &str, own: &Identity) -> bool {
    let at = format!("disk.{name}.content");
    let uuid = match &disk.content {
        Some(Wanted::Filesystem(one)) => filesystem::uuid(&one.format, &one.extra_args, own.guid(&at)),
        Some(Wanted::Btrfs(_) | Wanted::Luks(_) | Wanted::Swap(_)) => Some(own.guid(&at).to_string()),
        Some(Wanted::LvmPv(_)) => Some(super::lvm::uuid(own.guid(&at))),
        Some(Wanted::Mdraid(one)) => Some(own.guid(&format!("mdadm.{}", one.name)).to_string()),
        _ => None,
    };
    let found = content.signature_of(kernel_name).and_then(|found| found.uuid.as_ref());
    uuid.is_some() && found == uuid.as_ref()
}

/// What the operator allows.
#[derive(Debug, Clone, Copy)]
pub struct May {
    /// For this disk.
    pub policy: WipePolicy,
    /// disko's `destroy`.
    pub destroy: bool,
    /// The plan waits for an admin, who sees what is lost.
    pub hold: bool,
    /// What an earlier installation of this node left may go.
    pub reinstall: bool,
}

/// Why a disk is not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    #[allow(missing_docs)]
    pub code: Code,
    /// Behind "it is vda,".
    pub cause: &'static str,
    /// With `NAME` for the disk's name in the layout.
    pub remedy: &'static str,
}

/// What is done with a disk, and whether something of another owner is lost by it. `keeps`: file systems that are to
/// be kept lie on it.
///
/// # Errors
/// [`Refusal`] where it may not be touched.
pub fn decide(may: May, found: Found, keeps: bool) -> Result<(Mode, bool), Refusal> {
    let refuse = |code, cause, remedy| Err(Refusal { code, cause, remedy });
    let stands = found.complete || (found.alike && !found.unfinished);
    if may.policy == WipePolicy::Keep {
        return if stands {
            Ok((Mode::Open, false))
        } else {
            refuse(
                Code::DiskUnfit,
                "which is to be kept, and does not carry what the layout describes",
                "correct the layout, or set disks.wipe.NAME = \"wipe\" if its content may be destroyed",
            )
        };
    }
    if found.empty {
        return Ok((Mode::Make, false));
    }
    if keeps {
        return if stands {
            Ok((Mode::Reuse, false))
        } else {
            refuse(
                Code::DiskUnfit,
                "which has file systems to keep, and does not carry the partitions that the layout describes",
                "correct the layout; or take its file systems out of disks.keep if they may be destroyed",
            )
        };
    }
    if !may.destroy && !found.unfinished {
        return match (stands, may.policy) {
            (_, WipePolicy::Wipe) => refuse(
                Code::Layout,
                "which the layout says is not to be destroyed (destroy = false), and the spec says is to be wiped",
                "decide for one of them",
            ),
            (true, _) => Ok((Mode::Open, false)),
            (false, _) => refuse(
                Code::DiskUnfit,
                "which the layout says is not to be destroyed (destroy = false), and does not carry what it describes",
                "correct the layout",
            ),
        };
    }
    let own = found.unfinished || found.complete || (found.own && may.reinstall);
    match may.policy {
        _ if own => Ok((Mode::Make, false)),
        WipePolicy::Wipe => Ok((Mode::Make, true)),
        _ if may.hold => Ok((Mode::Make, true)),
        _ => refuse(
            Code::DiskForeign,
            "which is not empty",
            "set disks.wipe.NAME = \"wipe\" in the spec if its content may be destroyed, or disks.hold = true to \
             have the plan wait for an admin's approval",
        ),
    }
}

#[cfg(test)]
mod tests;
