//! From the layout to actions, in disko's order: what lies in what, each content type by its own module.

use super::{
    bcachefs, btrfs,
    builder::{Builder, Collection, Inside, Members, Mode},
    facts::{Source, is_for_installation},
    filesystem, luks, lvm, raid, swap, table, zfs,
};
use crate::action::{Action, Arg, Device, Variables};
use layout::{Content, Hooks, Layout};

impl Builder<'_> {
    /// All actions for these devices of the layout, which stand in the order of what they depend on.
    pub fn build(&mut self, layout: &Layout, order: &[Collection]) {
        let made = self.disks.values().filter(|(_, mode)| *mode == Mode::Make).map(|(device, _)| device.clone());
        let made: Vec<Device> = made.collect();
        if !made.is_empty() {
            self.actions.push(Action::Clear(made));
        }
        for (section, key) in order {
            match *section {
                "disk" => self.disk(key, layout),
                "mdadm" => layout.mdadm.get(key).into_iter().for_each(|one| {
                    self.collection(section, key, (&one.name, &one.hooks), |builder, set| {
                        raid::array(builder, key, one, set)
                    });
                }),
                "lvm_vg" => layout.lvm_vg.get(key).into_iter().for_each(|one| {
                    self.collection(section, key, (&one.name, &one.hooks), |builder, set| {
                        lvm::group(builder, key, one, set)
                    });
                }),
                "zpool" => layout.zpool.get(key).into_iter().for_each(|one| {
                    self.collection(section, key, (&one.name, &one.hooks), |builder, set| {
                        let name = zfs::name(key, one);
                        zfs::pool(builder, key, one, set, layout);
                        for (dataset, what) in &one.datasets {
                            let inside = zfs::dataset(builder, &name, dataset, what, set.mode);
                            builder.inside(inside.into_iter().collect());
                        }
                        zfs::root(builder, &name, one);
                        Vec::new()
                    });
                }),
                _ => layout.bcachefs_filesystems.get(key).into_iter().for_each(|one| {
                    self.collection(section, key, (&one.name, &one.hooks), |builder, set| {
                        bcachefs::make(builder, key, one, set);
                        Vec::new()
                    });
                }),
            }
        }
        for (key, one) in &layout.nodev {
            let mountpoint = one.mountpoint.clone().unwrap_or_else(|| key.clone());
            if !is_for_installation(&one.fs_type, &one.mount_options) {
                self.left.push((mountpoint, one.fs_type.clone()));
                continue;
            }
            let bind = one.mount_options.iter().any(|option| option == "bind" || option == "rbind");
            let device = one.device.clone().unwrap_or_else(|| one.fs_type.clone());
            let source = if bind { Source::Folder(device) } else { Source::Named(device) };
            self.mount(source, &one.fs_type, &mountpoint, &one.mount_options, None, &one.hooks);
        }
        self.actions.splice(0..0, std::mem::take(&mut self.first));
    }

    fn disk(&mut self, key: &str, layout: &Layout) {
        let (Some((device, mode)), Some(disk)) = (self.disks.get(key).cloned(), layout.disk.get(key)) else { return };
        let at = format!("disk.{key}");
        let name = disk.name.as_deref().unwrap_or(key);
        let variables = vec![("device", Arg::from(&device)), ("name", name.into()), ("type", "disk".into())];
        self.before(&at, &disk.hooks, &variables);
        if let Some(content) = &disk.content {
            self.content(&at, &device, content, mode);
        }
        self.after(&at, &disk.hooks, &variables);
    }

    /// What all the members of a collection make together, and what lies in that.
    fn collection<'b>(
        &mut self,
        section: &'static str,
        key: &str,
        (name, hooks): (&Option<String>, &Hooks),
        make: impl FnOnce(&mut Self, &Members) -> Vec<Inside<'b>>,
    ) {
        let (devices, mode) = self.members_of(section, key);
        if devices.is_empty() {
            return;
        }
        let members = Members { at: format!("{section}.{key}"), devices, mode };
        let name = name.as_deref().unwrap_or(key);
        let variables = vec![("name", name.into()), ("type", section.into())];
        self.before(&members.at, hooks, &variables);
        let inside = make(self, &members);
        self.inside(inside);
        self.after(&members.at, hooks, &variables);
    }

    fn inside(&mut self, inside: Vec<Inside<'_>>) {
        for Inside { at, device, content, mode } in inside {
            // An older owner's signature may lie exactly there.
            if mode == Mode::Make {
                self.actions.push(Action::Wipe(device.clone()));
            }
            content.into_iter().for_each(|content| self.content(&at, &device, content, mode));
        }
    }

    /// What goes onto a device that is there and clean, or what stands on it already.
    fn content(&mut self, at: &str, device: &Device, content: &Content, mode: Mode) {
        let at = format!("{at}.content");
        // Of a file system, the hooks of mounting belong to its mount.
        let is_mounted = matches!(content, Content::Filesystem(_) | Content::Btrfs(_) | Content::Swap(_));
        let hooks = if is_mounted && self.opening { &Hooks::default() } else { content.hooks() };
        let variables = variables(device, content);
        self.before(&at, hooks, &variables);
        let mut inside = Vec::new();
        match content {
            Content::Gpt(_) | Content::Table(_) => inside = table::make(self, &at, device, content, mode),
            Content::Luks(one) => inside = luks::make(self, &at, device, one, mode),
            Content::Filesystem(one) => filesystem::make(self, &at, device, one, mode),
            Content::Btrfs(one) => btrfs::make(self, &at, device, one, mode),
            Content::Swap(one) => swap::make(self, &at, device, one, mode),
            Content::LvmPv(one) => lvm::member(self, &at, device, one, mode),
            Content::Mdraid(one) => self.member("mdadm", &one.name, device, mode),
            Content::Zfs(one) => self.member("zpool", &one.pool, device, mode),
            Content::Bcachefs(one) => bcachefs::member(self, device, one, mode),
        }
        self.inside(inside);
        self.after(&at, hooks, &variables);
    }
}

/// What a hook of this content is told.
fn variables(device: &Device, content: &Content) -> Variables {
    let or_empty = |text: &Option<String>| Arg::from(text.clone().unwrap_or_default());
    let (kind, more): (&str, Variables) = match content {
        Content::Gpt(_) => ("gpt", Vec::new()),
        Content::Table(_) => ("table", Vec::new()),
        Content::Filesystem(one) => {
            ("filesystem", vec![("format", one.format.clone().into()), ("mountpoint", or_empty(&one.mountpoint))])
        }
        Content::Btrfs(one) => ("btrfs", vec![("mountpoint", or_empty(&one.mountpoint))]),
        Content::Swap(_) => ("swap", Vec::new()),
        Content::Luks(one) => ("luks", vec![("name", one.name.clone().into())]),
        Content::LvmPv(one) => ("lvm_pv", vec![("vg", one.vg.clone().into())]),
        Content::Mdraid(one) => ("mdraid", vec![("name", one.name.clone().into())]),
        Content::Zfs(one) => ("zfs", vec![("pool", one.pool.clone().into())]),
        Content::Bcachefs(one) => {
            ("bcachefs", vec![("filesystem", one.filesystem.clone().into()), ("label", one.label.clone().into())])
        }
    };
    [("device", Arg::from(device)), ("type", kind.into())].into_iter().chain(more).collect()
}
