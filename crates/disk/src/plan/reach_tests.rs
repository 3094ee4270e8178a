//! What words name is there by the time that they are used.

use super::{
    tests::{GIB, actions, disk, of, plan_beside},
    *,
};
use serde_json::{Value, json};

#[test]
fn what_a_word_names_is_made_first_or_the_plan_is_refused() {
    let luks = json!({"type": "luks", "name": "two", "passwordFile": "/k"});
    let gpt = |first: &Value, second: &Value| {
        json!({"type": "gpt", "partitions": {
        "r": {"size": "1G", "content": first}, "s": {"size": "1G", "content": second}}})
    };
    let ext4 = json!({"type": "filesystem", "format": "ext4", "extraArgs": ["-J", "device=/dev/mapper/two"]});
    let nothing = Value::Null;
    let disks = |a: Value, b: Value| {
        json!({"disk": {
        "a": {"device": "/dev/vda", "content": a}, "b": {"device": "/dev/vdb", "content": b}}})
    };
    let place = |actions: &[String], word: &str| actions.iter().position(|action| action.contains(word));
    let ordered = actions(disks(gpt(&ext4, &nothing), gpt(&luks, &nothing)));
    assert!(place(&ordered, "cryptsetup open") < place(&ordered, "mkfs.ext4"), "{ordered:#?}");
    let btrfs = json!({"type": "btrfs", "extraArgs": ["/dev/disk/by-partlabel/disk-b-s"]});
    let ordered = actions(disks(gpt(&btrfs, &nothing), gpt(&nothing, &nothing)));
    assert!(place(&ordered, "partition /dev/vdb") < place(&ordered, "mkfs.btrfs"), "{ordered:#?}");

    let machine = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)];
    let refused = |layout: Value| plan_beside("n1", &of(layout), &machine, &[], &Stack::default(), None).unwrap_err();
    let same_disk = refused(disks(gpt(&ext4, &luks), nothing.clone()));
    assert_eq!(same_disk.code, Code::Layout);
    let path = "at disk.a.content.partitions.r.content.extraArgs: /dev/mapper/two is not there yet";
    assert!(same_disk.cause.contains(path), "{same_disk}");
    let ordered = actions(disks(gpt(&luks, &ext4), nothing.clone()));
    assert!(place(&ordered, "cryptsetup open") < place(&ordered, "mkfs.ext4"), "{ordered:#?}");
    let back = json!({"type": "btrfs", "extraArgs": ["/dev/disk/by-partlabel/disk-a-s"]});
    let circle = refused(disks(gpt(&btrfs, &nothing), gpt(&back, &nothing)));
    assert!(circle.cause.contains("disk.a, disk.b"), "{circle}");
}
