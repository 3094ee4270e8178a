use super::*;
use crate::stack::tests::{mapper, stack};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn raid(name: &str) -> Kind {
    Kind::Array { level: name.into() }
}

fn luks_on_lvm_on_md() -> Stack {
    stack(&[
        ("sda", Kind::Disk, &["sda1"]),
        ("sda1", Kind::Partition, &["md0"]),
        ("sdb", Kind::Disk, &["md0"]),
        ("md0", raid("raid1"), &["dm-0", "dm-1"]),
        ("dm-0", mapper("vg-root", "LVM-x"), &["dm-2"]),
        ("dm-1", mapper("vg-swap", "LVM-y"), &[]),
        ("dm-2", mapper("crypted", "CRYPT-LUKS2-x"), &[]),
        ("md1", raid("raid0"), &["md1p1"]),
        ("md1p1", Kind::Partition, &[]),
        ("sdc", Kind::Disk, &["md1"]),
    ])
}

#[test]
fn every_level_is_wiped_and_closed_from_the_top() {
    let step = |wipe: &str| [Step::Wipe(wipe.into()), Step::Close(wipe.into())];
    let expected = [step("dm-2"), step("dm-0"), step("dm-1"), step("md0")].concat();
    assert_eq!(steps(&luks_on_lvm_on_md(), &["sda", "sdb"]), Ok(expected));
    let of_array = vec![Step::Wipe("md1p1".into()), Step::Wipe("md1".into()), Step::Close("md1".into())];
    assert_eq!(steps(&luks_on_lvm_on_md(), &["sdc"]), Ok(of_array));
}

#[test]
fn what_stands_on_another_disk_too_is_not_touched() {
    let why = steps(&luks_on_lvm_on_md(), &["sda"]).unwrap_err();
    assert!(why.contains("stands on sdb as well"), "{why}");
}

#[test]
fn what_is_mounted_or_of_another_kind_is_not_touched_and_swap_is_stopped_first() {
    let mut mounted = luks_on_lvm_on_md();
    mounted.mark("1 1 8:6 / /mnt rw - ext4 x rw", "", &|_| None);
    assert!(steps(&mounted, &["sda", "sdb"]).unwrap_err().contains("mounted at /mnt"));
    let mut swapping = luks_on_lvm_on_md();
    swapping.mark("", "head\n/dev/dm-1 partition 1 0 -2", &|_| Some((8, 5)));
    let done = steps(&swapping, &["sda", "sdb"]).unwrap();
    let at = |step: &Step| done.iter().position(|one| one == step).unwrap();
    assert!(at(&Step::SwapOff("dm-1".into())) < at(&Step::Wipe("dm-1".into())));
    for kind in [Kind::Other, Kind::Loop, mapper("mpatha", "mpath-3600")] {
        let stack = stack(&[("sda", Kind::Disk, &["x"]), ("x", kind, &[])]);
        assert!(steps(&stack, &["sda"]).unwrap_err().contains("cannot be taken down"));
    }
}

#[test]
fn a_loop_device_may_be_the_disk() {
    let stack = stack(&[("loop0", Kind::Loop, &["loop0p1"]), ("loop0p1", Kind::Partition, &[])]);
    assert_eq!(steps(&stack, &["loop0"]), Ok(vec![]));
}

proptest! {
    /// Any heap of mappings: each stands on some of those before it.
    #[test]
    fn nothing_is_closed_below_something_that_is_open(below in prop::collection::vec(any::<prop::sample::Index>(), 1..12)) {
        let names: Vec<String> = (0..=below.len()).map(|index| format!("d{index}")).collect();
        let mut above: Vec<Vec<&str>> = vec![Vec::new(); names.len()];
        for (index, on) in below.iter().enumerate() {
            above[on.index(index + 1)].push(&names[index + 1]);
        }
        let kind = |index: usize| if index == 0 { Kind::Disk } else { mapper(&names[index], "x") };
        let nodes: Vec<(&str, Kind, &[&str])> =
            (0..names.len()).map(|index| (names[index].as_str(), kind(index), above[index].as_slice())).collect();
        let stack = stack(&nodes);
        let mut open: BTreeSet<&str> = names[1..].iter().map(String::as_str).collect();
        let done = steps(&stack, &["d0"]).unwrap();
        for step in &done {
            let Step::Close(name) = step else { continue };
            prop_assert!(stack.get(name).unwrap().above.iter().all(|above| !open.contains(above.as_str())));
            let wiped = done.iter().position(|one| *one == Step::Wipe(name.clone()));
            prop_assert!(wiped < done.iter().position(|one| one == step));
            open.remove(name.as_str());
        }
        prop_assert!(open.is_empty());
    }
}
