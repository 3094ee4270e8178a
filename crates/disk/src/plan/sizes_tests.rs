//! What stands above the partitions and has no room.

use super::{
    tests::{GIB, disk, of, plan_beside},
    *,
};
use serde_json::{Value, json};
use std::process::Command;

fn on(size: &str, content: &Value) -> Value {
    json!({"disk": {"main": {"device": "/dev/vda", "content":
        {"type": "gpt", "partitions": {"r": {"size": size, "content": content}}}}}})
}

fn volumes(volumes: &Value) -> Value {
    let mut layout = on("100%", &json!({"type": "lvm_pv", "vg": "p"}));
    layout["lvm_vg"] = json!({"p": {"lvs": volumes}});
    layout
}

fn planned(layout: &Value) -> Result<Plan> {
    plan_beside("n1", &of(layout.clone()), &[disk("vda", "A", 16 * GIB)], &[], &Stack::default(), None)
}

fn refused_at(layout: &Value) -> String {
    let failure = planned(layout).unwrap_err();
    assert_eq!(failure.code, Code::DiskUnfit, "{failure}");
    failure.cause
}

fn ext4() -> Value {
    json!({"type": "filesystem", "format": "ext4"})
}

#[test]
fn volumes_that_do_not_fit_into_their_group_are_refused_with_their_path() {
    let one = |size: &str| json!({"size": size, "content": ext4()});
    for (lvs, path) in [
        (json!({"r": one("1T")}), "lvm_vg.p.lvs.r.size"),
        (json!({"r": one("10G"), "s": one("10G")}), "lvm_vg.p.lvs.s.size"),
        (json!({"r": one("100%FREE"), "s": one("100%FREE")}), "lvm_vg.p.lvs.s.size"),
        (json!({"r": one("99999999999P")}), "lvm_vg.p.lvs.r.size"),
        (json!({"r": one("60%VG"), "s": one("60%VG")}), "lvm_vg.p.lvs.s.size"),
        (json!({"r": {"size": "9G", "lvm_type": "thin-pool"}, "s": one("9G")}), "lvm_vg.p.lvs.s.size"),
        (json!({"r": {"size": "1G", "lvm_type": "raid1"}}), "lvm_vg.p.lvs.r.lvm_type"),
    ] {
        let cause = refused_at(&volumes(&lvs));
        assert!(cause.contains(&format!("at {path}: ")), "{path}: {cause}");
    }
    for lvs in [
        json!({"r": one("10G"), "s": one("100%")}),
        json!({"r": one("50%VG"), "s": one("50%VG")}),
        json!({"r": one("16G".replace("16", "15").as_str())}),
        json!({"t": {"size": "1G", "lvm_type": "thin-pool"}, "h": {"size": "1T", "lvm_type": "thinlv", "pool": "t"}}),
    ] {
        assert!(planned(&volumes(&lvs)).is_ok(), "{lvs}");
    }
}

#[test]
fn what_a_file_system_luks_or_swap_needs_at_least_is_known_through_every_layer() {
    let xfs = json!({"type": "filesystem", "format": "xfs"});
    let btrfs = json!({"type": "btrfs"});
    let luks = |content: &Value| json!({"type": "luks", "name": "c", "passwordFile": "/k", "content": content});
    let at = "at disk.main.content.partitions.r.content";
    for (size, content, path) in [
        ("100M", xfs.clone(), format!("{at}: ")),
        ("50M", btrfs.clone(), format!("{at}: ")),
        ("8M", luks(&ext4()), format!("{at}: ")),
        ("16M", luks(&ext4()), format!("{at}: ")),
        ("310M", luks(&xfs), format!("{at}.content: ")),
        ("30K", json!({"type": "swap"}), format!("{at}: ")),
    ] {
        let cause = refused_at(&on(size, &content));
        assert!(cause.contains(&path), "{size} {content}: {cause}");
    }
    assert!(planned(&on("320M", &luks(&xfs))).is_ok() && planned(&on("109M", &btrfs)).is_ok());
    // Where the operator's arguments change what is needed, the tool decides.
    assert!(planned(&on("50M", &json!({"type": "btrfs", "extraArgs": ["--mixed"]}))).is_ok());
    let mut volume = volumes(&json!({"v": {"size": "64M", "content": xfs}}));
    assert!(refused_at(&volume).contains("at lvm_vg.p.lvs.v.content: "), "{volume}");
    volume["lvm_vg"]["p"]["lvs"]["v"]["size"] = json!("300M");
    assert!(planned(&volume).is_ok());
}

#[test]
fn swap_files_that_are_larger_than_their_file_system_are_refused() {
    let file = |size: &str| json!({"type": "btrfs", "subvolumes": {"/swap": {"swap": {"file": {"size": size}}}}});
    let cause = refused_at(&on("100%", &file("64G")));
    assert!(cause.contains("subvolumes./swap.swap.file: "), "{cause}");
    assert!(planned(&on("100%", &file("8G"))).is_ok());
}

#[test]
fn the_least_sizes_are_those_of_the_tools() {
    for (tool, least) in [("mkfs.xfs", 300u64), ("mkfs.btrfs", 109), ("mkfs.f2fs", 52)] {
        let made = |mebibytes: u64| {
            let image = tempfile::NamedTempFile::new().unwrap();
            image.as_file().set_len(mebibytes << 20).unwrap();
            Command::new(tool).args(["-q", "-f"]).arg(image.path()).output().unwrap().status.success()
        };
        assert!(made(least) && !made(least - 1), "{tool} takes {least} MiB and no less");
    }
}
