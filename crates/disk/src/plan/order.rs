//! Which devices must be there before which.

use super::builder::Collection;
use layout::{Content, Dataset, Layout, Words, devices_in};
use std::collections::BTreeMap;

/// What the content of a device is a member of, at any depth.
pub fn collections_in(content: Option<&Content>) -> Vec<Collection> {
    let Some(content) = content else { return Vec::new() };
    match content {
        Content::Gpt(gpt) => gpt.partitions.values().flat_map(|one| collections_in(one.content.as_ref())).collect(),
        Content::Table(table) => table.partitions.iter().flat_map(|one| collections_in(one.content.as_ref())).collect(),
        Content::Luks(luks) => collections_in(luks.content.as_ref()),
        Content::LvmPv(one) => vec![("lvm_vg", one.vg.clone())],
        Content::Mdraid(one) => vec![("mdadm", one.name.clone())],
        Content::Zfs(one) => vec![("zpool", one.pool.clone())],
        Content::Bcachefs(one) => vec![("bcachefs_filesystems", one.filesystem.clone())],
        Content::Filesystem(_) | Content::Btrfs(_) | Content::Swap(_) => Vec::new(),
    }
}

/// Disks first, then everything after all that it is made of or names; by name where that leaves a choice.
///
/// # Errors
/// Those that need each other.
pub fn by_dependencies(layout: &Layout) -> Result<Vec<Collection>, Vec<String>> {
    let mut feeds: BTreeMap<Collection, Vec<Collection>> = BTreeMap::new();
    for (key, array) in &layout.mdadm {
        feeds.insert(("mdadm", key.clone()), collections_in(array.content.as_ref()));
    }
    for (key, group) in &layout.lvm_vg {
        let contents = group.lvs.values().flat_map(|volume| collections_in(volume.content.as_ref()));
        feeds.insert(("lvm_vg", key.clone()), contents.collect());
    }
    for (key, pool) in &layout.zpool {
        let contents = pool.datasets.values().flat_map(|dataset| match dataset {
            Dataset::Volume(volume) => collections_in(volume.content.as_ref()),
            Dataset::Filesystem(_) => Vec::new(),
        });
        feeds.insert(("zpool", key.clone()), contents.collect());
    }
    for key in layout.bcachefs_filesystems.keys() {
        feeds.insert(("bcachefs_filesystems", key.clone()), Vec::new());
    }
    for (key, disk) in &layout.disk {
        feeds.insert(("disk", key.clone()), collections_in(disk.content.as_ref()));
    }
    let words = Words::of(layout);
    for word in &words.free {
        for makes in devices_in(&word.text).into_iter().filter_map(|device| words.made.get(device)) {
            if *makes != word.part && feeds.contains_key(&word.part) {
                feeds.entry(makes.clone()).or_default().push(word.part.clone());
            }
        }
    }
    let mut order: Vec<Collection> = Vec::new();
    while !feeds.is_empty() {
        let is_ready = |one: &&Collection| !feeds.values().any(|fed| fed.contains(one));
        let ready = feeds.keys().filter(is_ready).min_by_key(|(section, _)| *section != "disk").cloned();
        let Some(ready) = ready else {
            return Err(feeds.keys().map(|(section, key)| format!("{section}.{key}")).collect());
        };
        feeds.remove(&ready);
        order.push(ready);
    }
    Ok(order)
}
