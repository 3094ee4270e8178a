//! The plan: from layout, selectors and what stands on the disks to exact disks, exact sectors and exact commands,
//! or a refusal. Pure; only [`make`] makes a [`Plan`], and whatever writes to a disk takes one.

mod bcachefs;
mod boots;
mod btrfs;
mod build;
mod builder;
mod choice;
mod elsewhere;
pub mod facts;
mod fate;
mod filesystem;
mod identity;
mod luks;
mod lvm;
mod order;
mod raid;
mod reach;
mod show;
mod sizes;
mod swap;
pub mod table;
mod zfs;

pub use identity::Identity;

use crate::{
    action::{Action, Device},
    partition_table,
    partitions::{Extent, Table},
    place::{NoPlace, Room},
    probe::Content,
    stack::Stack,
    table as disk_table,
};
use builder::{Builder, Mode};
use choice::{choose_all, kept_on, without_ignored};
use elsewhere::Identifiers;
use facts::{Mount, SwapSpace};
use fate::Standing;
use layout::{Layout, key_files};
use protocol::size;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    inventory::{Disk, Firmware},
    names::NodeName,
    overlay::ToolSet,
    report::Fate,
    spec::Disks,
};
use sizes::Sizes;
use std::collections::{BTreeMap, BTreeSet};

/// What will be done to the disks. Complete before the first write, and made by [`make`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One per disk of the layout that is not ignored.
    pub(crate) disks: Vec<DiskPlan>,
    /// What makes the layout, in order.
    pub(crate) actions: Vec<Action>,
    /// What opens a layout that stands, in order.
    pub(crate) open: Vec<Action>,
    /// What is mounted, parents first.
    pub(crate) mounts: Vec<Mount>,
    /// Made, and not mounted: another file system of the layout has their place.
    hidden: Vec<Mount>,
    /// Mount points that are left to the installed system, and of what kind each is.
    left: Vec<(String, String)>,
    /// Mount points that are not made anew, and with what they stay.
    stays: Vec<(String, String)>,
    /// What is swapped to.
    pub(crate) swaps: Vec<SwapSpace>,
    /// Files with keys, by the paths that the layout names.
    key_files: Vec<String>,
    /// Discard whole disks before they are partitioned.
    pub(crate) discard: bool,
}

/// What will be done to one disk.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskPlan {
    /// disko's name.
    pub(crate) name: String,
    /// The disk as it was seen when the plan was made.
    pub(crate) disk: Disk,
    /// What stood on it, in words.
    pub(crate) before: String,
    /// What stood on it.
    standing: Standing,
    /// What is done with it.
    pub(crate) fate: Fate,
    /// Its partition table, and where each partition lies.
    pub(crate) table: Option<(Table, Vec<Extent>)>,
}

/// What the plan is made from.
pub struct Facts<'a> {
    /// The node, for identifiers that are its own.
    pub node: &'a NodeName,
    /// Hashes of the CA's keys, the current one first: whose node it is. None on the command line.
    pub sites: &'a [Sha256],
    /// All disks of the machine.
    pub disks: &'a [Disk],
    /// What stands on them, by kernel name.
    pub contents: &'a BTreeMap<String, Content>,
    /// Every block device of the machine, and what stands on what.
    pub stack: &'a Stack,
    /// How the machine boots, where the layout is to be booted from.
    pub firmware: Option<Firmware>,
    /// Somebody asked for an installation: what an earlier one of this node left may go.
    pub reinstall: bool,
}

impl Facts<'_> {
    fn refuse(&self, code: Code, cause: &str) -> Failure {
        Failure::new(code, format!("planning the disks: {cause}\n{}", disk_table::disks(self.disks, self.contents)))
    }
}

/// Makes the plan.
///
/// # Errors
/// `E-LAYOUT`, `E-DISK-NOT-FOUND`, `E-DISK-AMBIGUOUS`, `E-DISK-UNFIT`, `E-DISK-FOREIGN`, with the table of disks.
pub fn make(wanted: &Disks, facts: &Facts<'_>) -> Result<Plan> {
    let (plan, identifiers) = of_layout(wanted, facts)?;
    elsewhere::check(&plan, identifiers, facts)?;
    Ok(plan)
}

/// Makes the plan of a layout that is open already: what is elsewhere has not kept it from that.
///
/// # Errors
/// As [`make`].
pub fn of_open(wanted: &Disks, facts: &Facts<'_>) -> Result<Plan> {
    of_layout(wanted, facts).map(|(plan, _)| plan)
}

/// Makes a plan that wipes what the layout's disks carry, and makes nothing.
///
/// # Errors
/// As [`make`].
pub fn wiping(wanted: &Disks, facts: &Facts<'_>) -> Result<Plan> {
    of_layout(wanted, facts).map(|(plan, _)| plan.only_wiping())
}

fn of_layout(wanted: &Disks, facts: &Facts<'_>) -> Result<(Plan, Identifiers)> {
    let layout = without_ignored(Layout::read(&wanted.devices, wanted.allow_hooks)?, wanted, facts)?;
    let chosen = choose_all(&layout, wanted, facts)?;
    let order = order::by_dependencies(&layout)
        .map_err(|circle| facts.refuse(Code::Layout, &format!("these need each other: {}", circle.join(", "))))?;
    let own = Identity::new(facts.node, facts.sites, &wanted.devices);
    let kept = kept_on(&layout, wanted, facts, &own, &chosen, &order)?;
    let keep: BTreeSet<String> = wanted.keep.iter().map(|path| normal(path)).collect();

    let mut disks = Vec::new();
    for (name, disk) in &chosen {
        disks.push(plan_disk(name, &layout.disk[name], disk, wanted, facts, &own, kept.get(name))?);
    }
    let devices = |opening: bool| -> BTreeMap<String, (Device, Mode)> {
        let mode = |plan: &DiskPlan| if opening { Mode::Open } else { mode_of(plan.fate) };
        disks.iter().map(|plan| (plan.name.clone(), (plan.device(), mode(plan)))).collect()
    };
    let mut making = Builder::new(&own, devices(false), &keep, false);
    making.sizes =
        Sizes::of(disks.iter().filter(|plan| mode_of(plan.fate) == Mode::Make).flat_map(sizes::on_disk).collect());
    making.build(&layout, &order);
    if let Some(unfit) = making.sizes.unfit.first() {
        let remedy = "correct the size that is named, or choose a larger disk";
        return Err(facts.refuse(Code::DiskUnfit, unfit).with_remedy(remedy));
    }
    check_modes(&making, facts)?;
    if let Some(pool) = making.unlisted.first() {
        let cause = format!("at {pool}: its topology does not list each of its members once");
        return Err(facts.refuse(Code::Layout, &cause));
    }
    let mut opening = Builder::new(&own, devices(true), &keep, true);
    opening.build(&layout, &order);
    let foreign: BTreeSet<String> = disks.iter().filter(|plan| !plan.is_own()).map(|plan| plan.name.clone()).collect();
    let mounts = std::mem::take(&mut opening.mounts).into_iter().map(|mount| Mount {
        // Somebody else's file system that is kept has a UUID of its own.
        uuid: mount.uuid.filter(|_| opening.disks_below(&mount.source).is_disjoint(&foreign)),
        ..mount
    });
    let (mounts, hidden) = facts::one_each(mounts.collect());
    let plan = Plan {
        disks,
        actions: making.actions,
        open: opening.actions,
        mounts: facts::in_order(mounts),
        hidden,
        left: making.left,
        stays: making.stays,
        swaps: opening.swaps,
        key_files: key_files(&layout),
        discard: wanted.discard,
    };
    reach::check(&plan, &layout, facts)?;
    if let Some(firmware) = facts.firmware {
        boots::check(&plan, firmware, facts)?;
    }
    Ok((plan, opening.identifiers))
}

/// A path without slashes at its ends or twice.
pub fn normal(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |path, part| format!("{path}/{part}"))
}

/// The device of a disk that was chosen; an image file is its own path.
fn device_of(name: &str, disk: &Disk) -> Device {
    Device::Disk { name: name.to_owned(), path: crate::probe::device_path(&disk.name).to_string_lossy().into_owned() }
}

fn plan_disk(
    name: &str,
    layout: &layout::Disk,
    disk: &Disk,
    wanted: &Disks,
    facts: &Facts<'_>,
    own: &Identity,
    kept: Option<&Vec<String>>,
) -> Result<DiskPlan> {
    let device = device_of(name, disk);
    let table = match &layout.content {
        Some(content @ (layout::Content::Gpt(_) | layout::Content::Table(_))) => {
            table::check(content).map_err(|(at, why)| {
                facts.refuse(Code::Layout, &format!("at disk.{name}.content.partitions.{at}: {why}"))
            })?;
            let table = table::of(content, &device, own);
            let extents = place(name, &table, disk, facts)?;
            Some((table, extents))
        }
        _ => None,
    };
    let content = facts.contents.get(&disk.name).cloned().unwrap_or_default();
    let standing = fate::standing(name, layout, table.as_ref(), &content, &disk.name, own);
    let may = fate::May {
        policy: wanted.wipe.get(name).copied().unwrap_or_default(),
        destroy: layout.destroy,
        keeps: kept.is_some(),
        hold: wanted.hold,
        reinstall: facts.reinstall,
    };
    let before = content.describe();
    let fate = fate::decide(standing, may).map_err(|refusal| {
        let differs = fate::difference(table.as_ref(), &content).filter(|_| refusal.is_of_what_differs());
        let differs = differs.map_or_else(String::new, |differs| format!("; {differs}"));
        let cause = format!("disk {name} is {}, {}: {before}{differs}", disk.name, refusal.cause());
        facts.refuse(refusal.code(), &cause).with_remedy(refusal.remedy(name))
    })?;
    Ok(DiskPlan { name: name.to_owned(), disk: disk.clone(), before, standing, fate, table })
}

fn mode_of(fate: Fate) -> Mode {
    match fate {
        Fate::Make { .. } | Fate::Wipe { .. } => Mode::Make,
        Fate::KeepInPart { .. } => Mode::Reuse,
        Fate::Keep => Mode::Open,
    }
}

/// Where each partition lies.
fn place(name: &str, table: &Table, disk: &Disk, facts: &Facts<'_>) -> Result<Vec<Extent>> {
    let room = Room::new(disk.size, sector_bytes(disk));
    partition_table::place(table, room).map_err(|(number, why)| {
        let label = table.partitions.iter().find(|one| one.number == number).map_or("", |one| one.label.as_str());
        match why {
            NoPlace::Full => {
                let cause = format!(
                    "partition {number} ({label}) of disk {name} does not fit on {} ({})",
                    disk.name,
                    size::human(disk.size)
                );
                facts.refuse(Code::DiskUnfit, &cause)
            }
            NoPlace::Beyond(place) => {
                let cause = format!(
                    "partition {number} ({label}) of disk {name}: {place:?} is behind the end of {} ({}), or of what its \
                     table can describe",
                    disk.name,
                    size::human(disk.size)
                );
                facts.refuse(Code::DiskUnfit, &cause)
            }
            NoPlace::Malformed(why) => {
                facts.refuse(Code::Layout, &format!("partition {number} ({label}) of disk {name}: {why}"))
            }
        }
    })
}

/// Bytes of a logical sector; a disk that does not say has the smallest there is.
pub fn sector_bytes(disk: &Disk) -> u64 {
    u64::from(disk.sector_size.max(512))
}

/// What has members is made of all of them, or kept with all of them.
fn check_modes(builder: &Builder<'_>, facts: &Facts<'_>) -> Result<()> {
    let mixed = builder.members.iter().find(|(_, members)| {
        members.iter().any(|(_, mode)| *mode == Mode::Make) && members.iter().any(|(_, mode)| *mode != Mode::Make)
    });
    mixed.map_or(Ok(()), |((section, key), _)| {
        let cause = format!("a part of {section}.{key} is to be kept, and another part of it to be made anew");
        Err(facts.refuse(Code::Layout, &cause).with_remedy("keep all of its disks, or none of them"))
    })
}

impl DiskPlan {
    /// disko's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The disk as it was seen when the plan was made.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The device itself.
    pub fn device(&self) -> Device {
        device_of(&self.name, &self.disk)
    }

    /// All of this layout stands on it already.
    fn stands(&self) -> bool {
        match self.fate {
            Fate::Keep => true,
            Fate::Make { .. } | Fate::KeepInPart { .. } => self.standing == Standing::Whole,
            Fate::Wipe { .. } => false,
        }
    }

    /// What stands on it in the end has the identifiers of this node.
    fn is_own(&self) -> bool {
        self.standing == Standing::Whole || mode_of(self.fate) == Mode::Make
    }
}

impl Plan {
    /// One per disk of the layout that is not ignored.
    pub fn disks(&self) -> &[DiskPlan] {
        &self.disks
    }

    /// Files with keys, by the paths that the layout names.
    pub fn key_files(&self) -> &[String] {
        &self.key_files
    }

    /// Every disk carries this layout whole, so an interrupted installation may be carried on.
    pub fn stands(&self) -> bool {
        self.disks.iter().all(DiskPlan::stands)
    }

    /// The same disks, wiped and discarded and left so: nothing is made on them, and what is kept stays.
    fn only_wiping(self) -> Self {
        let wiped = |disk: DiskPlan| match disk.fate {
            Fate::Make { loses } | Fate::Wipe { loses } => {
                Some(DiskPlan { fate: Fate::Wipe { loses }, table: None, ..disk })
            }
            Fate::KeepInPart { .. } | Fate::Keep => None,
        };
        let disks: Vec<DiskPlan> = self.disks.into_iter().filter_map(wiped).collect();
        let devices: Vec<Device> = disks.iter().map(DiskPlan::device).collect();
        let clear = Some(Action::Clear(devices)).filter(|_| !disks.is_empty());
        Self {
            disks,
            actions: clear.into_iter().collect(),
            discard: true,
            open: Vec::new(),
            mounts: Vec::new(),
            hidden: Vec::new(),
            left: Vec::new(),
            stays: Vec::new(),
            swaps: Vec::new(),
            key_files: Vec::new(),
        }
    }

    /// The layout has shell text that is to be run.
    pub fn has_hooks(&self) -> bool {
        let of_actions = self.actions.iter().chain(&self.open).any(|action| matches!(action, Action::Hook { .. }));
        of_actions || self.mounts.iter().any(|mount| mount.hooks != layout::Hooks::default())
    }

    /// To which PCRs keys are sealed, of each device that has one sealed.
    pub fn sealings(&self) -> impl Iterator<Item = &BTreeSet<u8>> {
        self.actions.iter().filter_map(|action| match action {
            Action::Seal { pcrs, .. } => Some(pcrs),
            _ => None,
        })
    }

    /// The tools that making and opening the layout need.
    pub fn tool_sets(&self) -> BTreeSet<ToolSet> {
        let of_mounts = self.mounts.iter().filter_map(|mount| facts::tools_of(&mount.format));
        self.actions.iter().chain(&self.open).filter_map(Action::tools).chain(of_mounts).collect()
    }
}

#[cfg(test)]
mod elsewhere_tests;
#[cfg(test)]
mod hook_tests;
#[cfg(test)]
mod keep_tests;
#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod sealing_tests;
#[cfg(test)]
mod sizes_tests;
#[cfg(test)]
mod tests;
