use super::*;
use crate::signature::Signature;
use proptest::prelude::*;

fn disk(name: &str, serial: &str, size: u64) -> Disk {
    Disk {
        name: name.into(),
        serial: Some(serial.into()),
        size,
        transport: Transport::Virtio,
        by_id: vec![format!("virtio-{serial}")],
        ..Disk::default()
    }
}

fn disks() -> Vec<Disk> {
    vec![disk("vda", "A", 8 << 30), disk("vdb", "B", 8 << 30)]
}

fn select<'a>(selector: &str, disks: &'a [Disk]) -> Result<&'a str, NoDisk> {
    let selector = Selector::parse(selector).map_err(NoDisk::Malformed)?;
    choose(&selector, disks, &BTreeMap::new()).map(|disk| disk.name.as_str())
}

#[test]
fn a_serial_finds_its_disk_whatever_it_is_called() {
    let disks = disks();
    for selector in ["serial=B", "serial=s!= A", "/dev/disk/by-id/virtio-B", "/dev/vdb", "name=vdb", "name=/dev/vdb"] {
        assert_eq!(select(selector, &disks), Ok("vdb"), "{selector}");
    }
}

#[test]
fn two_equal_disks_are_a_refusal_and_never_a_choice() {
    assert_eq!(select("size=8G", &disks()), Err(NoDisk::Several(vec!["vda".into(), "vdb".into()])));
}

#[test]
fn nothing_is_never_everything() {
    let disks = disks();
    assert!(matches!(choose(&Selector::default(), &disks[..1], &BTreeMap::new()), Err(NoDisk::Malformed(_))));
    assert_eq!(select("wwn=0x5", &disks), Err(NoDisk::None));
    assert_eq!(select("wwn=s!= 0x5", &disks), Err(NoDisk::None));
}

#[test]
fn a_partition_path_is_no_disk() {
    for path in ["/dev/vda1", "/dev/disk/by-id/virtio-A-part1", "/dev/disk/by-partlabel/root", "vda"] {
        assert!(select(path, &disks()).is_err(), "{path}");
    }
}

#[test]
fn what_must_not_be_used_is_named_with_the_reason() {
    let usable = disk("vdb", "B", 8 << 30);
    for (spoil, reason) in [
        ((|disk| disk.removable = true) as fn(&mut Disk), "removable"),
        (|disk| disk.transport = Transport::Usb, "on USB"),
        (|disk| disk.read_only = true, "write-protected"),
        (|disk| disk.size = 0, "without a medium"),
    ] {
        let mut spoilt = disk("vda", "A", 8 << 30);
        spoil(&mut spoilt);
        let disks = [spoilt, usable.clone()];
        assert_eq!(select("serial=A", &disks), Err(NoDisk::Unfit(vec![("vda".into(), reason.into())])));
        assert_eq!(select("name=<in> vd", &disks), Ok("vdb"), "{reason}");
    }
}

#[test]
fn a_disk_in_use_a_path_and_an_unreadable_one_are_left_out_and_a_held_one_is_not() {
    let contents = |content: Content| BTreeMap::from([("vda".to_owned(), content)]);
    let why = |content: Content| {
        let disks = disks();
        let chosen = choose(&Selector::parse("serial=A").unwrap(), &disks, &contents(content));
        chosen.map(|disk| disk.name.clone()).map_err(|none| none.describe())
    };
    let busy = |busy: Busy| Content { busy: Some(busy), ..Content::default() };
    let mounted = Busy::Mounted { device: "vda1".into(), at: "/mnt".into() };
    assert!(why(busy(mounted)).unwrap_err().contains("vda1 is mounted at /mnt"));
    assert!(why(busy(Busy::Swap { device: "vda2".into() })).unwrap_err().contains("swaps to vda2"));
    assert!(why(busy(Busy::Claimed { by: None })).is_err());
    let member = Signature { device: "vda".into(), kind: "mpath_member".into(), ..Signature::default() };
    assert!(why(Content { signatures: vec![member], ..Content::default() }).unwrap_err().contains("multipath"));
    assert!(why(Content { unreadable: Some("I/O error".into()), ..Content::default() }).is_err());
    assert_eq!(why(busy(Busy::Held { by: vec!["md0".into()], also_on: vec![] })), Ok("vda".into()));
}

#[test]
fn two_paths_of_one_disk_are_both_left_out_and_cheap_twins_are_not() {
    let path = |name: &str, serial: &str| Disk { wwid: Some("naa.5".into()), ..disk(name, serial, 8 << 30) };
    let paths = [path("sda", "X"), path("sdb", "X")];
    let NoDisk::Unfit(unfit) = select("serial=X", &paths).unwrap_err() else { panic!() };
    assert_eq!(unfit[0].1, "a path of the same disk as sdb");
    assert_eq!(select("serial=Y", &[path("sda", "X"), path("sdb", "Y")]), Ok("sdb"));
}

#[test]
fn what_stands_on_another_disk_too_may_only_be_taken_down_with_it() {
    let disks = disks();
    let held = Busy::Held { by: vec!["md0 (raid1)".into()], also_on: vec!["vdb".into()] };
    let contents = BTreeMap::from([("vda".to_owned(), Content { busy: Some(held), ..Content::default() })]);
    let (name, why) = held_elsewhere(&[&disks[0]], &contents).unwrap();
    assert_eq!((name.as_str(), why.as_str()), ("vda", "held by md0 (raid1), which stands on vdb as well"));
    assert_eq!(held_elsewhere(&[&disks[0], &disks[1]], &contents), None);
}

#[test]
fn a_world_wide_name_is_found_as_the_kernel_and_as_udev_write_it() {
    let short = Disk { wwn: Some("naa.5000c50015ea71ac".into()), ..disk("sda", "A", 1) };
    let long = Disk { wwn: Some("naa.600508b1001c5e1e0011223344556677".into()), ..disk("sdb", "B", 1) };
    let eui = Disk { wwn: Some("eui.0025385b71b0a1c2".into()), ..disk("nvme0n1", "C", 1) };
    let disks = [short, long, eui];
    for (selector, name) in [
        ("wwn=0x5000C50015EA71AC", "sda"),
        ("wwn=naa.5000c50015ea71ac", "sda"),
        ("wwn=0x600508b1001c5e1e", "sdb"),
        ("wwn_with_extension=0x600508b1001c5e1e0011223344556677", "sdb"),
        ("wwn_vendor_extension=0x0011223344556677", "sdb"),
        ("wwn=eui.0025385b71b0a1c2", "nvme0n1"),
    ] {
        assert_eq!(select(selector, &disks), Ok(name), "{selector}");
    }
}

#[test]
fn names_with_blanks_and_odd_bytes_are_found_as_udev_writes_them() {
    let mut odd = disk("nvme0n1", "S 1", 1);
    odd.by_id = vec!["nvme-ACME_Disk_5_S_1".into()];
    for id in ["ACME_Disk_5_S_1", "ACME__Disk_5__S_1_", "ACME\\x20Disk\\x205_S_1", "ACME Disk 5_S 1"] {
        let selector = Selector::of_path(format!("/dev/disk/by-id/nvme-{id}"));
        assert!(choose(&selector, std::slice::from_ref(&odd), &BTreeMap::new()).is_ok(), "{id}");
    }
}

#[test]
fn paths_and_sequence_numbers_find_their_disk() {
    let sata = Disk {
        transport: Transport::Sata,
        by_path: Some("pci-0000:00:1f.2-ata-1.0".into()),
        diskseq: Some(12),
        ..disk("sda", "A", 1)
    };
    let disks = [sata, disk("vda", "B", 1)];
    for path in [
        "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
        "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
        "/dev/disk/by-diskseq/12",
        "by_path=pci-0000:00:1f.2-ata-1.0",
        "by_path=/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",
    ] {
        assert_eq!(select(path, &disks), Ok("sda"), "{path}");
    }
}

proptest! {
    #[test]
    fn a_choice_fits_and_is_the_only_one(
        sizes in prop::collection::vec(1u64..4, 0..6),
        removable in prop::collection::vec(any::<bool>(), 6),
        wanted in 1u64..4,
    ) {
        let disks: Vec<Disk> = sizes.iter().zip(removable).enumerate().map(|(index, (size, removable))| {
            Disk { removable, ..disk(&format!("vd{index}"), &index.to_string(), size << 30) }
        }).collect();
        let fit = disks.iter().filter(|disk| disk.size == wanted << 30 && !disk.removable).count();
        let chosen = select(&format!("size={wanted}G"), &disks);
        prop_assert_eq!(chosen.is_ok(), fit == 1);
        if fit > 1 {
            prop_assert!(matches!(chosen, Err(NoDisk::Several(names)) if names.len() == fit));
        }
    }

    #[test]
    fn any_name_is_folded_and_stays_so(id in "[\\\\x0-9a-f_ \\PC]{0,30}") {
        let once = folded(&id);
        if !once.contains("\\x") {
            prop_assert_eq!(folded(&once), once);
        }
    }
}

#[test]
fn paths_of_partitions_and_of_what_stands_on_disks_are_told_apart() {
    for path in ["/dev/sda1", "/dev/nvme0n1p2", "/dev/md127", "/dev/mapper/x", "/dev/disk/by-id/ata-x-part1"] {
        assert!(is_no_path_of_a_disk(path), "{path}");
    }
    for path in ["/dev/sda", "/dev/nvme0n1", "/dev/disk/by-id/ata-x1", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"] {
        assert!(!is_no_path_of_a_disk(path), "{path}");
    }
    assert!(is_no_path_of_a_disk("/dev/disk/by-uuid/x") && !is_no_path_of_a_disk("/dev/loop0"));
}
