use super::{
    super::{layout::tests::hybrid_boot, probe::Busy, probe::Signature, probe::TableOnDisk},
    *,
};
use proptest::prelude::*;
use protocol::inventory::Transport;

const GIB: u64 = 1 << 30;

fn disk(name: &str, serial: &str, size: u64) -> Disk {
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
    Disks { devices: hybrid_boot(), ..Disks::default() }
}

fn ext4(device: &str) -> Content {
    let signature = Signature {
        device: device.into(),
        kind: "ext4".into(),
        label: Some("precious".into()),
        ..Signature::default()
    };
    Content { signatures: vec![signature], ..Content::default() }
}

fn plan(wanted: &Disks, disks: &[Disk], contents: &[(&str, Content)]) -> Result<Plan> {
    let node = "n1".parse().unwrap();
    let contents = contents.iter().map(|(name, content)| ((*name).to_owned(), content.clone())).collect();
    make(wanted, &Facts { node: &node, disks, contents: &contents, firmware: Firmware::Uefi })
}

#[test]
fn diskos_order_is_priority_then_name() {
    let plan = plan(&wanted(), &[disk("vda", "A", 4 * GIB)], &[]).unwrap();
    let labels: Vec<&str> = plan.disks[0].partitions.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["disk-main-boot", "disk-main-ESP", "disk-main-root"]);
    assert_eq!(plan.disks[0].partitions[0].extent.first, 2048);
    assert_eq!(plan.disks[0].partitions[0].attributes, 1);
    let mounts: Vec<&str> = plan.mounts().iter().map(|(_, _, path)| *path).collect();
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
    assert_eq!(plan(&short, &disks, &[]).unwrap(), plan(&wanted(), &disks, &[]).unwrap());
}

#[test]
fn a_foreign_file_system_is_refused_with_the_table_and_wiped_only_by_name() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let failure = plan(&wanted(), &disks, &[("vda", ext4("vda"))]).unwrap_err();
    assert_eq!(failure.code, Code::DiskForeign);
    for part in ["vda", "precious", "4.0 GiB", "serial"] {
        assert!(failure.cause.contains(part), "{failure}");
    }
    let mut wipe = wanted();
    wipe.wipe.insert("main".into(), WipePolicy::Wipe);
    assert!(plan(&wipe, &disks, &[("vda", ext4("vda"))]).is_ok());
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
fn a_selector_for_a_disk_that_the_layout_does_not_have_is_refused() {
    let mut typo = wanted();
    typo.wipe.insert("mian".into(), WipePolicy::Wipe);
    assert!(plan(&typo, &[disk("vda", "A", 4 * GIB)], &[]).unwrap_err().cause.contains("mian"));
}

#[test]
fn a_disk_that_must_not_be_written_is_refused() {
    let read_only = Disk { read_only: true, ..disk("vda", "A", 4 * GIB) };
    let usb = Disk { transport: Transport::Usb, ..disk("vda", "A", 4 * GIB) };
    for unfit in [read_only, usb, disk("vda", "A", 32 << 20)] {
        assert_eq!(plan(&wanted(), &[unfit], &[]).unwrap_err().code, Code::DiskUnfit);
    }
    let mounted = Content { busy: Some(Busy::Claimed { by: None }), ..Content::default() };
    let failure = plan(&wanted(), &[disk("vda", "A", 4 * GIB)], &[("vda", mounted)]).unwrap_err();
    assert_eq!(failure.code, Code::DiskUnfit);
}

#[test]
fn an_interrupted_installation_of_this_node_is_known_again_and_another_nodes_is_foreign() {
    let disks = [disk("vda", "A", 4 * GIB)];
    let first = plan(&wanted(), &disks, &[]).unwrap();
    assert!(!first.may_resume());
    let partitions = first.disks[0].partitions.iter().map(|one| (one.number, one.extent)).collect();
    let table = TableOnDisk { guid: first.disks[0].guid, partitions };
    let left = |table: TableOnDisk| Content { table: Some(table), ..ext4("vda3") };
    assert!(plan(&wanted(), &disks, &[("vda", left(table.clone()))]).unwrap().may_resume());
    let other = TableOnDisk { guid: own_guid(&"n2".parse().unwrap(), "disk main"), ..table };
    assert_eq!(plan(&wanted(), &disks, &[("vda", left(other))]).unwrap_err().code, Code::DiskForeign);
}

#[test]
fn the_layout_must_suit_the_firmware() {
    let mut no_bios_boot = wanted();
    no_bios_boot.devices["disk"]["main"]["content"]["partitions"].as_object_mut().unwrap().remove("boot");
    let node = "n1".parse().unwrap();
    let disks = [disk("vda", "A", 4 * GIB)];
    let bios = Facts { node: &node, disks: &disks, contents: &BTreeMap::new(), firmware: Firmware::Bios };
    assert!(make(&no_bios_boot, &bios).unwrap_err().cause.contains("EF02"));
}

proptest! {
    /// Whatever the sizes: partitions are aligned, in order, do not overlap, and lie inside the disk.
    #[test]
    fn partitions_never_overlap_or_leave_the_disk(
        size in 0u64..(1 << 45), sector in prop_oneof![Just(512u32), Just(4096)], esp in 0u64..(1 << 40)
    ) {
        let mut layout = wanted();
        layout.devices["disk"]["main"]["content"]["partitions"]["ESP"]["end"] = format!("+{esp}").into();
        let disk = Disk { sector_size: sector, ..disk("vda", "A", size) };
        if let Ok(plan) = plan(&layout, &[disk], &[]) {
            let mut end = 0;
            for one in &plan.disks[0].partitions {
                prop_assert!(one.extent.first > end && one.extent.last >= one.extent.first);
                prop_assert_eq!(one.extent.first * u64::from(sector) % (1 << 20), 0);
                prop_assert!((one.extent.last + 1) * u64::from(sector) <= size);
                end = one.extent.last;
            }
        }
    }
}
