//! Identifiers and names of a plan on disks that it was not made for.

use super::{
    tests::{GIB, disk, of, plan_beside},
    *,
};
use crate::{
    probe::{Signature, TableOnDisk},
    stack::{
        Kind,
        tests::{mapper, stack},
    },
};
use serde_json::{Value, json};

fn gpt(content: &Value) -> Value {
    json!({"type": "gpt", "partitions": {"r": {"size": "1G", "content": content}}})
}

fn on(device: &str, content: &Value) -> Value {
    json!({"disk": {"main": {"device": device, "content": gpt(content)}}})
}

fn carrying(device: &str, kind: &str, uuid: &str) -> Content {
    let found = Signature {
        device: device.to_owned(),
        kind: kind.to_owned(),
        uuid: Some(uuid.to_owned()),
        ..Signature::default()
    };
    Content { signatures: vec![found], ..Content::default() }
}

fn planned(wanted: &Value, contents: &[(&str, Content)], stack: &Stack) -> Result<Plan> {
    let disks = [disk("vda", "A", 4 * GIB), disk("vdb", "B", 4 * GIB)];
    plan_beside("n1", &of(wanted.clone()), &disks, contents, stack, None)
}

/// What the plan gives out, by what its actions and its table say.
fn identifiers(wanted: &Value) -> Vec<String> {
    let plan = planned(wanted, &[], &Stack::default()).unwrap();
    let is_uuid =
        |word: &str| word.len() > 30 && word.chars().all(|char| char.is_ascii_hexdigit() || "-:".contains(char));
    let texts = plan.actions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let words = texts.split([' ', '=']).filter(|word| is_uuid(word)).map(str::to_owned);
    let (_, extents) = plan.disks[0].table.as_ref().unwrap();
    words.chain(extents.iter().map(|extent| extent.guid.to_string())).collect()
}

#[test]
fn the_disk_of_an_earlier_installation_that_is_still_there_is_named() {
    let luks = json!({"type": "luks", "name": "c", "passwordFile": "/k", "content": {"type": "lvm_pv", "vg": "p"}});
    let mut volumes = on("/dev/vdb", &luks);
    volumes["lvm_vg"] = json!({"p": {"lvs": {"x": {"size": "100M", "content": {"type": "swap"}}}}});
    let mut array = on("/dev/vdb", &json!({"type": "mdraid", "name": "m"}));
    array["mdadm"] = json!({"m": {"level": 0, "content": {"type": "btrfs", "mountpoint": "/"}}});
    let xfs = on("/dev/vdb", &json!({"type": "filesystem", "format": "xfs", "mountpoint": "/"}));
    for (wanted, least) in [(volumes, 3), (array, 3), (xfs, 2)] {
        let identifiers = identifiers(&wanted);
        assert!(identifiers.len() >= least, "{identifiers:?}");
        for identifier in identifiers {
            let failure =
                planned(&wanted, &[("vda", carrying("vda1", "x", &identifier))], &Stack::default()).unwrap_err();
            assert_eq!(failure.code, Code::DiskUnfit);
            assert!(failure.cause.contains("vda carries an earlier installation of this node"), "{failure}");
            assert!(failure.remedy.contains("unplug vda"), "{failure}");
            // Of the disk that was chosen it is no matter, nor of what another node left.
            let own = [("vdb", carrying("vdb1", "x", &identifier))];
            assert!(planned(&wanted, &own, &Stack::default()).is_err_and(|failure| failure.code == Code::DiskForeign));
            let other = carrying("vda1", "x", "00000000-0000-0000-0000-000000000000");
            assert!(planned(&wanted, &[("vda", other)], &Stack::default()).is_ok());
        }
    }
}

#[test]
fn a_table_of_an_earlier_installation_is_known_where_nothing_else_is_left() {
    let wanted = on("/dev/vdb", &json!({"type": "swap"}));
    let first = planned(&wanted, &[], &Stack::default()).unwrap();
    let partitions =
        first.disks[0].table.as_ref().unwrap().1.iter().copied().zip(1..).map(|(one, n)| (n, one)).collect();
    let left = Content { table: Some(TableOnDisk { guid: uuid::Uuid::nil(), partitions }), ..Content::default() };
    assert!(
        planned(&wanted, &[("vda", left)], &Stack::default())
            .unwrap_err()
            .cause
            .contains("identifier of the partition")
    );
}

#[test]
fn a_name_in_use_on_another_disk_is_refused_and_one_on_the_plans_own_is_not() {
    let luks = json!({"type": "luks", "name": "two", "passwordFile": "/k"});
    let mut volumes = on("/dev/vdb", &json!({"type": "lvm_pv", "vg": "my-pool"}));
    volumes["lvm_vg"] = json!({"my-pool": {"lvs": {"x": {"size": "100M"}}}});
    let mut array = on("/dev/vdb", &json!({"type": "mdraid", "name": "data"}));
    array["mdadm"] = json!({"data": {"level": 0}});
    let member = |disk: &str| {
        let label = Some("any:data".to_owned());
        let found =
            Signature { device: disk.to_owned(), kind: "linux_raid_member".into(), label, ..Signature::default() };
        (disk.to_owned(), Content { signatures: vec![found], ..Content::default() })
    };
    for (wanted, kind, name) in [
        (on("/dev/vdb", &luks), mapper("two", "CRYPT-LUKS2-x"), "/dev/mapper/two"),
        (on("/dev/vdb", &luks), mapper("two", ""), "/dev/mapper/two"),
        (volumes.clone(), mapper("my--pool-root", "LVM-x"), "/dev/my-pool/x"),
        (array, Kind::Array { level: "raid1".into() }, "/dev/md/data"),
    ] {
        let active = |disk: &str| {
            stack(&[
                ("vda", Kind::Disk, if disk == "vda" { &["top"] } else { &[] }),
                ("vdb", Kind::Disk, if disk == "vdb" { &["top"] } else { &[] }),
                ("top", kind.clone(), &[]),
            ])
        };
        let (other, content) = member("vda");
        let failure = planned(&wanted, &[(&other, content)], &active("vda")).unwrap_err();
        assert_eq!(failure.code, Code::DiskUnfit);
        assert!(failure.cause.contains(name) && failure.cause.contains("stands on vda"), "{failure}");
        assert!(planned(&wanted, &[], &active("vdb")).is_ok());
    }
    // A group of that name that is not active is no problem, nor is one of another name.
    assert!(planned(&volumes, &[], &Stack::default()).is_ok());
    let other = stack(&[("vda", Kind::Disk, &["top"]), ("top", mapper("other-x", "LVM-x"), &[])]);
    assert!(planned(&volumes, &[], &other).is_ok());
}
