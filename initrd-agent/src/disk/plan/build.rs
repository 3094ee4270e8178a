//! From the layout to actions: one function for each content type of disko, in disko's order.

use super::{
    action::{Action, Arg, Command, Device, Key, Open},
    facts::{Mount, Source, SwapSpace},
    filesystem,
    identity::Identity,
    zfs,
};
use crate::disk::layout::{
    Array, BcachefsFilesystem, Btrfs, Content, Filesystem, Hooks, Layout, Luks, LvmType, Swap, SwapFile, VolumeGroup,
    words,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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
    member_arguments: BTreeMap<Collection, Vec<Arg>>,
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
        let hooks = match content {
            Content::Gpt(one) => &one.hooks,
            Content::Table(one) => &one.hooks,
            Content::Filesystem(one) => &one.hooks,
            Content::Btrfs(one) => &one.hooks,
            Content::Swap(one) => &one.hooks,
            Content::Luks(one) => &one.hooks,
            Content::LvmPv(one) => &one.hooks,
            Content::Mdraid(one) => &one.hooks,
            Content::Zfs(one) => &one.hooks,
            Content::Bcachefs(one) => &one.hooks,
        };
        // Of a file system, the hooks of mounting belong to its mount.
        let is_mounted = matches!(content, Content::Filesystem(_) | Content::Btrfs(_) | Content::Swap(_));
        let hooks = if is_mounted && self.opening { &Hooks::default() } else { hooks };
        self.before(&at, hooks);
        match content {
            Content::Gpt(_) | Content::Table(_) => self.table(&at, device, content, mode),
            Content::Filesystem(one) => self.filesystem(&at, device, one, mode),
            Content::Btrfs(one) => self.btrfs(&at, device, one, mode),
            Content::Swap(one) => self.swap(&at, device, one, mode),
            Content::Luks(one) => self.luks(&at, device, one, mode),
            Content::LvmPv(one) => {
                if mode == Mode::Make {
                    self.run(Command::new("lvm", ["pvcreate", "--yes", "-ff"]).arg(device));
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
    fn is_made(&self, mode: Mode, mountpoints: &[Option<&String>]) -> bool {
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
    fn wipe_again(&mut self, device: &Device, mode: Mode) {
        if mode == Mode::Reuse {
            self.actions.push(Action::Wipe(device.clone()));
        }
    }

    fn btrfs(&mut self, at: &str, device: &Device, one: &Btrfs, mode: Mode) {
        let own = self.own.guid(at);
        let extra = words(&one.extra_args).unwrap_or_default();
        let others: Vec<Device> =
            extra.iter().filter(|word| word.starts_with("/dev/")).map(|path| Device::Path(path.clone())).collect();
        let mountpoints: Vec<Option<&String>> =
            one.subvolumes.values().map(|one| one.mountpoint.as_ref()).chain([one.mountpoint.as_ref()]).collect();
        if self.is_made(mode, &mountpoints) {
            self.wipe_again(device, mode);
            let mut mkfs = Command::new("mkfs.btrfs", ["-q", "-f"]);
            if !filesystem::names_uuid(&extra, &["-U", "--uuid"]) {
                mkfs = mkfs.args(["-U".to_owned(), own.to_string()]);
            }
            self.run(mkfs.arg(device).args(extra.clone()));
            self.scan_btrfs(device, &others);
            if !one.subvolumes.is_empty() || !one.swap.is_empty() {
                self.actions.push(inside_btrfs(device, one));
            }
        } else {
            self.scan_btrfs(device, &others);
        }
        let uuid = filesystem::uuid("btrfs", &extra, own);
        let source = || Source::Device(device.clone());
        for (key, subvolume) in &one.subvolumes {
            if let Some(mountpoint) = &subvolume.mountpoint {
                let mut options = subvolume.mount_options.clone();
                options.push(format!("subvol={}", subvolume.name.as_ref().unwrap_or(key)));
                self.mount(source(), "btrfs", mountpoint, &options, uuid.clone(), &subvolume.hooks);
                self.swap_files(mountpoint, &subvolume.swap);
            }
        }
        if let Some(mountpoint) = &one.mountpoint {
            self.mount(source(), "btrfs", mountpoint, &one.mount_options, uuid, &one.hooks);
            self.swap_files(mountpoint, &one.swap);
        }
    }

    /// The kernel must have seen every device before it mounts one of several.
    fn scan_btrfs(&mut self, device: &Device, others: &[Device]) {
        if !others.is_empty() {
            let devices = std::iter::once(device).chain(others);
            self.run(Command::new("btrfs", ["device", "scan"]).args(devices));
        }
    }

    fn swap_files(&mut self, mountpoint: &str, files: &BTreeMap<String, SwapFile>) {
        for (key, file) in files {
            let path = file.path.as_ref().unwrap_or(key).trim_start_matches('/');
            self.swaps.push(SwapSpace {
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

    fn luks(&mut self, at: &str, device: &Device, one: &Luks, mode: Mode) {
        let mapper = Device::Mapper(one.name.clone());
        let open = || luks_open(device, one).opening(Open::Mapper(one.name.clone()));
        let Some(key) = luks_key(one) else { return };
        self.stands_on(&mapper, std::slice::from_ref(device));
        if mode == Mode::Make {
            let extra = words(&one.extra_format_args).unwrap_or_default();
            let mut format = Command::new("cryptsetup", ["-q", "luksFormat"]).arg(device);
            if !filesystem::names_uuid(&extra, &["--uuid"]) {
                format = format.args(["--uuid".to_owned(), self.own.guid(at).to_string()]);
            }
            self.run(format.args(extra.clone()).args(key.clone()));
            self.run(open().arg("--persistent"));
            for file in &one.additional_key_files {
                let new = Arg::Key(Key { file: file.clone(), passphrase: false });
                let add = Command::new("cryptsetup", ["-q", "luksAddKey"]).arg(device).arg(new);
                self.run(add.args(derivation(&extra)).args(key.clone()));
            }
            self.actions.push(Action::Wipe(mapper.clone()));
        } else {
            self.run(open());
        }
        if let Some(content) = &one.content {
            self.content(at, &mapper, content, mode);
        }
    }

    fn array(&mut self, key: &str, one: &Array) {
        let name = one.name.clone().unwrap_or_else(|| key.to_owned());
        let device = Device::Array(name.clone());
        let (members, mode) = self.members_of("mdadm", key);
        if members.is_empty() {
            return;
        }
        let at = format!("mdadm.{key}");
        self.stands_on(&device, &members);
        self.before(&at, &one.hooks);
        if mode == Mode::Make {
            let create = Command::new("mdadm", ["--create".to_owned(), device.to_string()])
                .arg(format!("--level={}", one.level))
                .arg(format!("--raid-devices={}", members.len()))
                .arg(format!("--metadata={}", one.metadata.as_deref().unwrap_or("default")))
                .args(["--force", "--run", "--homehost=any"])
                .arg(format!("--uuid={}", md_uuid(self.own.guid(&at))))
                .args(one.extra_args.clone())
                .args(&members);
            self.run(create.opening(Open::Array(name)));
            self.actions.push(Action::Wipe(device.clone()));
        } else {
            let assemble = Command::new("mdadm", ["--assemble".to_owned(), device.to_string()]).arg("--run");
            self.run(assemble.args(&members).opening(Open::Array(name)));
        }
        if let Some(content) = &one.content {
            self.content(&at, &device, content, mode);
        }
        self.after(&at, &one.hooks);
    }

    fn group(&mut self, key: &str, one: &VolumeGroup) {
        let name = one.name.clone().unwrap_or_else(|| key.to_owned());
        let (members, mode) = self.members_of("lvm_vg", key);
        if members.is_empty() {
            return;
        }
        let at = format!("lvm_vg.{key}");
        let opens = Open::Group(name.clone(), members.clone());
        self.before(&at, &one.hooks);
        let mut volumes: Vec<_> = one.lvs.iter().collect();
        volumes.sort_by_key(|(_, volume)| volume.priority());
        if mode == Mode::Make {
            self.run(lvm("vgcreate", &members).arg("--yes").arg(name.clone()).args(&members).opening(opens));
        } else {
            self.run(lvm("vgchange", &members).args(["--activate", "y"]).arg(name.clone()).opening(opens));
        }
        for (key, volume) in &volumes {
            if mode == Mode::Make {
                let volume_name = volume.name.as_ref().unwrap_or(key);
                let thin = volume.lvm_type == Some(LvmType::ThinVolume);
                let how = match (thin, volume.size.contains('%')) {
                    (true, _) => "-V",
                    (false, true) => "-l",
                    (false, false) => "-L",
                };
                let free = if volume.size.ends_with('%') { "FREE" } else { "" };
                let mut create = lvm("lvcreate", &members)
                    .args(["--yes", "--wipesignatures", "y", how])
                    .arg(format!("{}{free}", volume.size))
                    .args(["-n", volume_name]);
                match volume.lvm_type {
                    Some(LvmType::ThinVolume) => {
                        create = create.arg(format!("--thinpool={}", volume.pool.as_deref().unwrap_or_default()));
                    }
                    Some(kind) => create = create.arg(format!("--type={}", lvm_type(kind))),
                    None => {}
                }
                self.run(create.args(words(&volume.extra_args).unwrap_or_default()).arg(name.clone()));
            }
        }
        for (key, volume) in volumes {
            let volume_name = volume.name.clone().unwrap_or_else(|| key.clone());
            let device = Device::Volume { group: name.clone(), name: volume_name };
            self.stands_on(&device, &members);
            if mode == Mode::Make && volume.content.is_some() {
                self.actions.push(Action::Wipe(device.clone()));
            }
            if let Some(content) = &volume.content {
                self.content(&format!("{at}.lvs.{key}"), &device, content, mode);
            }
        }
        self.after(&at, &one.hooks);
    }

    fn bcachefs(&mut self, key: &str, one: &BcachefsFilesystem) {
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

/// Subvolumes, parents first, then swap files.
fn inside_btrfs(device: &Device, one: &Btrfs) -> Action {
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
    }
}

fn swap_file(folder: &str, key: &str, file: &SwapFile) -> Command {
    let path = inside(&format!("{folder}/{}", file.path.as_deref().unwrap_or(key)));
    let make = Command::new("btrfs", ["filesystem", "mkswapfile", "--size", file.size.as_str()]);
    make.arg(Arg::Inside(path))
}

/// A path without slashes at its ends.
fn inside(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// The key and which part of it.
fn luks_key(one: &Luks) -> Option<Vec<Arg>> {
    let key = one.key()?;
    let mut arguments = vec![Arg::from("--key-file")];
    arguments.push(Arg::Key(Key { file: key.file.to_owned(), passphrase: key.passphrase }));
    for (setting, option) in [("keyFileSize", "--keyfile-size"), ("keyFileOffset", "--keyfile-offset")] {
        if let Some(bytes) = one.settings.get(setting).and_then(serde_json::Value::as_u64) {
            arguments.extend([Arg::from(option), Arg::Text(bytes.to_string())]);
        }
    }
    Some(arguments)
}

fn luks_open(device: &Device, one: &Luks) -> Command {
    let is_set = |setting: &str| one.settings.get(setting).and_then(serde_json::Value::as_bool) == Some(true);
    let mut open = Command::new("cryptsetup", ["open"]).arg(device).arg(one.name.clone());
    if is_set("allowDiscards") {
        open = open.arg("--allow-discards");
    }
    if is_set("bypassWorkqueues") {
        open = open.args(["--perf-no_read_workqueue", "--perf-no_write_workqueue"]);
    }
    open.args(words(&one.extra_open_args).unwrap_or_default()).args(luks_key(one).unwrap_or_default())
}

/// How the first key is stretched holds for further ones, too.
fn derivation(format_arguments: &[String]) -> Vec<String> {
    const OPTIONS: [&str; 6] =
        ["--iter-time", "-i", "--pbkdf", "--pbkdf-memory", "--pbkdf-parallel", "--pbkdf-force-iterations"];
    let mut found = Vec::new();
    let mut words = format_arguments.iter();
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            found.push(word.clone());
            found.extend(words.next().cloned());
        } else if OPTIONS.iter().any(|option| word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))) {
            found.push(word.clone());
        }
    }
    found
}

/// A command of LVM that sees these physical volumes only: a foreign group of the same name is out of its sight.
fn lvm(command: &'static str, members: &[Device]) -> Command {
    members.iter().fold(Command::new("lvm", [command]), |command, member| command.arg("--devices").arg(member))
}

fn lvm_type(kind: LvmType) -> &'static str {
    match kind {
        LvmType::Mirror => "mirror",
        LvmType::Raid0 => "raid0",
        LvmType::Raid1 => "raid1",
        LvmType::Raid4 => "raid4",
        LvmType::Raid5 => "raid5",
        LvmType::Raid6 => "raid6",
        LvmType::Raid10 => "raid10",
        LvmType::ThinPool => "thin-pool",
        LvmType::ThinVolume => "thin",
    }
}

/// mdadm writes them in four groups.
fn md_uuid(uuid: Uuid) -> String {
    let hex = uuid.simple().to_string();
    format!("{}:{}:{}:{}", &hex[..8], &hex[8..16], &hex[16..24], &hex[24..])
}
