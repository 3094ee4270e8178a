use super::{
    examples::{hybrid_boot, with_root},
    *,
};
use proptest::prelude::*;
use serde_json::json;

fn read(layout: &Value) -> Result<Layout, protocol::Failure> {
    Layout::read(layout, false).map_err(Into::into)
}

fn cause(layout: &Value) -> String {
    let failure = read(layout).unwrap_err();
    assert_eq!(failure.code, protocol::Code::Layout);
    failure.cause
}

#[test]
fn what_is_not_made_here_is_refused_by_its_path() {
    let at = "disk.main.content.partitions.root.content";
    for (content, path) in [
        (json!({"type": "vdo"}), format!("{at}.type: `vdo`")),
        (json!({"format": "ext4"}), format!("{at}.type")),
        (json!({"type": "filesystem", "format": "reiserfs"}), format!("{at}.format: `reiserfs`")),
        (json!({"type": "filesystem"}), format!("{at}: missing field `format`")),
        (json!({"type": "gpt", "partitions": {"a": {}}}), format!("{at}.type")),
        (json!({"type": "lvm_pv", "vg": "pool"}), format!("{at}: it is a member of lvm_vg.pool")),
        (json!({"type": "swap", "extraArgs": ["--lock"]}), format!("{at}.extraArgs")),
        (json!({"type": "btrfs", "extraArgs": ["$(reboot)"]}), format!("{at}.extraArgs")),
        (json!({"type": "btrfs", "subvolumes": {"../a": {}}}), format!("{at}.subvolumes.../a")),
        (json!({"type": "luks", "name": "c", "askPassword": true}), format!("{at}.askPassword")),
        (json!({"type": "luks", "name": "c"}), format!("{at}.askPassword")),
        (json!({"type": "luks", "name": "-c", "passwordFile": "/k"}), format!("{at}.name")),
        (
            json!({"type": "luks", "name": "c", "passwordFile": "/k", "settings": {"crypttabExtraOpts": ["tpm2-pin=yes"]}}),
            format!("{at}.settings.crypttabExtraOpts: tpm2-pin"),
        ),
    ] {
        let cause = cause(&with_root(content));
        assert!(cause.contains(&path), "{cause} names {path}");
    }
}

#[test]
fn a_section_without_members_and_a_wrong_value_in_it_are_named() {
    let mut raid = hybrid_boot();
    raid["mdadm"] = json!({"raid1": {"level": 1}});
    assert!(cause(&raid).contains("mdadm.raid1: no device is a member"), "{}", cause(&raid));
    let mut level = with_root(json!({"type": "mdraid", "name": "r"}));
    level["mdadm"] = json!({"r": {"level": 7}});
    assert!(cause(&level).contains("mdadm.r.level"), "{}", cause(&level));
    let mut thin = with_root(json!({"type": "lvm_pv", "vg": "p"}));
    thin["lvm_vg"] = json!({"p": {"lvs": {"a": {"size": "1G", "lvm_type": "thinlv", "pool": "none"}}}});
    assert!(cause(&thin).contains("lvm_vg.p.lvs.a.pool"), "{}", cause(&thin));
    assert!(cause(&json!({"disks": {}})).contains("disks"));
    assert!(cause(&json!({})).contains("no disk"));
}

#[test]
fn a_hook_is_refused_unless_the_operator_allows_it() {
    let mut layout = hybrid_boot();
    layout["disk"]["main"]["preCreateHook"] = json!("rm -rf /");
    assert!(cause(&layout).contains("disk.main.preCreateHook"), "{}", cause(&layout));
    let allowed = Layout::read(&layout, true).unwrap();
    assert_eq!(allowed.disk["main"].hooks.pre_create_hook.as_deref(), Some("rm -rf /"));
    layout["disk"]["main"]["preCreateHook"] = json!("");
    assert!(read(&layout).is_ok());
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_refused_with_their_path() {
    let mut unknown = hybrid_boot();
    unknown["disk"]["main"]["content"]["partitions"]["root"]["sise"] = json!("1G");
    assert!(cause(&unknown).contains("disk.main.content.partitions.root.sise"), "{}", cause(&unknown));
    let mut wrong = hybrid_boot();
    wrong["disk"]["main"]["content"]["partitions"]["root"]["alignment"] = json!("much");
    assert!(cause(&wrong).contains("partitions.root.alignment"), "{}", cause(&wrong));
}

#[test]
fn a_disk_whose_name_has_dots_and_slashes_keeps_its_device() {
    let mut layout = hybrid_boot();
    let disk = layout["disk"]["main"].take();
    layout["disk"] = json!({"/dev/disk/by-id/ata.x": disk});
    assert_eq!(read(&layout).unwrap().disk["/dev/disk/by-id/ata.x"].device, "/dev/vda");
}

#[test]
fn a_partition_is_never_taken_for_a_hook_or_for_something_unused() {
    let mut layout = hybrid_boot();
    let partition = json!({"size": "1M", "priority": 1});
    for name in ["preCreateHook", "device", "type", "imageSize"] {
        layout["disk"]["main"]["content"]["partitions"][name] = partition.clone();
    }
    let Some(Content::Gpt(gpt)) = read(&layout).unwrap().disk.remove("main").unwrap().content else { panic!("a gpt") };
    assert_eq!(gpt.partitions.len(), 7);
}

#[test]
fn the_key_of_an_encrypted_device_follows_diskos_precedence() {
    let luks = |more: Value| {
        let mut content = json!({"type": "luks", "name": "c", "passwordFile": "/password"});
        content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let layout = read(&with_root(content)).unwrap();
        key_files(&layout)
    };
    assert_eq!(luks(json!({})), ["/password"]);
    let all = json!({"settings": {"keyFile": "/key"}, "keyFile": "/old", "additionalKeyFiles": ["/more"]});
    assert_eq!(luks(all), ["/key", "/more"]);
}

#[test]
fn arguments_are_split_as_a_shell_would_and_never_more_than_that() {
    let split = |text: &str| words(&[text.to_owned()]);
    assert_eq!(split("--iter-time 1"), Some(vec!["--iter-time".to_owned(), "1".to_owned()]));
    assert_eq!(split("-L 'my data'"), Some(vec!["-L".to_owned(), "my data".to_owned()]));
    for bad in ["$(id)", "`id`", "a; b", "a && b", "> /dev/sda", "'open"] {
        assert_eq!(split(bad), None, "{bad}");
    }
}

/// JSON of any shape, with the words that layouts are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "content",
        "gpt",
        "luks",
        "partitions",
        "disk",
        "main",
        "device",
        "/dev/vda",
        "filesystem",
        "100%",
        "mdadm",
        "zpool",
        "mode",
        "topology",
        "vdev",
        "hybrid",
        "swap",
        "size",
        "lvs",
        "name",
        "\u{1}",
    ]);
    let leaf =
        prop_oneof![word.clone().prop_map(|word| json!(word)), any::<i32>().prop_map(|n| json!(n)), Just(Value::Null)];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let object = prop::collection::btree_map(word.clone(), inner.clone(), 0..6);
        prop_oneof![object.prop_map(|map| json!(map)), prop::collection::vec(inner, 0..4).prop_map(Value::Array),]
    })
}

proptest! {
    #[test]
    fn any_json_is_borne(value in any_json()) {
        let _ = read(&value);
        let _ = read(&json!({"disk": {"main": {"device": "/dev/vda", "content": value}}}));
    }

    #[test]
    fn any_text_in_any_field_is_borne(text in "\\PC{0,20}", field in 0usize..6) {
        let mut layout = hybrid_boot();
        let key = ["type", "size", "end", "start", "content", "label"][field];
        layout["disk"]["main"]["content"]["partitions"]["root"][key] = json!(text);
        let _ = read(&layout);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = (0..2000).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert!(cause(&json!({ "disk": deep })).contains("nested too deeply"));
}

#[test]
fn every_kind_of_key_file_is_found() {
    let luks = |more: Value| {
        let mut luks = json!({"type": "luks", "name": "c", "passwordFile": "/password"});
        luks.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key_files(&read(&json!({"disk": {"main": {"device": "/dev/vda", "content": luks}}})).unwrap())
    };
    assert_eq!(luks(json!({})), ["/password"]);
    let more = json!({"settings": {"keyFile": "/key"}, "keyFile": "/old", "additionalKeyFiles": ["/more"]});
    assert_eq!(luks(more), ["/key", "/more"]);
    let pools = json!({
        "disk": {
            "a": {"device": "/dev/vda", "content": {"type": "zfs", "pool": "z"}},
            "b": {"device": "/dev/vdb", "content": {"type": "bcachefs", "filesystem": "b", "label": "b"}},
        },
        "zpool": {"z": {
            "rootFsOptions": {"keylocation": "file:///root.key"},
            "datasets": {"a": {"type": "zfs_fs", "options": {"keylocation": "file:///a.key"}},
                "b": {"type": "zfs_fs", "options": {"compression": "lz4"}}}}},
        "bcachefs_filesystems": {"b": {"passwordFile": "/b.key"}},
    });
    assert_eq!(key_files(&read(&pools).unwrap()), ["/a.key", "/b.key", "/root.key"]);
}

#[test]
fn a_layout_with_what_stands_around_it_says_what_to_give() {
    for (around, key) in
        [(json!({"disko": {"devices": hybrid_boot()}}), "disko"), (json!({"devices": hybrid_boot()}), "devices")]
    {
        let failure = read(&around).unwrap_err();
        assert!(
            failure.cause.contains(&format!("at {key}: ")) && failure.remedy.contains("below disko.devices"),
            "{failure}"
        );
    }
}

#[test]
fn what_no_kernel_or_tool_could_take_is_refused_by_its_path() {
    let fixed = json!({"uuid": "11111111-2222-3333-4444-555555555555", "size": "1G"});
    let gpt = json!({"type": "gpt", "partitions": {"a": fixed, "b": fixed}});
    let many: Vec<Value> =
        (0..130).map(|n| json!({"start": format!("{n}MiB"), "end": format!("{}MiB", n + 1)})).collect();
    let ext4 = json!({"type": "filesystem", "format": "ext4"});
    let extended = json!([{"part-type": "extended", "start": "1MiB", "end": "100%", "content": ext4}]);
    for (content, path) in [
        (gpt, "partitions.b.uuid: another partition"),
        (json!({"type": "table", "format": "gpt", "partitions": many}), "partitions: a table has"),
        (json!({"type": "table", "format": "msdos", "partitions": extended}), "partitions.0.content: an extended"),
    ] {
        let cause = cause(&json!({"disk": {"main": {"device": "/dev/vda", "content": content}}}));
        assert!(cause.contains(path), "{cause}");
    }
    let swap = |more: Value| {
        let mut content = json!({"type": "swap"});
        content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        content
    };
    for (content, path) in [
        (json!({"type": "btrfs", "subvolumes": {"a": {"name": "x"}, "b": {"name": "/x/"}}}), "subvolumes.b: another"),
        (json!({"type": "btrfs", "subvolumes": {"a\nb": {}}}), "is not a path"),
        (json!({"type": "filesystem", "format": "ext4", "mountpoint": "/a\nb"}), "mountpoint: \"/a\\nb\" has"),
        (json!({"type": "filesystem", "format": "ext4", "mountpoint": "/a\0b"}), "mountpoint"),
        (
            json!({"type": "luks", "name": "c", "settings": {"keyFile": "/dev/urandom"}}),
            "content.keyFile: /dev/urandom",
        ),
        (swap(json!({"randomEncryption": true, "resumeDevice": true})), "content.resumeDevice"),
        (swap(json!({"priority": 40000})), "content.priority"),
        (swap(json!({"priority": -2})), "content.priority"),
        (json!({"type": "btrfs", "swap": {"f": {"size": "1G", "priority": 40000}}}), "swap.f.priority"),
    ] {
        let cause = cause(&with_root(content));
        assert!(cause.contains(path), "{cause}");
    }
    assert!(read(&with_root(swap(json!({"priority": 32767})))).is_ok());
    let mut bind = hybrid_boot();
    bind["nodev"] = json!({"/x": {"fsType": "none", "device": "/srv/../../dev", "mountOptions": ["bind"]}});
    assert!(cause(&bind).contains("nodev./x.device: it is not an absolute path"), "{}", cause(&bind));
}

#[test]
fn a_zfs_key_that_a_person_must_type_is_refused() {
    let pool = |root: Value, dataset: Value| {
        let mut layout = with_root(json!({"type": "zfs", "pool": "z"}));
        layout["zpool"] =
            json!({"z": {"rootFsOptions": root, "datasets": {"d": {"type": "zfs_fs", "options": dataset}}}});
        layout
    };
    let key = |location: &str| json!({"encryption": "on", "keyformat": "passphrase", "keylocation": location});
    let none = json!({"encryption": "on", "keyformat": "passphrase"});
    for location in ["prompt", "https://example.org/key"] {
        assert!(cause(&pool(key(location), json!({}))).contains("zpool.z.rootFsOptions.keylocation: nobody"));
        assert!(cause(&pool(json!({}), key(location))).contains("zpool.z.datasets.d.options.keylocation: nobody"));
    }
    assert!(cause(&pool(none, json!({}))).contains("rootFsOptions.keylocation"));
    assert!(read(&pool(key("file:///k"), json!({"encryption": "on"}))).is_ok());
    assert!(read(&pool(json!({"encryption": "off", "keylocation": "prompt"}), json!({}))).is_ok());
}

#[test]
fn sizes_of_volumes_are_those_that_lvcreate_takes() {
    let volume = |size: &str| {
        let mut layout = with_root(json!({"type": "lvm_pv", "vg": "p"}));
        layout["lvm_vg"] = json!({"p": {"lvs": {"a": {"size": size}}}});
        read(&layout).map(|layout| layout.lvm_vg["p"].lvs["a"].amount().unwrap())
    };
    let gib = VolumeSize::Bytes(24 << 30);
    for size in ["24G", "24g", "24GB", "24GiB", "24gb", "24576"] {
        assert_eq!(volume(size), Ok(gib), "{size}");
    }
    assert_eq!(volume("1.5m"), Ok(VolumeSize::Bytes(3 << 19)));
    assert_eq!((volume("10s"), volume("10B")), (Ok(VolumeSize::Bytes(5120)), Ok(VolumeSize::Bytes(10))));
    for size in ["50%pvs", "50%VG", "50%vg"] {
        assert_eq!(volume(size), Ok(VolumeSize::OfGroup(50.0)), "{size}");
    }
    assert_eq!((volume("100%"), volume("100%FREE")), (Ok(VolumeSize::OfFree(100.0)), Ok(VolumeSize::OfFree(100.0))));
    for size in ["", "G", "-1G", "+1G", "16E", "1e5", "24xb", "24bb", "24sb", "0G", "0%", "inf", "nan", "%"] {
        assert!(volume(size).is_err_and(|failure| failure.cause.contains("lvm_vg.p.lvs.a.size")), "{size}");
    }
}

#[test]
fn every_kind_of_mount_point_is_found() {
    let ext4 = |at: &str| json!({"type": "filesystem", "format": "ext4", "mountpoint": at});
    let layout = json!({
        "disk": {
            "a": {"device": "/dev/vda", "content": {"type": "gpt", "partitions": {
                "preCreateHook": {"size": "1G", "content": ext4("/home")},
                "luks": {"size": "1G", "content": {"type": "luks", "name": "c", "passwordFile": "/k", "content": ext4("/secret")}},
                "btrfs": {"size": "100%", "content": {"type": "btrfs", "mountpoint": "/top", "subvolumes": {"x": {"mountpoint": "/x"}}}},
            }}},
            "b": {"device": "/dev/vdb", "content": {"type": "lvm_pv", "vg": "v"}},
            "c": {"device": "/dev/vdc", "content": {"type": "zfs", "pool": "z"}},
            "d": {"device": "/dev/vdd", "content": {"type": "bcachefs", "filesystem": "b", "label": "b"}},
        },
        "lvm_vg": {"v": {"lvs": {"l": {"size": "1G", "content": ext4("/l")}}}},
        "zpool": {"z": {"mountpoint": "/z", "datasets": {"d": {"type": "zfs_fs", "mountpoint": "/z/d"}}}},
        "bcachefs_filesystems": {"b": {"mountpoint": "/b", "subvolumes": {"s": {"mountpoint": "/b/s"}}}},
        "nodev": {"/tmp": {"fsType": "tmpfs"}},
    });
    let mut found = mountpoints(&read(&layout).unwrap());
    found.sort();
    assert_eq!(found, ["/b", "/b/s", "/home", "/l", "/secret", "/tmp", "/top", "/x", "/z", "/z/d"]);
}
