//! ZFS: the pool with its arrangement of devices, its datasets and volumes.

use super::{
    builder::{Builder, Inside, Members, Mode},
    facts::Source,
};
use crate::action::{Action, Arg, Command, Device, Open, Variables};
use layout::{Dataset, Hooks, Layout, Pool, PoolMode, Topology, Vdev, ZfsFilesystem, ZfsVolume};
use std::collections::BTreeMap;

/// One pool, without its datasets.
pub fn pool(builder: &mut Builder<'_>, key: &str, one: &Pool, set: &Members, layout: &Layout) {
    let Members { devices: members, mode, .. } = set;
    let mode = *mode;
    let name = name(key, one);
    keys(builder, one, mode);
    if mode == Mode::Make {
        let mut create = Command::new("zpool", ["create", "-f", name.as_str(), "-R"]).arg(Arg::Root);
        if one.root_fs_options.get("canmount").is_some_and(|value| value == "off") {
            create = create.args(["-m", "none"]);
        }
        create = create.args(properties("-o", &one.options)).args(properties("-O", &one.root_fs_options));
        let create = match &one.mode {
            PoolMode::Uniform(mode) if mode.is_empty() => create.args(members),
            PoolMode::Uniform(mode) => create.arg(mode.clone()).args(members),
            PoolMode::Topology(topology) => create.args(arranged(topology, key, layout, builder)),
        };
        let given = create.arguments.iter().filter(|word| matches!(word, Arg::Device(_))).count();
        if given != members.len() {
            builder.unlisted.push(format!("zpool.{key}"));
        }
        builder.run(create.opening(Open::Pool(name.clone())));
        // The root dataset is mounted in its turn, with the others.
        let mut unmount = Command::new("zfs", ["unmount", name.as_str()]);
        unmount.may_fail = true;
        builder.run(unmount);
    } else {
        let import = Command::new("zpool", ["import", "-N", "-l", "-R"]).arg(Arg::Root);
        let import = members.iter().fold(import, |import, member| import.arg("-d").arg(member));
        let volumes = one.datasets.iter().filter_map(|(key, dataset)| match dataset {
            Dataset::Volume(volume) => Some(zvol(&name, key, volume)),
            Dataset::Filesystem(_) => None,
        });
        let volumes: Vec<Device> = volumes.collect();
        builder.open(import.arg(name.clone()).opening(Open::Pool(name)).making(volumes), mode);
        let of_datasets = one.datasets.values().map(|dataset| match dataset {
            Dataset::Filesystem(one) => one.mountpoint.as_ref(),
            Dataset::Volume(_) => None,
        });
        let all: Vec<Option<&String>> = of_datasets.chain([one.mountpoint.as_ref()]).collect();
        builder.stay(mode, &format!("pool {key}"), &all);
    }
}

/// One dataset, and what lies in it.
pub fn dataset<'a>(
    builder: &mut Builder<'_>,
    pool: &str,
    key: &str,
    dataset: &'a Dataset,
    mode: Mode,
) -> Option<Inside<'a>> {
    match dataset {
        Dataset::Filesystem(dataset) => {
            filesystem(builder, pool, key, dataset, mode);
            None
        }
        Dataset::Volume(dataset) => Some(volume(builder, pool, key, dataset, mode)),
    }
}

/// The pool's own file system.
pub fn root(builder: &mut Builder<'_>, pool: &str, one: &Pool) {
    let options = &one.root_fs_options;
    if let Some(mountpoint) = one.mountpoint.as_ref().filter(|_| is_mountable(options)) {
        mount(builder, pool, options, mountpoint, &one.mount_options, &Hooks::default());
    }
}

/// disko's name of the pool, where it is not the key.
pub fn name(key: &str, one: &Pool) -> String {
    one.name.clone().unwrap_or_else(|| key.to_owned())
}

/// Keys that `zfs` reads from their own paths.
fn keys(builder: &mut Builder<'_>, one: &Pool, mode: Mode) {
    let of_datasets = one.datasets.values().map(|dataset| match dataset {
        Dataset::Filesystem(one) => &one.options,
        Dataset::Volume(one) => &one.options,
    });
    let locations = of_datasets.chain([&one.root_fs_options]).filter_map(|options| options.get("keylocation"));
    let mut files: Vec<String> = locations.filter_map(|at| at.strip_prefix("file://")).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files.into_iter().for_each(|file| builder.look(Action::KeyFile(file), mode));
}

fn properties(option: &str, properties: &BTreeMap<String, String>) -> Vec<Arg> {
    let pairs = properties.iter().map(|(name, value)| [Arg::from(option), Arg::Text(format!("{name}={value}"))]);
    pairs.flatten().collect()
}

/// `vdev...` then `log`, `dedup`, `special`, `spare` and `cache` with theirs; those without redundancy first, as
/// `zpool` would take them for a part of the mirror before them. Of members that several names fit, each is taken once.
fn arranged(topology: &Topology, key: &str, layout: &Layout, builder: &Builder<'_>) -> Vec<Arg> {
    let unmirrored = |names: &[String]| {
        if names.is_empty() { Vec::new() } else { vec![Vdev { mode: String::new(), members: names.to_vec() }] }
    };
    let classes = [
        ("", topology.vdev.clone()),
        ("spare", unmirrored(&topology.spare)),
        ("log", topology.log.clone()),
        ("dedup", topology.dedup.clone()),
        ("special", topology.special.clone()),
        ("cache", unmirrored(&topology.cache)),
    ];
    let mut left = builder.members_of("zpool", key).0;
    let mut words = Vec::new();
    for (class, vdevs) in classes.iter().filter(|(_, vdevs)| !vdevs.is_empty()) {
        words.extend((!class.is_empty()).then(|| Arg::from(*class)));
        let (plain, redundant): (Vec<&Vdev>, Vec<&Vdev>) = vdevs.iter().partition(|vdev| vdev.mode.is_empty());
        for vdev in plain.into_iter().chain(redundant) {
            words.extend((!vdev.mode.is_empty()).then(|| Arg::Text(vdev.mode.clone())));
            for name in &vdev.members {
                let found = left.iter().position(|device| is_listed_as(name, device, layout, builder));
                words.extend(found.map(|found| Arg::Device(left.remove(found))));
            }
        }
    }
    words
}

/// A member by its own path, or by that of its disk or by the disk's name.
fn is_listed_as(name: &str, device: &Device, layout: &Layout, builder: &Builder<'_>) -> bool {
    let is_disk = |key: &String| {
        let disk = layout.disk.get(key);
        key == name || disk.is_some_and(|disk| disk.device == name || disk.name.as_deref() == Some(name))
    };
    let is_array = match device {
        Device::Array(array) => {
            layout.mdadm.iter().any(|(key, one)| key == name && one.name.as_ref().unwrap_or(key) == array)
        }
        _ => false,
    };
    let disks = builder.disks_below(&Source::Device(device.clone()));
    device.to_string() == name
        || is_array
        || builder.labels.get(name) == Some(device)
        || (disks.len() == 1 && disks.iter().all(is_disk))
}

fn filesystem(builder: &mut Builder<'_>, pool: &str, key: &str, one: &ZfsFilesystem, mode: Mode) {
    let name = format!("{pool}/{}", one.name.as_deref().unwrap_or(key).trim_matches('/'));
    if mode == Mode::Make {
        let mut options = BTreeMap::new();
        options.extend(one.mountpoint.clone().map(|mountpoint| ("mountpoint".to_owned(), mountpoint)));
        options.extend(one.options.clone());
        let at = format!("zpool.{pool}.datasets.{key}");
        let variables = variables("zfs_fs", &name);
        builder.before(&at, &one.hooks, &variables);
        builder.run(Command::new("zfs", ["create", "-up", name.as_str()]).args(properties("-o", &options)));
        builder.after(&at, &one.hooks, &variables);
    }
    if let Some(mountpoint) = one.mountpoint.as_ref().filter(|_| is_mountable(&one.options)) {
        mount(builder, &name, &one.options, mountpoint, &one.mount_options, &one.hooks);
    }
}

/// What a hook of a dataset is told; disko's `_name` is the name with its pool.
fn variables(kind: &'static str, name: &str) -> Variables {
    let (_, own) = name.split_once('/').unwrap_or(("", name));
    vec![("name", own.into()), ("_name", name.into()), ("type", kind.into())]
}

fn is_mountable(options: &BTreeMap<String, String>) -> bool {
    let is = |option: &str, value: &str| options.get(option).is_some_and(|found| found == value);
    !is("mountpoint", "none") && !is("canmount", "off")
}

fn mount(
    builder: &mut Builder<'_>,
    name: &str,
    properties: &BTreeMap<String, String>,
    mountpoint: &str,
    options: &[String],
    hooks: &Hooks,
) {
    let mut options = options.to_vec();
    // A dataset that keeps its mount point itself says so.
    if properties.get("mountpoint").is_none_or(|at| at != "legacy") {
        options.push("zfsutil".to_owned());
    }
    builder.mount(Source::Named(name.to_owned()), "zfs", mountpoint, &options, None, hooks);
}

fn zvol(pool: &str, key: &str, one: &ZfsVolume) -> Device {
    let name = one.name.as_deref().unwrap_or(key).trim_matches('/').to_owned();
    Device::Zvol { pool: pool.to_owned(), name }
}

fn volume<'a>(builder: &mut Builder<'_>, pool: &str, key: &str, one: &'a ZfsVolume, mode: Mode) -> Inside<'a> {
    let device = zvol(pool, key, one);
    let own = one.name.as_deref().unwrap_or(key).trim_matches('/');
    if mode == Mode::Make {
        let create = Command::new("zfs", ["create".to_owned(), format!("{pool}/{own}")]);
        let create = create.args(properties("-o", &one.options)).args(["-V".to_owned(), one.size.clone()]);
        let at = format!("zpool.{pool}.datasets.{key}");
        let variables = variables("zfs_volume", &format!("{pool}/{own}"));
        builder.before(&at, &one.hooks, &variables);
        builder.run(create.args(one.extra_args.clone()).making([device.clone()]));
        builder.after(&at, &one.hooks, &variables);
    }
    Inside { at: format!("zpool.{pool}.datasets.{key}"), device, content: one.content.as_ref(), mode }
}
