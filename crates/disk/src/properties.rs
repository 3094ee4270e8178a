//! What holds for any bytes: the fuzz target calls it, and a test with every layout of its corpus.

use crate::{
    partitions::TableKind,
    plan::{self, Facts, Plan},
};
use protocol::{
    inventory::{Disk, Transport},
    spec::{Disks, Selector},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A layout makes a plan, always the same one, or is refused; partitions lie on their disk and beside each other.
pub fn layout(bytes: &[u8]) {
    let Ok(devices) = serde_json::from_slice::<Value>(bytes) else { return };
    let disks = machine();
    let wanted = wanted(devices, &disks);
    let made = plan(&wanted, &disks);
    assert_eq!(made, plan(&wanted, &disks));
    let Ok(plan) = made else { return };
    assert!(plan.lines().len() >= plan.disks.len());
    assert!(plan.json().is_object());
    for disk in &plan.disks {
        let Some((table, extents)) = &disk.table else { continue };
        let mut taken: Vec<(u64, u64)> = extents.iter().map(|extent| (extent.first, extent.last)).collect();
        taken.sort_unstable();
        let sectors = disk.disk.size / u64::from(disk.disk.sector_size);
        assert!(taken.iter().all(|(first, last)| 0 < *first && first <= last && *last < sectors), "{taken:?}");
        // Logical partitions of an msdos table lie inside of the extended one.
        if matches!(table.kind, TableKind::Gpt { .. }) {
            assert!(taken.windows(2).all(|pair| pair[0].1 < pair[1].0), "{taken:?}");
        }
    }
}

fn plan(wanted: &Disks, disks: &[Disk]) -> protocol::failure::Result<Plan> {
    let node = "n1".parse().expect("a label");
    let contents = BTreeMap::new();
    plan::make(wanted, &Facts { node: &node, sites: &[], disks, contents: &contents, firmware: None, reinstall: true })
}

/// Empty disks of several sizes; the last one has sectors of 4096 bytes.
fn machine() -> Vec<Disk> {
    let sizes = [("vda", 8 << 30, 512), ("vdb", 8 << 30, 512), ("vdc", 3 << 40, 512), ("vdd", 8 << 30, 4096)];
    let disk = |(name, size, sector): (&str, u64, u32)| Disk {
        name: name.to_owned(),
        serial: Some(name.to_uppercase()),
        size,
        sector_size: sector,
        transport: Transport::Virtio,
        ..Disk::default()
    };
    sizes.into_iter().map(disk).collect()
}

/// The layout's disks are the machine's, in order, as far as these go.
fn wanted(devices: Value, disks: &[Disk]) -> Disks {
    let names = devices.get("disk").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    let selector = |disk: &Disk| Selector { serial: disk.serial.clone(), ..Selector::default() };
    let select = names.zip(disks.iter().map(selector)).collect();
    Disks { devices, select, allow_hooks: true, ..Disks::default() }
}

#[cfg(test)]
mod tests {
    /// Every layout that fuzzing has found worth keeping, and one of each kind.
    #[test]
    fn layouts_of_the_corpus_are_refused_or_planned_within_their_disks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/layout");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 20, "{folder} has only {} files", files.len());
        files.iter().for_each(|file| super::layout(&std::fs::read(file).unwrap()));
    }
}
