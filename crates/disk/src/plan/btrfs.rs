//! btrfs: subvolumes, swap files, several devices.

use super::{
    builder::{Builder, Mode},
    facts::{Source, SwapSpace},
    filesystem, sizes,
};
use crate::action::{Action, Arg, Command, Device, Which, inside};
use layout::{Btrfs, SwapFile, words};
use std::collections::BTreeMap;

/// The file system with its subvolumes.
pub fn make(builder: &mut Builder<'_>, at: &str, device: &Device, one: &Btrfs, mode: Mode) {
    let own = builder.own.guid(at);
    let extra = words(&one.extra_args).unwrap_or_default();
    let others: Vec<&String> = extra.iter().filter(|word| word.starts_with("/dev/")).collect();
    let mountpoints: Vec<Option<&String>> =
        one.subvolumes.values().map(|one| one.mountpoint.as_ref()).chain([one.mountpoint.as_ref()]).collect();
    sizes::btrfs(&mut builder.sizes, at, device, one);
    if builder.is_made(mode, &mountpoints) {
        builder.wipe_again(device, mode);
        let mut mkfs = Command::new("mkfs.btrfs", ["-q", "-f"]);
        if !filesystem::names_uuid(&extra, &["-U", "--uuid"]) {
            mkfs = mkfs.args(["-U".to_owned(), own.to_string()]);
        }
        builder.run(mkfs.arg(device).args(extra.clone()));
        scan(builder, device, &others);
        if !one.subvolumes.is_empty() || !one.swap.is_empty() {
            builder.actions.push(inside_btrfs(device, one, Which::All));
        }
    } else {
        scan(builder, device, &others);
        if mode == Mode::Reuse && !builder.opening && !one.subvolumes.is_empty() {
            builder.actions.push(inside_btrfs(device, one, Which::Missing));
        }
        builder.stay(mode, &format!("btrfs of {device}"), &mountpoints);
    }
    let uuid = filesystem::uuid("btrfs", &extra, own);
    builder.identify(uuid.as_deref(), "file system");
    let source = || Source::Device(device.clone());
    for (key, subvolume) in &one.subvolumes {
        if let Some(mountpoint) = &subvolume.mountpoint {
            let mut options = subvolume.mount_options.clone();
            options.push(format!("subvol={}", subvolume.name.as_ref().unwrap_or(key)));
            builder.mount(source(), "btrfs", mountpoint, &options, uuid.clone(), &subvolume.hooks);
            swap_files(builder, mountpoint, &subvolume.swap);
        }
    }
    if let Some(mountpoint) = &one.mountpoint {
        builder.mount(source(), "btrfs", mountpoint, &one.mount_options, uuid, &one.hooks);
        swap_files(builder, mountpoint, &one.swap);
    }
}

/// The kernel must have seen every device before it mounts one of several.
fn scan(builder: &mut Builder<'_>, device: &Device, others: &[&String]) {
    if !others.is_empty() {
        let scan = Command::new("btrfs", ["device", "scan"]).arg(device);
        builder.run(scan.args(others.iter().map(|path| (*path).clone())));
    }
}

fn swap_files(builder: &mut Builder<'_>, mountpoint: &str, files: &BTreeMap<String, SwapFile>) {
    for (key, file) in files {
        let path = file.path.as_ref().unwrap_or(key).trim_start_matches('/');
        builder.swaps.push(SwapSpace {
            device: None,
            path: format!("{}/{path}", mountpoint.trim_end_matches('/')),
            uuid: None,
            priority: file.priority,
            discard: None,
            options: file.options.clone(),
            random_encryption: false,
            resume: false,
        });
    }
}

/// Subvolumes, parents first, then swap files.
fn inside_btrfs(device: &Device, one: &Btrfs, which: Which) -> Action {
    let mut commands = Vec::new();
    for (key, subvolume) in &one.subvolumes {
        let path = inside(subvolume.name.as_ref().unwrap_or(key));
        let create =
            Command::new("btrfs", ["subvolume", "create"]).args(words(&subvolume.extra_args).unwrap_or_default());
        commands.push((0, path.matches('/').count(), create.arg(Arg::Inside(path.clone()))));
        commands.extend(subvolume.swap.iter().map(|(key, file)| (1, 0, swap_file(&path, key, file))));
    }
    commands.extend(one.swap.iter().map(|(key, file)| (1, 0, swap_file("", key, file))));
    commands.sort_by_key(|(kind, depth, _)| (*kind, *depth));
    Action::Within {
        device: device.clone(),
        format: "btrfs",
        options: "subvol=/".to_owned(),
        commands: commands.into_iter().map(|(_, _, command)| command).collect(),
        which,
    }
}

fn swap_file(folder: &str, key: &str, file: &SwapFile) -> Command {
    let path = inside(&format!("{folder}/{}", file.path.as_deref().unwrap_or(key)));
    let make = Command::new("btrfs", ["filesystem", "mkswapfile", "--size", file.size.as_str()]);
    make.arg(Arg::Inside(path))
}
