//! bcachefs over its devices, with its subvolumes.

use super::{
    builder::{Builder, Members, Mode},
    facts::Source,
};
use crate::action::{Action, Arg, Command, Device, Key, Which, inside};
use layout::{BcachefsFilesystem, BcachefsMember, Hooks};

/// A device of a file system, with its own arguments of `bcachefs format`.
pub fn member(builder: &mut Builder<'_>, device: &Device, one: &BcachefsMember, mode: Mode) {
    let label = Arg::Text(format!("--label={}", one.label));
    let extra = one.extra_format_args.iter().cloned().map(Arg::Text);
    let arguments = std::iter::once(label).chain(extra).chain([Arg::from(device)]);
    let collection = ("bcachefs_filesystems", one.filesystem.clone());
    builder.member_arguments.entry(collection).or_default().extend(arguments);
    builder.member("bcachefs_filesystems", &one.filesystem, device, mode);
}

/// The file system over all its members.
pub fn make(builder: &mut Builder<'_>, key: &str, one: &BcachefsFilesystem, set: &Members) {
    let Members { at, devices: members, mode } = set;
    let uuid = one.uuid.unwrap_or_else(|| builder.own.guid(at));
    let Some(first) = members.first().cloned() else { return };
    builder.identify(Some(&uuid.to_string()), "file system");
    let mountpoints: Vec<Option<&String>> =
        one.subvolumes.values().map(|one| one.mountpoint.as_ref()).chain([one.mountpoint.as_ref()]).collect();
    let passphrase = one.password_file.as_ref().map(|file| Key { file: file.clone(), passphrase: true });
    let unlock = passphrase.clone().map(|key| {
        let mut unlock = Command::new("bcachefs", ["unlock", "-k", "session"]).arg(&first);
        unlock.input = Some(key);
        unlock
    });
    if builder.is_made(*mode, &mountpoints) {
        members.iter().for_each(|device| builder.wipe_again(device, *mode));
        let arguments = builder.member_arguments.get(&("bcachefs_filesystems", key.to_owned())).cloned();
        let mut format = Command::new("bcachefs", ["format"])
            .args(arguments.unwrap_or_default())
            .arg(format!("--uuid={uuid}"))
            .args(one.extra_format_args.clone());
        if passphrase.is_some() {
            format = format.arg("--encrypted");
            format.input = passphrase;
        }
        builder.run(format);
        unlock.into_iter().for_each(|unlock| builder.run(unlock));
        builder.actions.extend(inside_bcachefs(&first, one, Which::All));
    } else {
        unlock.into_iter().for_each(|unlock| builder.open(unlock, *mode));
        if *mode == Mode::Reuse && !builder.opening {
            builder.actions.extend(inside_bcachefs(&first, one, Which::Missing));
        }
        builder.stay(*mode, &format!("bcachefs {key}"), &mountpoints);
    }
    let subvolumes = one.subvolumes.iter().filter_map(|(key, one)| {
        let path = one.name.as_ref().unwrap_or(key);
        Some((one.mountpoint.clone()?, one.mount_options.clone(), Some(inside(path)), one.hooks.clone()))
    });
    let whole =
        one.mountpoint.clone().map(|mountpoint| (mountpoint, one.mount_options.clone(), None, Hooks::default()));
    for (mountpoint, options, subfolder, hooks) in subvolumes.chain(whole).collect::<Vec<_>>() {
        let source = Source::Devices(members.clone(), subfolder);
        builder.mount(source, "bcachefs", &mountpoint, &options, Some(uuid.to_string()), &hooks);
    }
}

fn inside_bcachefs(device: &Device, one: &BcachefsFilesystem, which: Which) -> Option<Action> {
    let paths = one.subvolumes.iter().map(|(key, one)| inside(one.name.as_ref().unwrap_or(key)));
    let create = |path| Command::new("bcachefs", ["subvolume", "create"]).arg(Arg::Inside(path));
    let within = Action::Within {
        device: device.clone(),
        format: "bcachefs",
        options: String::new(),
        commands: paths.map(create).collect(),
        which,
    };
    (!one.subvolumes.is_empty()).then_some(within)
}
