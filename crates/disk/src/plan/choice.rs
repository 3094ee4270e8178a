//! Which disks of the machine a plan is for.

use super::{
    Facts, Identity,
    builder::{Builder, Collection, Mode},
    device_of, normal, order,
};
use crate::select;
use layout::Layout;
use protocol::{
    Code,
    failure::Result,
    inventory::Disk,
    spec::{Disks, Selector, WipePolicy},
};
use std::collections::{BTreeMap, BTreeSet};

/// The layout without the disks that are to be ignored.
pub fn without_ignored(mut layout: Layout, wanted: &Disks, facts: &Facts<'_>) -> Result<Layout> {
    let refuse = |cause: &str| Err(facts.refuse(Code::Layout, cause));
    if let Some(name) = wanted.select.keys().chain(wanted.wipe.keys()).find(|name| !layout.disk.contains_key(*name)) {
        return refuse(&format!("the spec speaks of disk {name:?}, which the layout does not have"));
    }
    let ignored: Vec<&String> =
        wanted.wipe.iter().filter(|(_, policy)| **policy == WipePolicy::Ignore).map(|(name, _)| name).collect();
    for name in &ignored {
        let needed =
            layout.disk.get(*name).and_then(|disk| order::collections_in(disk.content.as_ref()).into_iter().next());
        if let Some((section, key)) = needed {
            return refuse(&format!("disk {name} is to be ignored, and {section}.{key} needs it"));
        }
    }
    layout.disk.retain(|name, _| !ignored.contains(&name));
    if layout.disk.is_empty() {
        return refuse("every disk of the layout is to be ignored");
    }
    Ok(layout)
}

/// Which disk of the machine each disk of the layout is.
pub fn choose_all<'a>(layout: &Layout, wanted: &Disks, facts: &Facts<'a>) -> Result<BTreeMap<String, &'a Disk>> {
    let mut chosen: BTreeMap<String, &Disk> = BTreeMap::new();
    for (name, disk) in &layout.disk {
        let by_path = Selector { device: Some(disk.device.clone()), ..Selector::default() };
        let selector = wanted.select.get(name).unwrap_or(&by_path);
        let found = select::choose(selector, facts.disks, facts.contents).map_err(|none| {
            let hints = serde_json::to_string(selector).unwrap_or_default();
            let failure = facts.refuse(none.code(), &format!("disk {name} ({hints}): {}", none.describe()));
            let is_path = selector.device.as_deref().is_some_and(select::is_no_path_of_a_disk);
            if none == select::NoDisk::None && is_path {
                return failure.with_remedy(
                    "name a whole disk by its kernel name, by /dev/disk/by-id or by /dev/disk/by-path: partitions, arrays, \
                     mappings, and what stands on a disk (by-uuid, by-label) are none",
                );
            }
            failure
        })?;
        if let Some((other, _)) = chosen.iter().find(|(_, other)| other.name == found.name) {
            return Err(facts.refuse(Code::DiskAmbiguous, &format!("{other} and {name} both mean {}", found.name)));
        }
        chosen.insert(name.clone(), found);
    }
    let disks: Vec<&Disk> = chosen.values().copied().collect();
    if let Some((name, why)) = select::held_elsewhere(&disks, facts.contents) {
        return Err(facts.refuse(Code::DiskUnfit, &format!("{name} is {why}")));
    }
    Ok(chosen)
}

/// The file systems to keep that lie on each disk.
pub fn kept_on(
    layout: &Layout,
    wanted: &Disks,
    facts: &Facts<'_>,
    own: &Identity,
    chosen: &BTreeMap<String, &Disk>,
    order: &[Collection],
) -> Result<BTreeMap<String, Vec<String>>> {
    let nothing = BTreeSet::new();
    let devices = chosen.iter().map(|(name, disk)| (name.clone(), (device_of(name, disk), Mode::Open))).collect();
    let mut looking = Builder::new(own, devices, &nothing, true);
    looking.build(layout, order);
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in &wanted.keep {
        let mount = looking.mounts.iter().find(|mount| normal(&mount.mountpoint) == normal(path));
        let disks = mount.map(|mount| looking.disks_below(&mount.source)).unwrap_or_default();
        if disks.is_empty() {
            let cause = format!("{path} is to be kept, and the layout has no file system there that could be");
            return Err(facts.refuse(Code::Layout, &cause));
        }
        for disk in disks {
            kept.entry(disk).or_default().push(path.clone());
        }
    }
    Ok(kept)
}
