//! What holds for any bytes: the fuzz target calls it, and a test with every layout of its corpus.

use crate::{
    action::{Action, Arg, Command, Device},
    partitions::TableKind,
    plan::{self, DiskPlan, Facts, Plan},
    stack::Stack,
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
    reach(&plan);
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

/// What an action can open is a disk of the plan, or stands on one: it was made there by an action before.
fn reach(plan: &Plan) {
    for actions in [&plan.actions, &plan.open] {
        let mut made: Vec<Device> = plan.disks.iter().map(DiskPlan::device).collect();
        for action in actions {
            let (devices, commands): (Vec<&Device>, &[Command]) = match action {
                Action::Clear(devices) => (devices.iter().collect(), &[]),
                Action::Table { device, .. }
                | Action::Wipe(device)
                | Action::Swap { device, .. }
                | Action::Expect { device, .. }
                | Action::Seal { device, .. } => (vec![device], &[]),
                Action::Run(command) => (Vec::new(), std::slice::from_ref(command)),
                Action::Within { device, commands, .. } => (vec![device], commands),
                Action::KeyFile(_) | Action::Hook { .. } => (Vec::new(), &[]),
            };
            let is_own = |device: &Device| {
                let mut below = device;
                while let Device::Partition(of, _) = below {
                    below = of;
                }
                made.contains(below)
            };
            for device in devices {
                assert!(is_own(device), "{action} opens {device}");
            }
            let words = commands.iter().flat_map(|command| &command.arguments);
            for word in words {
                match word {
                    Arg::Device(device) => assert!(is_own(device), "{action} opens {device}"),
                    Arg::Text(text) => {
                        let paths = layout::devices_in(text).into_iter();
                        let own = commands.iter().flat_map(|command| &command.makes).chain(&made);
                        let own: Vec<String> = own.map(ToString::to_string).collect();
                        for path in paths.filter(|path| !path.starts_with("/dev/disk/by-partlabel/")) {
                            assert!(own.iter().any(|own| own == path), "{action} opens {path}");
                        }
                    }
                    Arg::Key(_) | Arg::Inside(_) | Arg::Root => {}
                }
            }
            made.extend(commands.iter().flat_map(|command| command.makes.clone()));
        }
    }
}

fn plan(wanted: &Disks, disks: &[Disk]) -> protocol::failure::Result<Plan> {
    let node = "n1".parse().expect("a label");
    let contents = BTreeMap::new();
    let stack = Stack::default();
    let facts =
        Facts { node: &node, sites: &[], disks, contents: &contents, stack: &stack, firmware: None, reinstall: true };
    plan::make(wanted, &facts)
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
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// A word that names a device: of the layout's making, or nobody's, or somebody else's.
    fn device() -> impl Strategy<Value = String> {
        let names = ["/dev/mapper/two", "/dev/pool/x", "/dev/md/m", "/dev/disk/by-partlabel/disk-a-r", "/dev/zvol/z/v"];
        let others =
            ["/dev/vdd", "dev/vdd", "vdd", "LABEL=x", "/dev/mapper/other", "/proc/1/root/dev/vdd", "../dev/vdd"];
        let path = prop::sample::select([&names[..], &others[..]].concat());
        (prop::sample::select(vec!["", "device=", "logdev=", "-d raid1 ", "x,"]), path)
            .prop_map(|(before, path)| format!("{before}{path}"))
    }

    proptest! {
        /// Wherever such a word stands, and in whatever order things are made.
        #[test]
        fn no_word_of_a_layout_reaches_what_the_plan_has_not_made(
            words in prop::collection::vec(device(), 6),
            turned: bool,
        ) {
            let text = |n: usize| words[n].clone();
            let (first, second) = if turned { ("vda", "vdb") } else { ("vdb", "vda") };
            let of = |name: &str, content: Value| json!({"device": format!("/dev/{name}"), "content":
                {"type": "gpt", "partitions": {"r": {"size": "1G", "content": content}}}});
            let layout = json!({
                "disk": {
                    "a": of(first, json!({"type": "btrfs", "extraArgs": [text(0)], "mountpoint": "/",
                        "mountOptions": [text(1)]})),
                    "b": of(second, json!({"type": "luks", "name": "two", "passwordFile": "/k",
                        "extraFormatArgs": [text(2)], "content": {"type": "lvm_pv", "vg": "pool"}})),
                    "c": of("vdc", json!({"type": "zfs", "pool": "z"})),
                },
                "lvm_vg": {"pool": {"lvs": {"x": {"size": "100M", "extraArgs": [text(3)], "content":
                    {"type": "filesystem", "format": "ext4", "extraArgs": [text(4)], "mountpoint": "/x"}}}}},
                "zpool": {"z": {"mode": {"topology": {"vdev": [{"members": ["c"]}], "cache":
                    if turned { json!([]) } else { json!([text(5)]) }}}}},
            });
            super::layout(layout.to_string().as_bytes());
        }
    }

    /// Every layout that fuzzing has found worth keeping, and one of each kind.
    #[test]
    fn layouts_of_the_corpus_are_refused_or_planned_within_their_disks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/layout");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 20, "{folder} has only {} files", files.len());
        files.iter().for_each(|file| super::layout(&std::fs::read(file).unwrap()));
    }
}
