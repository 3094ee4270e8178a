//! From the layout to actions: one function for each content type of disko, in disko's order.

use super::{
    action::{Action, Arg, Command, Device},
    facts::{Mount, Source, SwapSpace},
    filesystem,
    identity::Identity,
    lvm, zfs,
};
use crate::disk::layout::{Content, Filesystem, Hooks, Layout, Swap, words};
use std::collections::{BTreeMap, BTreeSet};

/// Whether something is made, or is there already and only opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything anew.
    Make,
    /// What holds other things is opened; of file systems, those that are not to be kept are made anew.
    Reuse,
    /// Everything is there.
    Open,
}

/// Section and key of what has members.
pub type Collection = (&'static str, String);

/// What is gathered on the way through the layout.
pub struct Builder<'a> {
    /// Identifiers of this node's own.
    pub own: &'a Identity,
    /// What each disk of the layout is, and what is done with it.
    pub disks: BTreeMap<String, (Device, Mode)>,
    /// Mount points of file systems that are kept.
    pub keep: &'a BTreeSet<String>,
    /// In order.
    pub actions: Vec<Action>,
    #[allow(missing_docs)]
    pub mounts: Vec<Mount>,
    #[allow(missing_docs)]
    pub swaps: Vec<SwapSpace>,
    /// Devices of each collection, in the order of the layout, and how they are to be treated.
    pub members: BTreeMap<Collection, Vec<(Device, Mode)>>,
    /// Arguments of `bcachefs format` for each member.
    pub member_arguments: BTreeMap<Collection, Vec<Arg>>,
    /// What each device that is made here stands on.
    below: BTreeMap<Device, Vec<Device>>,
    /// Only looks: everything is opened.
    opening: bool,
}

impl<'a> Builder<'a> {
    /// A builder for disks whose fate has been decided.
    pub fn new(
        own: &'a Identity,
        disks: BTreeMap<String, (Device, Mode)>,
        keep: &'a BTreeSet<String>,
        opening: bool,
    ) -> Self {
        Builder {
            own,
            disks,
            keep,
            actions: Vec::new(),
            mounts: Vec::new(),
            swaps: Vec::new(),
            members: BTreeMap::new(),
            member_arguments: BTreeMap::new(),
            below: BTreeMap::new(),
            opening,
        }
    }

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
                "mdadm" => layout.mdadm.get(key).into_iter().for_each(|one| self.array(key, one)),
                "lvm_vg" => layout.lvm_vg.get(key).into_iter().for_each(|one| self.group(key, one)),
                "zpool" => layout.zpool.get(key).into_iter().for_each(|one| zfs::pool(self, key, one, layout)),
                _ => layout.bcachefs_filesystems.get(key).into_iter().for_each(|one| self.bcachefs(key, one)),
            }
        }
        for (key, one) in &layout.nodev {
            let mountpoint = one.mountpoint.clone().unwrap_or_else(|| key.clone());
            let bind = one.mount_options.iter().any(|option| option == "bind" || option == "rbind");
            let device = one.device.clone().unwrap_or_else(|| one.fs_type.clone());
            let source = if bind { Source::Folder(device) } else { Source::Named(device) };
            self.mount(source, &one.fs_type, &mountpoint, &one.mount_options, None, &one.hooks);
        }
    }

    fn disk(&mut self, key: &str, layout: &Layout) {
        let (Some((device, mode)), Some(disk)) = (self.disks.get(key).cloned(), layout.disk.get(key)) else { return };
        let at = format!("disk.{key}");
        self.before(&at, &disk.hooks);
        if let Some(content) = &disk.content {
            self.content(&at, &device, content, mode);
        }
        self.after(&at, &disk.hooks);
    }

    /// What goes onto a device that is there and clean, or what stands on it already.
    pub fn content(&mut self, at: &str, device: &Device, content: &Content, mode: Mode) {
        let at = format!("{at}.content");
        // Of a file system, the hooks of mounting belong to its mount.
        let is_mounted = matches!(content, Content::Filesystem(_) | Content::Btrfs(_) | Content::Swap(_));
        let hooks = if is_mounted && self.opening { &Hooks::default() } else { content.hooks() };
        self.before(&at, hooks);
        match content {
            Content::Gpt(_) | Content::Table(_) => self.table(&at, device, content, mode),
            Content::Filesystem(one) => self.filesystem(&at, device, one, mode),
            Content::Btrfs(one) => self.btrfs(&at, device, one, mode),
            Content::Swap(one) => self.swap(&at, device, one, mode),
            Content::Luks(one) => self.luks(&at, device, one, mode),
            Content::LvmPv(one) => {
                if mode == Mode::Make {
                    let uuid = lvm::uuid(self.own.guid(&at));
                    let create = Command::new("lvm", ["pvcreate", "--yes", "-ff", "--norestorefile", "--uuid", &uuid]);
                    self.run(create.arg(device));
                }
                self.member("lvm_vg", &one.vg, device, mode);
            }
            Content::Mdraid(one) => self.member("mdadm", &one.name, device, mode),
            Content::Zfs(one) => self.member("zpool", &one.pool, device, mode),
            Content::Bcachefs(one) => {
                let label = Arg::Text(format!("--label={}", one.label));
                let extra = one.extra_format_args.iter().cloned().map(Arg::Text);
                let arguments = std::iter::once(label).chain(extra).chain([Arg::from(device)]);
                let collection = ("bcachefs_filesystems", one.filesystem.clone());
                self.member_arguments.entry(collection).or_default().extend(arguments);
                self.member("bcachefs_filesystems", &one.filesystem, device, mode);
            }
        }
        self.after(&at, hooks);
    }

    /// Runs a tool.
    pub fn run(&mut self, command: Command) {
        self.actions.push(Action::Run(command));
    }

    /// Remembers what a device stands on.
    pub fn stands_on(&mut self, device: &Device, below: &[Device]) {
        self.below.insert(device.clone(), below.to_vec());
    }

    /// The disks of the layout that a file system lies on.
    pub fn disks_below(&self, source: &Source) -> BTreeSet<String> {
        let mut waiting: Vec<&Device> = match source {
            Source::Device(device) => vec![device],
            Source::Devices(devices, _) => devices.iter().collect(),
            Source::Folder(_) | Source::Named(_) => Vec::new(),
        };
        let mut disks = BTreeSet::new();
        while let Some(device) = waiting.pop() {
            match device {
                Device::Disk { name, .. } => drop(disks.insert(name.clone())),
                Device::Partition(of, _) => waiting.push(of),
                other => waiting.extend(self.below.get(other).into_iter().flatten()),
            }
        }
        disks
    }

    fn member(&mut self, section: &'static str, key: &str, device: &Device, mode: Mode) {
        self.members.entry((section, key.to_owned())).or_default().push((device.clone(), mode));
    }

    /// The members of a collection, and whether it is made: one new member is enough, [`super::check_modes`] has
    /// refused layouts in which that would be a part of what is kept.
    pub fn members_of(&self, section: &'static str, key: &str) -> (Vec<Device>, Mode) {
        let members = self.members.get(&(section, key.to_owned())).cloned().unwrap_or_default();
        let mode = match members.iter().map(|(_, mode)| *mode).collect::<Vec<_>>() {
            modes if modes.contains(&Mode::Make) => Mode::Make,
            modes if modes.contains(&Mode::Reuse) => Mode::Reuse,
            _ => Mode::Open,
        };
        (members.into_iter().map(|(device, _)| device).collect(), mode)
    }

    /// The hooks in front of something.
    pub fn before(&mut self, at: &str, hooks: &Hooks) {
        let (name, hook) = if self.opening {
            ("preMountHook", &hooks.pre_mount_hook)
        } else {
            ("preCreateHook", &hooks.pre_create_hook)
        };
        self.hook(at, name, hook.as_ref());
    }

    /// The hooks behind something.
    pub fn after(&mut self, at: &str, hooks: &Hooks) {
        let (name, hook) = if self.opening {
            ("postMountHook", &hooks.post_mount_hook)
        } else {
            ("postCreateHook", &hooks.post_create_hook)
        };
        self.hook(at, name, hook.as_ref());
    }

    fn hook(&mut self, at: &str, name: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.actions.push(Action::Hook { at: format!("{at}.{name}"), text: text.clone() });
        }
    }

    /// Remembers a file system to be mounted.
    pub fn mount(
        &mut self,
        source: Source,
        format: &str,
        mountpoint: &str,
        options: &[String],
        uuid: Option<String>,
        hooks: &Hooks,
    ) {
        self.mounts.push(Mount {
            source,
            format: format.to_owned(),
            mountpoint: mountpoint.to_owned(),
            options: options.to_vec(),
            uuid,
            hooks: hooks.clone(),
        });
    }

    /// Whether a file system is made: in a layout that is reused, those that nobody wants to keep are.
    pub fn is_made(&self, mode: Mode, mountpoints: &[Option<&String>]) -> bool {
        let kept = || mountpoints.iter().flatten().any(|mountpoint| self.keep.contains(&super::normal(mountpoint)));
        mode == Mode::Make || (mode == Mode::Reuse && !kept())
    }

    fn table(&mut self, at: &str, device: &Device, content: &Content, mode: Mode) {
        if mode == Mode::Make {
            let table = super::table::of(content, device, self.own);
            self.actions.push(Action::Table { device: device.clone(), table });
        }
        for (key, number, content) in super::table::contents(content) {
            let partition = device.partition(number);
            if mode == Mode::Make {
                self.actions.push(Action::Wipe(partition.clone()));
            }
            if let Some(content) = content {
                self.content(&format!("{at}.partitions.{key}"), &partition, content, mode);
            }
        }
    }

    fn filesystem(&mut self, at: &str, device: &Device, one: &Filesystem, mode: Mode) {
        let own = self.own.guid(at);
        if self.is_made(mode, &[one.mountpoint.as_ref()]) {
            self.wipe_again(device, mode);
            self.run(filesystem::mkfs(one, device, own));
        }
        if let Some(mountpoint) = &one.mountpoint {
            let uuid = filesystem::uuid(&one.format, &one.extra_args, own);
            let source = Source::Device(device.clone());
            self.mount(source, &one.format, mountpoint, &one.mount_options, uuid, &one.hooks);
        }
    }

    /// What is made anew in a device that is kept.
    pub fn wipe_again(&mut self, device: &Device, mode: Mode) {
        if mode == Mode::Reuse {
            self.actions.push(Action::Wipe(device.clone()));
        }
    }

    fn swap(&mut self, at: &str, device: &Device, one: &Swap, mode: Mode) {
        let extra = words(&one.extra_args).unwrap_or_default();
        let given = |names: [&str; 2]| {
            extra.chunks(2).find(|pair| names.contains(&pair[0].as_str())).and_then(|pair| pair.get(1))
        };
        let uuid = given(["-U", "--uuid"]).and_then(|text| text.parse().ok()).unwrap_or_else(|| self.own.guid(at));
        let label = given(["-L", "--label"]).cloned();
        // What is in swap is of no use to the next system.
        if mode != Mode::Open && !one.random_encryption {
            self.wipe_again(device, mode);
            self.actions.push(Action::Swap { device: device.clone(), uuid, label });
        }
        self.swaps.push(SwapSpace {
            device: Some(device.clone()),
            path: device.to_string(),
            uuid: (!one.random_encryption).then(|| uuid.to_string()),
            priority: one.priority,
            discard: one.discard_policy,
            options: one.mount_options.clone(),
            random_encryption: one.random_encryption,
            resume: one.resume_device,
        });
    }
}
