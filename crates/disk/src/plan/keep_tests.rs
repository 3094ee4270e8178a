//! What is opened and looked at before anything is written beside it, and what stays with what is kept.

use super::{
    tests::{GIB, disk, left, of, plan_beside},
    *,
};
use layout::examples::with_root;
use serde_json::{Value, json};

/// The lines of a plan for a disk that carries an earlier layout of this node's.
fn kept(before: &Value, now: &Value, keep: &str, kind: &str) -> Vec<String> {
    let disks = [disk("vda", "A", 4 * GIB)];
    let stack = Stack::default();
    let first = plan_beside("n1", &of(before.clone()), &disks, &[], &stack, None).unwrap();
    let mut content = left(&first, true);
    content.signatures[0].kind = kind.to_owned();
    let wanted = Disks { keep: vec![keep.to_owned()], ..of(now.clone()) };
    let plan = plan_beside("n1", &wanted, &disks, &[("vda", content)], &stack, None).unwrap();
    plan.lines()
        .into_iter()
        .map(|line| {
            line.trim_start().trim_start_matches(|char: char| char.is_ascii_digit()).trim_start_matches(". ").to_owned()
        })
        .collect()
}

fn volumes(volumes: &[(&str, &str)]) -> Value {
    let mut layout =
        with_root(json!({"type": "luks", "name": "c", "passwordFile": "/k", "content": {"type": "lvm_pv", "vg": "p"}}));
    let volume = |(name, size): &(&str, &str)| {
        let content = json!({"type": "filesystem", "format": "ext4", "mountpoint": format!("/{name}")});
        ((*name).to_owned(), json!({"size": size, "content": content}))
    };
    let lvs: serde_json::Map<String, Value> = volumes.iter().map(volume).collect();
    layout["lvm_vg"] = json!({"p": {"lvs": lvs}});
    layout
}

#[test]
fn what_is_kept_is_opened_and_looked_at_before_the_first_write() {
    let before = volumes(&[("root", "80M"), ("home", "60M")]);
    let now = volumes(&[("root", "101M"), ("home", "60M"), ("var", "100%FREE")]);
    let lines = kept(&before, &now, "/home", "crypto_LUKS");
    let at = |word: &str| {
        lines.iter().position(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{word}: {lines:#?}"))
    };
    let written = lines.iter().position(|line| line.starts_with("wipe") || line.starts_with("mkfs")).unwrap();
    for look in [
        "cryptsetup open",
        "lvm vgchange",
        "look for /dev/p/home with 60.0 MiB",
        "look for /dev/p/root with 104.0 MiB",
        "look for /dev/p/var",
    ] {
        assert!(at(look) < written, "{look}: {lines:#?}");
    }
    assert!(at("lvm vgchange") < at("look for /dev/p/home"));
    assert!(!lines.iter().any(|line| line.starts_with("mkfs") && line.ends_with("/dev/p/home")), "{lines:#?}");
}

#[test]
fn what_is_only_opened_is_not_measured_nor_what_lvcreate_rounds_otherwise() {
    let mut striped = volumes(&[("home", "60M"), ("root", "81M")]);
    striped["lvm_vg"]["p"]["lvs"]["root"]["extraArgs"] = json!(["--stripes 2"]);
    let lines = kept(&striped, &striped, "/home", "crypto_LUKS");
    assert!(lines.contains(&"look for /dev/p/root".to_owned()), "{lines:#?}");
    let disks = [disk("vda", "A", 4 * GIB)];
    let plan = plan_beside("n1", &of(striped), &disks, &[], &Stack::default(), None).unwrap();
    let is_look = |action: &Action| matches!(action, Action::Expect { .. });
    assert!(!plan.open.iter().chain(&plan.actions).any(is_look));
}

#[test]
fn a_partition_that_keeps_a_disk_from_being_kept_is_named_with_both_places() {
    let layout = with_root(json!({"type": "filesystem", "format": "ext4", "mountpoint": "/"}));
    let disks = [disk("vda", "A", 4 * GIB)];
    let stack = Stack::default();
    let mut content = left(&plan_beside("n1", &of(layout.clone()), &disks, &[], &stack, None).unwrap(), true);
    let wanted = Disks { keep: vec!["/".to_owned()], ..of(layout) };
    let mut refused = |number: u32, change: &dyn Fn(&mut Extent)| {
        change(content.table.as_mut().unwrap().partitions.get_mut(&number).unwrap());
        plan_beside("n1", &wanted, &disks, &[("vda", content.clone())], &stack, None).unwrap_err().cause
    };
    let moved = refused(3, &|one| one.last -= 8);
    assert!(moved.contains("its partition 3 is 135168..8386551, and in the layout it is 135168..8386559"), "{moved}");
    content.table.as_mut().unwrap().partitions.remove(&2);
    let gone = plan_beside("n1", &wanted, &disks, &[("vda", content)], &stack, None).unwrap_err().cause;
    assert!(gone.contains("its partition 2 is not there, and in the layout it is 4096..135167"), "{gone}");
}

#[test]
fn subvolumes_that_are_not_there_are_made_and_those_that_stay_are_told() {
    let btrfs = |names: &[&str]| {
        let subvolume = |name: &&str| (format!("/{name}"), json!({"mountpoint": format!("/{name}")}));
        let subvolumes: serde_json::Map<String, Value> = names.iter().map(subvolume).collect();
        with_root(json!({"type": "btrfs", "subvolumes": subvolumes}))
    };
    let lines = kept(&btrfs(&["root", "home"]), &btrfs(&["root", "home", "var"]), "/home", "btrfs");
    let missing = "in btrfs of /dev/vda3, where it is not there yet: btrfs subvolume create ./home; \
                   btrfs subvolume create ./root; btrfs subvolume create ./var;";
    assert!(lines.iter().any(|line| line == missing), "{lines:#?}");
    for stays in ["/root", "/var"] {
        let line = format!("{stays} is not made anew: it is of the btrfs of /dev/vda3, of which a part is kept");
        assert!(lines.contains(&line), "{lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("/home is not")), "{lines:#?}");
}
