//! ZFS: the pool with its arrangement of devices, its datasets and volumes.

use super::{
    builder::{Builder, Inside, Members, Mode},
    facts::Source,
};
use crate::action::{Action, Arg, Command, Device, Open};
use layout::{Dataset, Hooks, Layout, Pool, PoolMode, Topology, Vdev, ZfsFilesystem, ZfsVolume};
use std::collections::BTreeMap;

/// One pool, without its datasets.
pub fn pool(builder: &mut Builder<'_>, key: &str, one: &Pool, set: &Members, layout: &Layout) {
    let Members { devices: members, mode, .. } = set;
    let mode = *mode;
    let name = name(key, one);
    keys(builder, one);
    if mode == Mode::Make {
        let mut create = Command::new("zpool", ["create", "-f", name.as_str(), "-R"]).arg(Arg::Root);
        if one.root_fs_options.get("canmount").is_some_and(|value| value == "off") {
            create = create.args(["-m", "none"]);
        }
        create = create.args(properties("-o", &one.options)).args(properties("-O", &one.root_fs_options));
        let create = match &one.mode {
            PoolMode::Uniform(mode) if mode.is_empty() => create.args(members),
            PoolMode::Uniform(mode) => create.arg(mode.clone()).args(members),
            PoolMode::Topology(topology) => create.args(arranged(topology, layout, builder)),
        };
        builder.run(create.opening(Open::Pool(name.clone())));
        // The root dataset is mounted in its turn, with the others.
        let mut unmount = Command::new("zfs", ["unmount", name.as_str()]);
        unmount.may_fail = true;
        builder.run(unmount);
    } else {
        let import = Command::new("zpool", ["import", "-N", "-l", "-R"]).arg(Arg::Root);
        let import = members.iter().fold(import, |import, member| import.arg("-d").arg(member));
        builder.run(import.arg(name.clone()).opening(Open::Pool(name)));
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
fn keys(builder: &mut Builder<'_>, one: &Pool) {
    let of_datasets = one.datasets.values().map(|dataset| match dataset {
        Dataset::Filesystem(one) => &one.options,
        Dataset::Volume(one) => &one.options,
    });
    let locations = of_datasets.chain([&one.root_fs_options]).filter_map(|options| options.get("keylocation"));
    let mut files: Vec<String> = locations.filter_map(|at| at.strip_prefix("file://")).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    builder.actions.extend(files.into_iter().map(Action::KeyFile));
}

fn properties(option: &str, properties: &BTreeMap<String, String>) -> Vec<Arg> {
    let pairs = properties.iter().map(|(name, value)| [Arg::from(option), Arg::Text(format!("{name}={value}"))]);
    pairs.flatten().collect()
}

/// `vdev...` then `log`, `dedup`, `special`, `spare` and `cache` with theirs; those without redundancy first, as
/// `zpool` would take them for a part of the mirror before them.
fn arranged(topology: &Topology, layout: &Layout, builder: &Builder<'_>) -> Vec<Arg> {
    let mut words = Vec::new();
    let member = |name: &String| match partition_for_zfs(name, layout, builder) {
        Some(device) => Arg::Device(device),
        None => Arg::Text(name.clone()),
    };
    let vdevs = |words: &mut Vec<Arg>, vdevs: &[Vdev]| {
        let (plain, redundant): (Vec<&Vdev>, Vec<&Vdev>) = vdevs.iter().partition(|vdev| vdev.mode.is_empty());
        for vdev in plain.into_iter().chain(redundant) {
            words.extend((!vdev.mode.is_empty()).then(|| Arg::Text(vdev.mode.clone())));
            words.extend(vdev.members.iter().map(member));
        }
    };
    vdevs(&mut words, &topology.vdev);
    if !topology.spare.is_empty() {
        words.push("spare".into());
        words.extend(topology.spare.iter().map(member));
    }
    for (class, members) in [("log", &topology.log), ("dedup", &topology.dedup), ("special", &topology.special)] {
        if !members.is_empty() {
            words.push(class.into());
            vdevs(&mut words, members);
        }
    }
    if !topology.cache.is_empty() {
        words.push("cache".into());
        words.extend(topology.cache.iter().map(member));
    }
    words
}

/// A member by the name of its disk: that disk's partition `zfs`, or the member of it whatever its name is.
fn partition_for_zfs(name: &str, layout: &Layout, builder: &Builder<'_>) -> Option<Device> {
    let (key, _) = layout.disk.iter().find(|(key, disk)| *key == name || disk.name.as_deref() == Some(name))?;
    let (disk, _) = builder.disks.get(key)?;
    let of_disk = |device: &&Device| match device {
        Device::Partition(of, _) => **of == *disk,
        other => *other == disk,
    };
    let members = builder.members.iter().filter(|((section, _), _)| *section == "zpool");
    members.flat_map(|(_, members)| members.iter().map(|(device, _)| device)).find(of_disk).cloned()
}

fn filesystem(builder: &mut Builder<'_>, pool: &str, key: &str, one: &ZfsFilesystem, mode: Mode) {
    let name = format!("{pool}/{}", one.name.as_deref().unwrap_or(key).trim_matches('/'));
    if mode == Mode::Make {
        let mut options = BTreeMap::new();
        options.extend(one.mountpoint.clone().map(|mountpoint| ("mountpoint".to_owned(), mountpoint)));
        options.extend(one.options.clone());
        builder.run(Command::new("zfs", ["create", "-up", name.as_str()]).args(properties("-o", &options)));
    }
    if let Some(mountpoint) = one.mountpoint.as_ref().filter(|_| is_mountable(&one.options)) {
        mount(builder, &name, &one.options, mountpoint, &one.mount_options, &one.hooks);
    }
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

fn volume<'a>(builder: &mut Builder<'_>, pool: &str, key: &str, one: &'a ZfsVolume, mode: Mode) -> Inside<'a> {
    let own = one.name.as_deref().unwrap_or(key).trim_matches('/').to_owned();
    let device = Device::Zvol { pool: pool.to_owned(), name: own.clone() };
    if mode == Mode::Make {
        let create = Command::new("zfs", ["create".to_owned(), format!("{pool}/{own}")]);
        let create = create.args(properties("-o", &one.options)).args(["-V".to_owned(), one.size.clone()]);
        builder.run(create.args(one.extra_args.clone()));
    }
    Inside { at: format!("zpool.{pool}.datasets.{key}"), device, content: one.content.as_ref(), mode }
}
