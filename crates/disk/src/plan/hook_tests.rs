//! What hooks are told.

use super::{
    tests::{GIB, disk, plan_beside},
    *,
};
use crate::action::Arg;
use serde_json::json;

#[test]
fn every_hook_has_the_variables_that_disko_defines() {
    let hook = "echo $device $name";
    let ext4 = json!({"type": "filesystem", "format": "ext4", "mountpoint": "/x", "postCreateHook": hook});
    let luks = json!({"type": "luks", "name": "c", "passwordFile": "/k", "preCreateHook": hook,
        "content": {"type": "lvm_pv", "vg": "p", "postCreateHook": hook}});
    let devices = json!({
        "disk": {"main": {"device": "/dev/vda", "preCreateHook": hook, "content": {"type": "gpt", "partitions": {
            "r": {"size": "1G", "content": luks}, "z": {"size": "1G", "content": {"type": "zfs", "pool": "z"}}}}}},
        "lvm_vg": {"p": {"postCreateHook": hook, "lvs": {"x": {"size": "100M", "preCreateHook": hook, "content": ext4}}}},
        "zpool": {"z": {"datasets": {"d/e": {"type": "zfs_fs", "postCreateHook": hook}}}},
    });
    let wanted = Disks { devices, allow_hooks: true, ..Disks::default() };
    let disks = [disk("vda", "A", 4 * GIB)];
    let plan = plan_beside("n1", &wanted, &disks, &[], &Stack::default(), None).unwrap();
    let told = plan.actions.iter().filter_map(|action| match action {
        Action::Hook { at, variables, .. } => {
            let shown = variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
            assert!(variables.iter().all(|(name, value)| *name != "device" || matches!(value, Arg::Device(_))));
            Some(format!("{at}: {shown}"))
        }
        _ => None,
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "disk.main.preCreateHook: device=/dev/vda name=main type=disk",
            "disk.main.content.partitions.r.content.preCreateHook: device=/dev/vda1 type=luks name=c",
            "disk.main.content.partitions.r.content.content.postCreateHook: device=/dev/mapper/c type=lvm_pv vg=p",
            "lvm_vg.p.lvs.x.preCreateHook: name=x size=100M type=lvm_lv",
            "lvm_vg.p.lvs.x.content.postCreateHook: device=/dev/p/x type=filesystem format=ext4 mountpoint=/x",
            "lvm_vg.p.postCreateHook: name=p type=lvm_vg",
            "zpool.z.datasets.d/e.postCreateHook: name=d/e _name=z/d/e type=zfs_fs",
        ]
    );
}
