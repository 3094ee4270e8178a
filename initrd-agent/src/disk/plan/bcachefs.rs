//! bcachefs over its devices, with its subvolumes.

use super::{
    action::{Action, Arg, Command, Key, inside},
    build::Builder,
    facts::Source,
};
use crate::disk::layout::{BcachefsFilesystem, Hooks};

impl Builder<'_> {
    pub fn bcachefs(&mut self, key: &str, one: &BcachefsFilesystem) {
        let (members, mode) = self.members_of("bcachefs_filesystems", key);
        let at = format!("bcachefs_filesystems.{key}");
        let uuid = one.uuid.unwrap_or_else(|| self.own.guid(&at));
        let Some(first) = members.first().cloned() else { return };
        self.before(&at, &one.hooks);
        let mountpoints: Vec<Option<&String>> =
            one.subvolumes.values().map(|one| one.mountpoint.as_ref()).chain([one.mountpoint.as_ref()]).collect();
        let passphrase = one.password_file.as_ref().map(|file| Key { file: file.clone(), passphrase: true });
        let unlock = passphrase.clone().map(|key| {
            let mut unlock = Command::new("bcachefs", ["unlock", "-k", "session"]).arg(&first);
            unlock.input = Some(key);
            unlock
        });
        if self.is_made(mode, &mountpoints) {
            members.iter().for_each(|device| self.wipe_again(device, mode));
            let arguments = self.member_arguments.get(&("bcachefs_filesystems", key.to_owned())).cloned();
            let mut format = Command::new("bcachefs", ["format"])
                .args(arguments.unwrap_or_default())
                .arg(format!("--uuid={uuid}"))
                .args(one.extra_format_args.clone());
            if passphrase.is_some() {
                format = format.arg("--encrypted");
                format.input = passphrase;
            }
            self.run(format);
            unlock.into_iter().for_each(|unlock| self.run(unlock));
            if !one.subvolumes.is_empty() {
                let paths = one.subvolumes.iter().map(|(key, one)| one.name.as_ref().unwrap_or(key));
                let create = |path| Command::new("bcachefs", ["subvolume", "create"]).arg(Arg::Inside(path));
                let paths: Vec<String> = paths.map(|path| inside(path)).collect();
                self.actions.push(Action::Within {
                    device: first,
                    format: "bcachefs",
                    options: String::new(),
                    commands: paths.into_iter().map(create).collect(),
                });
            }
        } else {
            unlock.into_iter().for_each(|unlock| self.run(unlock));
        }
        let subvolumes = one.subvolumes.iter().filter_map(|(key, one)| {
            let path = one.name.as_ref().unwrap_or(key);
            Some((one.mountpoint.clone()?, one.mount_options.clone(), Some(inside(path)), one.hooks.clone()))
        });
        let whole =
            one.mountpoint.clone().map(|mountpoint| (mountpoint, one.mount_options.clone(), None, Hooks::default()));
        for (mountpoint, options, subfolder, hooks) in subvolumes.chain(whole).collect::<Vec<_>>() {
            let source = Source::Devices(members.clone(), subfolder);
            self.mount(source, "bcachefs", &mountpoint, &options, Some(uuid.to_string()), &hooks);
        }
        self.after(&at, &one.hooks);
    }
}
