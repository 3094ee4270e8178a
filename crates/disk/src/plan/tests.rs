use super::*;
use crate::{
    partitions::{Partition, TableKind},
    probe::{Busy, Signature, TableOnDisk},
};
use layout::examples::{hybrid_boot, with_root};
use proptest::prelude::*;
use protocol::inventory::Transport;
use protocol::spec::{Selector, WipePolicy};
use serde_json::{Value, json};
use uuid::Uuid;

pub const GIB: u64 = 1 << 30;

pub fn disk(name: &str, serial: &str, size: u64) -> Disk {
    Disk {
        name: name.into(),
        serial: Some(serial.into()),
        size,
        sector_size: 512,
        transport: Transport::Virtio,
        ..Disk::default()
    }
}

fn wanted() -> Disks {
    of(hybrid_boot())
}

pub fn of(devices: Value) -> Disks {
    Disks { devices, ..Disks::default() }
}

fn ext4(device: &str) -> Content {
    let signature = Signature {
        device: device.into(),
        kind: "ext4".into(),
        label: Some("precious".into()),
        usage: Some("filesystem".into()),
        ..Signature::default()
    };
    Content { signatures: vec![signature], ..Content::default() }
}

fn plan_for(
    node: &str,
    wanted: &Disks,
    disks: &[Disk],
    contents: &[(&str, Content)],
    firmware: Option<Firmware>,
) -> Result<Plan> {
    plan_beside(node, wanted, disks, contents, &Stack::default(), firmware)
}

pub fn plan_beside(
    node: &str,
    wanted: &Disks,
    disks: &[Disk],
    contents: &[(&str, Content)],
    stack: &Stack,
    firmware: Option<Firmware>,
) -> Result<Plan> {
    let node = node.parse().unwrap();
    let contents = contents.iter().map(|(name, content)| ((*name).to_owned(), content.clone())).collect();
    make(wanted, &Facts { node: &node, sites: &[], disks, contents: &contents, stack, firmware, reinstall: true })
}

fn plan(wanted: &Disks, disks: &[Disk], contents: &[(&str, Content)]) -> Result<Plan> {
    plan_for("n1", wanted, disks, contents, Some(Firmware::Uefi))
}

/// The commands and other actions of a layout on three disks vda, vdb and vdc.
pub fn actions(devices: Value) -> Vec<String> {
    let disks = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB), disk("vdc", "C", 4 * GIB)];
    let plan = plan_for("n1", &of(devices), &disks, &[], None).unwrap();
    plan.actions.iter().map(ToString::to_string).collect()
}

fn partitions(plan: &Plan) -> Vec<(Partition, Extent)> {
    let (table, extents) = plan.disks[0].table.clone().unwrap();
    table.partitions.into_iter().zip(extents).collect()
}

/// What a plan leaves on its first disk: its table with this identifier, and ext4 in the last partition.
pub fn left(plan: &Plan, finished: bool) -> Content {
    let (table, _) = plan.disks[0].table.as_ref().unwrap();
    let TableKind::Gpt { guid, unfinished, .. } = &table.kind else { panic!("a gpt") };
    let guid = if finished { *guid } else { *unfinished };
    let extents = partitions(plan).into_iter().map(|(one, extent)| (one.number, extent)).collect();
    let mut content = ext4("vda3");
    content.signatures.push(Signature { device: "vda2".into(), kind: "vfat".into(), ..Signature::default() });
    Content { table: Some(TableOnDisk { guid, partitions: extents }), ..content }
}

#[test]
fn diskos_order_is_priority_then_name() {
    let plan = plan(&wanted(), &[disk("vda", "A", 4 * GIB)], &[]).unwrap();
    let partitions = partitions(&plan);
    let labels: Vec<&str> = partitions.iter().map(|(one, _)| one.label.as_str()).collect();
    assert_eq!(labels, ["disk-main-boot", "disk-main-ESP", "disk-main-root"]);
    assert_eq!(partitions[0].1.first, 2048);
    assert_eq!(partitions[0].0.attributes, 1);
    let mounts: Vec<&str> = plan.mounts.iter().map(|mount| mount.mountpoint.as_str()).collect();
    assert_eq!(mounts, ["/", "/boot"]);
}

#[test]
fn a_layout_that_leaves_diskos_defaults_out_gets_them() {
    let mut short = wanted();
    for partition in ["ESP", "boot", "root"] {
        let partition = short.devices["disk"]["main"]["content"]["partitions"][partition].as_object_mut().unwrap();
        for key in ["priority", "end", "start", "label"] {
            partition.remove(key);
        }
    }
    short.devices["disk"]["main"]["content"]["partitions"]["root"].as_object_mut().unwrap().remove("type");
    let disks = [disk("vda", "A", 4 * GIB)];
    assert_eq!(plan(&short, &disks, &[]).unwrap().lines(), plan(&wanted(), &disks, &[]).unwrap().lines());
}

#[test]
fn a_foreign_file_system_is_refused_with_the_table_and_wiped_only_by_name_or_after_approval() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let failure = plan(&wanted(), &disks, &[("vda", ext4("vda"))]).unwrap_err();
    assert_eq!(failure.code, Code::DiskForeign);
    for part in ["vda", "precious", "4.0 GiB", "serial"] {
        assert!(failure.cause.contains(part), "{failure}");
    }
    let mut wipe = wanted();
    wipe.wipe.insert("main".into(), WipePolicy::Wipe);
    let held = Disks { hold: true, ..wanted() };
    for allowed in [wipe, held] {
        let plan = plan(&allowed, &disks, &[("vda", ext4("vda"))]).unwrap();
        assert!(plan.lines()[0].contains("DESTROYS: vda: ext4 \"precious\""), "{:?}", plan.lines());
    }
}

#[test]
fn a_node_that_is_retired_loses_what_its_policies_do_not_keep_and_nothing_is_made() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let mut wipe = wanted();
    wipe.wipe.insert("main".into(), WipePolicy::Wipe);
    let contents = [("vda".to_owned(), ext4("vda"))].into();
    let (node, stack) = ("n1".parse().unwrap(), Stack::default());
    let facts = Facts {
        node: &node,
        sites: &[],
        disks: &disks,
        contents: &contents,
        stack: &stack,
        firmware: None,
        reinstall: true,
    };
    let plan = wiping(&wipe, &facts).unwrap();
    let lines = plan.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("DESTROYS: vda: ext4 \"precious\"") && lines[1].contains("1. clear"), "{lines:?}");
    assert_eq!(plan.tool_sets(), BTreeSet::new());
}

#[test]
fn two_matching_disks_and_no_such_disk_are_refused_with_the_table() {
    let disks = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)];
    let mut by_size = wanted();
    by_size.select.insert("main".into(), Selector { size: Some("4G".into()), ..Selector::default() });
    let ambiguous = plan(&by_size, &disks, &[]).unwrap_err();
    assert_eq!(ambiguous.code, Code::DiskAmbiguous);
    assert!(ambiguous.cause.contains("vda, vdb") && ambiguous.cause.contains("serial"), "{ambiguous}");
    let mut by_serial = wanted();
    by_serial.select.insert("main".into(), Selector { serial: Some("C".into()), ..Selector::default() });
    assert_eq!(plan(&by_serial, &disks, &[]).unwrap_err().code, Code::DiskNotFound);
}

#[test]
fn two_names_never_mean_the_same_disk() {
    let mut layout = hybrid_boot();
    layout["disk"]["other"] = json!({"device": "/dev/vdb"});
    let mut wanted = of(layout);
    wanted.select.insert("other".into(), Selector { serial: Some("A".into()), ..Selector::default() });
    let disks = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)];
    let failure = plan(&wanted, &disks, &[]).unwrap_err();
    assert_eq!(failure.code, Code::DiskAmbiguous);
    assert!(failure.cause.contains("main and other both mean vda"), "{failure}");
}

#[test]
fn a_name_that_the_layout_does_not_have_is_refused() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let mut typo = wanted();
    typo.wipe.insert("mian".into(), WipePolicy::Wipe);
    assert!(plan(&typo, &disks, &[]).unwrap_err().cause.contains("mian"));
    let keep = Disks { keep: vec!["/hmoe".into()], ..wanted() };
    assert!(plan(&keep, &disks, &[]).unwrap_err().cause.contains("/hmoe"));
}

#[test]
fn a_disk_that_must_not_be_written_is_refused() {
    let read_only = Disk { read_only: true, ..disk("vda", "A", 4 * GIB) };
    let usb = Disk { transport: Transport::Usb, ..disk("vda", "A", 4 * GIB) };
    for unfit in [read_only, usb, disk("vda", "A", 32 << 20)] {
        assert_eq!(plan(&wanted(), &[unfit], &[]).unwrap_err().code, Code::DiskUnfit);
    }
    let claimed = Content { busy: Some(Busy::Claimed { by: None }), ..Content::default() };
    let failure = plan(&wanted(), &[disk("vda", "A", 4 * GIB)], &[("vda", claimed)]).unwrap_err();
    assert_eq!(failure.code, Code::DiskUnfit);
}

#[test]
fn an_interrupted_layout_is_made_again_and_a_whole_one_is_known() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let first = plan(&wanted(), &disks, &[]).unwrap();
    assert!(!first.stands());
    assert!(!plan(&wanted(), &disks, &[("vda", left(&first, false))]).unwrap().stands());
    assert!(plan(&wanted(), &disks, &[("vda", left(&first, true))]).unwrap().stands());
}

#[test]
fn a_whole_layout_of_another_kind_or_another_node_does_not_stand() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let whole = left(&plan(&wanted(), &disks, &[]).unwrap(), true);
    let xfs = of(with_root(json!({"type": "filesystem", "format": "xfs", "mountpoint": "/"})));
    assert!(!plan(&xfs, &disks, &[("vda", whole.clone())]).unwrap().stands());
    let other = plan_for("n2", &wanted(), &disks, &[("vda", whole)], None).unwrap_err();
    assert_eq!(other.code, Code::DiskForeign);
}

#[test]
fn a_kept_file_system_is_mounted_and_the_others_are_made_anew() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let whole = left(&plan(&wanted(), &disks, &[]).unwrap(), true);
    let keep = Disks { keep: vec!["/".into()], ..wanted() };
    let kept = plan(&keep, &disks, &[("vda", whole)]).unwrap();
    let actions: Vec<String> = kept.actions.iter().map(ToString::to_string).collect();
    assert_eq!(actions.len(), 2, "{actions:?}");
    assert_eq!(actions[0], "wipe signatures of /dev/vda2");
    assert!(actions[1].starts_with("mkfs.vfat") && actions[1].ends_with("/dev/vda2"), "{actions:?}");
    assert_eq!(kept.mounts.len(), 2);
    // On an empty disk there is nothing to keep.
    assert!(plan(&keep, &disks, &[]).unwrap().actions.len() > 2);
    assert_eq!(plan(&keep, &disks, &[("vda", ext4("vda"))]).unwrap_err().code, Code::DiskUnfit);
}

#[test]
fn a_foreign_disk_that_merely_looks_alike_is_refused_whatever_is_to_be_kept() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let mut alike = left(&plan(&wanted(), &disks, &[]).unwrap(), true);
    alike.table.as_mut().unwrap().guid = Uuid::nil();
    let keep = Disks { keep: vec!["/".into()], ..wanted() };
    for wanted in [&wanted(), &keep] {
        assert_eq!(plan(wanted, &disks, &[("vda", alike.clone())]).unwrap_err().code, Code::DiskForeign);
    }
    let held = Disks { hold: true, ..keep };
    let plan = plan(&held, &disks, &[("vda", alike)]).unwrap();
    assert!(plan.lines()[0].contains("DESTROYS"), "{:?}", plan.lines());
    assert!(plan.planned_disks()[0].fate.destroys());
}

#[test]
fn a_planned_disk_names_its_line() {
    let mut layout = hybrid_boot();
    layout["disk"]["other"] = json!({"device": "/dev/vdb"});
    let plan = plan(&of(layout), &[disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)], &[]).unwrap();
    for planned in plan.planned_disks() {
        let line = &plan.lines()[planned.line];
        assert!(line.starts_with(&format!("disk {} = ", planned.name)), "{line}");
    }
}

#[test]
fn an_ignored_disk_is_left_out_unless_something_needs_it() {
    let mut layout = hybrid_boot();
    layout["disk"]["data"] = json!({"device": "/dev/vdb", "content": {"type": "filesystem", "format": "ext4"}});
    let mut wanted = of(layout);
    wanted.wipe.insert("data".into(), WipePolicy::Ignore);
    let disks = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)];
    assert_eq!(plan(&wanted, &disks, &[("vdb", ext4("vdb"))]).unwrap().disks.len(), 1);
    wanted.devices["disk"]["data"]["content"] = json!({"type": "mdraid", "name": "r"});
    wanted.devices["mdadm"] = json!({"r": {}});
    assert!(plan(&wanted, &disks, &[]).unwrap_err().cause.contains("mdadm.r needs it"));
}

#[test]
fn the_layout_must_suit_the_firmware() {
    let disks = [disk("vda", "A", 4 * GIB)];
    for (partition, firmware, code) in [("boot", Firmware::Bios, "EF02"), ("ESP", Firmware::Uefi, "EF00")] {
        let mut without = wanted();
        without.devices["disk"]["main"]["content"]["partitions"].as_object_mut().unwrap().remove(partition);
        let failure = plan_for("n1", &without, &disks, &[], Some(firmware)).unwrap_err();
        assert!(failure.cause.contains(code), "{failure}");
    }
}

#[test]
fn every_device_is_made_after_what_it_stands_on() {
    let luks = |name: &str| {
        json!({"type": "luks", "name": name, "settings": {"keyFile": "/k"},
        "extraFormatArgs": ["--iter-time 1"], "additionalKeyFiles": ["/more"],
        "content": {"type": "lvm_pv", "vg": "pool"}})
    };
    let actions = actions(json!({
        "disk": {
            "a": {"device": "/dev/vda", "content": {"type": "mdraid", "name": "r"}},
            "b": {"device": "/dev/vdb", "content": {"type": "mdraid", "name": "r"}},
        },
        "mdadm": {"r": {"level": 1, "metadata": "1.2", "content": luks("c")}},
        "lvm_vg": {"pool": {"lvs": {
            "root": {"size": "100%", "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/"}},
            "thin": {"size": "1G", "lvm_type": "thin-pool"},
            "home": {"size": "2G", "lvm_type": "thinlv", "pool": "thin",
                     "content": {"type": "filesystem", "format": "xfs", "mountpoint": "/home"}},
        }}},
    }));
    let expected = [
        "clear /dev/vda, /dev/vdb",
        "mdadm --create /dev/md/r --level=1 --raid-devices=2 --metadata=1.2 --force --run --homehost=any --uuid=",
        "wipe signatures of /dev/md/r",
        "cryptsetup -q luksFormat /dev/md/r --uuid ",
        "cryptsetup open /dev/md/r c --key-file /k --persistent",
        "cryptsetup -q luksAddKey /dev/md/r /more --iter-time 1 --key-file /k",
        "wipe signatures of /dev/mapper/c",
        "lvm pvcreate --yes -ff --norestorefile --uuid ",
        "lvm vgcreate --devices /dev/mapper/c --yes pool /dev/mapper/c",
        "lvm lvcreate --devices /dev/mapper/c --yes -L 1G -n thin --type=thin-pool pool",
        "lvm lvcreate --devices /dev/mapper/c --yes --wipesignatures y -V 2G -n home --thinpool=thin pool",
        "lvm lvcreate --devices /dev/mapper/c --yes --wipesignatures y -l 100%FREE -n root pool",
        "wipe signatures of /dev/pool/home",
        "mkfs.xfs -q -f -m uuid=",
        "wipe signatures of /dev/pool/root",
        "mkfs.ext4 -q -F -U ",
    ];
    assert_eq!(actions.len(), expected.len(), "{actions:#?}");
    for (action, expected) in actions.iter().zip(expected) {
        assert!(action.starts_with(expected), "{action} begins with {expected}");
    }
}

#[test]
fn zfs_is_made_by_exactly_these_commands() {
    let gpt =
        json!({"type": "gpt", "partitions": {"zfs": {"size": "100%", "content": {"type": "zfs", "pool": "tank"}}}});
    let actions = actions(json!({
        "disk": {
            "x": {"device": "/dev/vda", "content": gpt},
            "y": {"device": "/dev/vdb", "content": gpt},
            "z": {"device": "/dev/vdc", "content": gpt},
        },
        "zpool": {"tank": {
            "mode": {"topology": {"type": "topology", "vdev": [{"mode": "mirror", "members": ["x", "y"]}], "cache": ["z"]}},
            "options": {"ashift": "12"},
            "rootFsOptions": {"compression": "zstd", "canmount": "off"},
            "datasets": {
                "home": {"type": "zfs_fs", "mountpoint": "/home", "options": {"encryption": "on", "keylocation": "file:///k"}},
                "vol": {"type": "zfs_volume", "size": "1G", "content": {"type": "swap"}},
            },
        }},
    }));
    let commands: Vec<&String> = actions.iter().skip_while(|action| !action.starts_with("key file")).collect();
    assert_eq!(
        commands,
        [
            "key file /k for the time of the run",
            "zpool create -f tank -R ROOT -m none -o ashift=12 -O canmount=off -O compression=zstd mirror /dev/vda1 /dev/vdb1 cache /dev/vdc1",
            "zfs unmount tank",
            "zfs create -up tank/home -o encryption=on -o keylocation=file:///k -o mountpoint=/home",
            "zfs create tank/vol -V 1G",
            "wipe signatures of /dev/zvol/tank/vol",
            "make swap on /dev/zvol/tank/vol",
        ]
    );
}

#[test]
fn bcachefs_is_made_by_exactly_these_commands() {
    let member = |label: &str| json!({"type": "bcachefs", "filesystem": "data", "label": label, "extraFormatArgs": ["--discard"]});
    let actions = actions(json!({
        "disk": {
            "a": {"device": "/dev/vda", "content": member("ssd.a")},
            "b": {"device": "/dev/vdb", "content": member("hdd.b")},
        },
        "bcachefs_filesystems": {"data": {
            "type": "bcachefs_filesystem", "extraFormatArgs": ["--compression=lz4"], "passwordFile": "/k",
            "uuid": "64e50034-ebe2-eaf8-1f93-cf56266a8d86",
            "subvolumes": {"subvolumes/root": {"mountpoint": "/"}},
        }},
    }));
    assert_eq!(
        actions,
        [
            "clear /dev/vda, /dev/vdb",
            "bcachefs format --label=ssd.a --discard /dev/vda --label=hdd.b --discard /dev/vdb \
             --uuid=64e50034-ebe2-eaf8-1f93-cf56266a8d86 --compression=lz4 --encrypted < /k",
            "bcachefs unlock -k session /dev/vda < /k",
            "in bcachefs of /dev/vda: bcachefs subvolume create ./subvolumes/root;",
        ]
    );
}

#[test]
fn a_bind_mount_comes_after_the_folder_that_it_shows() {
    let mut layout = with_root(json!({"type": "filesystem", "format": "ext4", "mountpoint": "/persist"}));
    layout["nodev"] = json!({
        "/": {"fsType": "tmpfs", "mountOptions": ["size=2G", "mode=755"]},
        "/home": {"fsType": "none", "device": "/persist/home", "mountOptions": ["bind"]},
    });
    let plan = plan(&of(layout), &[disk("vda", "A", 4 * GIB)], &[]).unwrap();
    let mounts: Vec<&str> = plan.mounts.iter().map(|mount| mount.mountpoint.as_str()).collect();
    assert_eq!(mounts, ["/", "/boot", "/persist", "/home"]);
}

#[test]
fn a_root_that_the_initrd_cannot_read_leaves_its_trace_beside_it() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let luks = json!({"type": "luks", "name": "c", "passwordFile": "/k",
        "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/"}});
    let xfs = json!({"type": "filesystem", "format": "xfs", "mountpoint": "/"});
    assert_eq!(plan(&wanted(), &disks, &[]).unwrap().readable_without_tools(), None);
    for root in [luks, xfs] {
        let plan = plan(&of(with_root(root)), &disks, &[]).unwrap();
        assert_eq!(plan.readable_without_tools(), Some("/boot"));
    }
}

#[test]
fn devices_that_need_each_other_are_refused() {
    let layout = json!({
        "disk": {"a": {"device": "/dev/vda", "content": {"type": "mdraid", "name": "r"}}},
        "mdadm": {"r": {"content": {"type": "lvm_pv", "vg": "p"}}},
        "lvm_vg": {"p": {"lvs": {"v": {"size": "1G", "content": {"type": "mdraid", "name": "r"}}}}},
    });
    let failure = plan_for("n1", &of(layout), &[disk("vda", "A", 4 * GIB)], &[], None).unwrap_err();
    assert!(failure.cause.contains("lvm_vg.p, mdadm.r"), "{failure}");
}

/// The layouts of disko's own documentation, where they stand beside the checkout.
#[test]
fn every_layout_that_was_evaluated_for_us_is_planned() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/disko");
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
    {
        let devices: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let names: Vec<String> = devices["disk"].as_object().unwrap().keys().cloned().collect();
        let disks: Vec<Disk> =
            names.iter().enumerate().map(|(n, _)| disk(&format!("sd{n}x"), &format!("S{n}"), 8 * GIB)).collect();
        let serial = |disk: &Disk| Selector { serial: disk.serial.clone(), ..Selector::default() };
        let select = names.iter().cloned().zip(disks.iter().map(serial)).collect();
        let wanted = Disks { devices, select, allow_hooks: true, ..Disks::default() };
        let plan = plan_for("n1", &wanted, &disks, &[], None);
        assert!(plan.is_ok(), "{}: {:?}", path.display(), plan.err());
    }
}

proptest! {
    /// Whatever the sizes: partitions are aligned, in order, do not overlap, and lie inside the disk.
    #[test]
    fn partitions_never_overlap_or_leave_the_disk(
        size in 0u64..(1 << 45), sector in prop_oneof![Just(512u32), Just(4096)], esp in 0u64..(1 << 40)
    ) {
        let mut layout = wanted();
        layout.devices["disk"]["main"]["content"]["partitions"]["ESP"]["end"] = format!("+{esp}K").into();
        let disk = Disk { sector_size: sector, ..disk("vda", "A", size) };
        if let Ok(plan) = plan(&layout, &[disk], &[]) {
            let mut end = 0;
            for (_, extent) in partitions(&plan) {
                prop_assert!(extent.first > end && extent.last >= extent.first);
                prop_assert_eq!(extent.first * u64::from(sector) % (1 << 20), 0);
                prop_assert!((extent.last + 1) * u64::from(sector) <= size);
                end = extent.last;
            }
        }
    }
}
