//! What a layout must be beyond its form: names that tools take, keys that nobody has to type, members for
//! everything that has members.

mod outside;
mod plain;
mod vdevs;

use super::{
    Array, BcachefsFilesystem, Btrfs, Content, Dataset, Disk, Filesystem, Gpt, Hooks, Layout, Luks, LvmType, PartType,
    Pool, PoolMode, Swap, SwapFile, Table, Volume, VolumeGroup, fault::Fault, value::words,
};
use std::collections::{BTreeMap, BTreeSet};

/// The file systems that are made here, by the name of their mkfs.
pub const FORMATS: [&str; 8] = ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "vfat", "xfs"];
const LEVELS: [i64; 6] = [0, 1, 4, 5, 6, 10];
const METADATA: [&str; 6] = ["1", "1.0", "1.1", "1.2", "0.90", "default"];
const VDEV_MODES: [&str; 6] = ["", "mirror", "raidz", "raidz1", "raidz2", "raidz3"];
/// Entries of a GPT; and 36 UTF-16 units for a name (UEFI specification 2.10, table 5-7).
const MOST_PARTITIONS: usize = 128;
const LONGEST_LABEL: usize = 36;

/// Checks what the types cannot say.
///
/// # Errors
/// `E-LAYOUT` with the path.
pub fn check(layout: &Layout) -> Result<(), Fault> {
    if layout.disk.is_empty() {
        return Err(Fault::at("disk", "the layout has no disk"));
    }
    let mut seen = Seen::default();
    for (name, disk) in &layout.disk {
        seen.disk(&format!("disk.{name}"), disk)?;
    }
    for (name, array) in &layout.mdadm {
        seen.array(&format!("mdadm.{name}"), name, array)?;
    }
    for (name, group) in &layout.lvm_vg {
        seen.group(&format!("lvm_vg.{name}"), name, group)?;
    }
    for (name, pool) in &layout.zpool {
        seen.pool(&format!("zpool.{name}"), name, pool)?;
    }
    for (name, one) in &layout.bcachefs_filesystems {
        seen.bcachefs(&format!("bcachefs_filesystems.{name}"), one)?;
    }
    for (name, one) in &layout.nodev {
        seen.mountpoint(&format!("nodev.{name}.mountpoint"), Some(one.mountpoint.as_ref().unwrap_or(name)))?;
        plain::nodev(&format!("nodev.{name}"), one)?;
    }
    seen.members(layout)?;
    vdevs::check(layout)?;
    outside::check(layout)
}

/// What may be there once only, and which members were met.
#[derive(Default)]
struct Seen {
    mappers: BTreeSet<String>,
    /// That the layout gives to partitions.
    uuids: BTreeSet<uuid::Uuid>,
    /// Section and key of each collection, with where its members are.
    members: BTreeMap<(&'static str, String), Vec<String>>,
}

impl Seen {
    fn disk(&mut self, at: &str, disk: &Disk) -> Result<(), Fault> {
        no_unmount_hooks(at, &disk.hooks)?;
        if !disk.device.starts_with('/') {
            return Err(Fault::at(&format!("{at}.device"), "it is not an absolute path"));
        }
        disk.content.iter().try_for_each(|content| self.content(&format!("{at}.content"), content))
    }

    fn content(&mut self, at: &str, content: &Content) -> Result<(), Fault> {
        if !matches!(content, Content::Filesystem(_) | Content::Btrfs(_)) {
            no_unmount_hooks(at, content.hooks())?;
        }
        match content {
            Content::Gpt(gpt) => self.gpt(at, gpt),
            Content::Table(table) => self.table(at, table),
            Content::Filesystem(one) => self.filesystem(at, one),
            Content::Btrfs(one) => self.btrfs(at, one),
            Content::Swap(one) => swap(at, one),
            Content::Luks(one) => self.luks(at, one),
            Content::LvmPv(one) => self.member(at, "lvm_vg", &one.vg),
            Content::Mdraid(one) => self.member(at, "mdadm", &one.name),
            Content::Zfs(one) => self.member(at, "zpool", &one.pool),
            Content::Bcachefs(one) => self.member(at, "bcachefs_filesystems", &one.filesystem),
        }
    }

    fn member(&mut self, at: &str, section: &'static str, key: &str) -> Result<(), Fault> {
        self.members.entry((section, key.to_owned())).or_default().push(at.to_owned());
        Ok(())
    }

    /// Every member has its collection, every collection its members.
    fn members(&self, layout: &Layout) -> Result<(), Fault> {
        let collections = layout.mdadm.keys().map(|key| ("mdadm", key));
        let collections = collections.chain(layout.lvm_vg.keys().map(|key| ("lvm_vg", key)));
        let collections = collections.chain(layout.zpool.keys().map(|key| ("zpool", key)));
        let bcachefs = layout.bcachefs_filesystems.keys().map(|key| ("bcachefs_filesystems", key));
        let collections: BTreeSet<(&str, String)> =
            collections.chain(bcachefs).map(|(section, key)| (section, key.clone())).collect();
        for ((section, key), at) in &self.members {
            if !collections.contains(&(*section, key.clone())) {
                let at = at.first().map_or("", String::as_str);
                return Err(Fault::at(
                    at,
                    &format!("it is a member of {section}.{key}, which the layout does not have"),
                ));
            }
        }
        let empty = collections.iter().find(|(section, key)| !self.members.contains_key(&(*section, key.clone())));
        empty
            .map_or(Ok(()), |(section, key)| Err(Fault::at(&format!("{section}.{key}"), "no device is a member of it")))
    }

    fn mountpoint(&self, at: &str, mountpoint: Option<&String>) -> Result<(), Fault> {
        let Some(mountpoint) = mountpoint else { return Ok(()) };
        plain::path(at, mountpoint)
    }

    fn gpt(&mut self, at: &str, gpt: &Gpt) -> Result<(), Fault> {
        if gpt.partitions.is_empty() || gpt.partitions.len() > MOST_PARTITIONS {
            return Err(Fault::at(&format!("{at}.partitions"), "a table has 1 to 128 partitions"));
        }
        if gpt.partitions.values().filter(|one| one.hybrid.is_some()).count() > 3 {
            return Err(Fault::at(&format!("{at}.partitions"), "a hybrid MBR has room for three partitions"));
        }
        for (key, one) in &gpt.partitions {
            let at = format!("{at}.partitions.{key}");
            if one.label.as_ref().is_some_and(|label| label.encode_utf16().count() > LONGEST_LABEL) {
                return Err(Fault::at(&format!("{at}.label"), "a partition's name has at most 36 characters"));
            }
            if let Some(uuid) = one.uuid.filter(|uuid| !self.uuids.insert(*uuid)) {
                return Err(Fault::at(&format!("{at}.uuid"), &format!("another partition has {uuid} as well")));
            }
            one.content.iter().try_for_each(|content| self.nested(&format!("{at}.content"), content))?;
        }
        Ok(())
    }

    fn table(&mut self, at: &str, table: &Table) -> Result<(), Fault> {
        if table.partitions.is_empty() || table.partitions.len() > MOST_PARTITIONS {
            return Err(Fault::at(&format!("{at}.partitions"), "a table has 1 to 128 partitions"));
        }
        for (n, one) in table.partitions.iter().enumerate() {
            let at = format!("{at}.partitions.{n}.content");
            if one.part_type == PartType::Extended && one.content.is_some() {
                return Err(Fault::at(&at, "an extended partition holds logical ones and nothing else"));
            }
            one.content.iter().try_for_each(|content| self.nested(&at, content))?;
        }
        Ok(())
    }

    /// Content of something that the kernel does not look for partitions on.
    fn nested(&mut self, at: &str, content: &Content) -> Result<(), Fault> {
        if matches!(content, Content::Gpt(_) | Content::Table(_)) {
            return Err(Fault::at(
                &format!("{at}.type"),
                "a partition table is not made here: the kernel would not read it",
            ));
        }
        self.content(at, content)
    }

    fn filesystem(&mut self, at: &str, one: &Filesystem) -> Result<(), Fault> {
        if !FORMATS.contains(&one.format.as_str()) {
            let why = format!("`{}` is not one of those that are made here: {}", one.format, FORMATS.join(", "));
            return Err(Fault::at(&format!("{at}.format"), &why).with_remedy(
                "take one of these; for a partition that another system is to format, leave `content` out",
            ));
        }
        self.mountpoint(&format!("{at}.mountpoint"), one.mountpoint.as_ref())
    }

    fn btrfs(&mut self, at: &str, one: &Btrfs) -> Result<(), Fault> {
        arguments(&format!("{at}.extraArgs"), &one.extra_args)?;
        self.mountpoint(&format!("{at}.mountpoint"), one.mountpoint.as_ref())?;
        swap_files(at, &one.swap)?;
        plain::each_once(at, one.subvolumes.iter().map(|(key, one)| (key, one.name.as_ref().unwrap_or(key))))?;
        for (key, subvolume) in &one.subvolumes {
            let at = format!("{at}.subvolumes.{key}");
            path_inside(&at, subvolume.name.as_ref().unwrap_or(key))?;
            arguments(&format!("{at}.extraArgs"), &subvolume.extra_args)?;
            self.mountpoint(&format!("{at}.mountpoint"), subvolume.mountpoint.as_ref())?;
            swap_files(&at, &subvolume.swap)?;
        }
        Ok(())
    }

    fn luks(&mut self, at: &str, luks: &Luks) -> Result<(), Fault> {
        name(&format!("{at}.name"), &luks.name)?;
        if !self.mappers.insert(luks.name.clone()) {
            return Err(Fault::at(&format!("{at}.name"), "another LUKS device has this name"));
        }
        if luks.ask_password == Some(true) || luks.key().is_none() {
            let why = "nobody is there to type a password";
            return Err(Fault::at(&format!("{at}.askPassword"), why).with_remedy(
                "name a passwordFile or settings.keyFile in the layout, and give that file in the spec's secrets",
            ));
        }
        let files = luks.key().map(|key| key.file).into_iter();
        for file in files.chain(luks.additional_key_files.iter().map(String::as_str)) {
            plain::key_file(&format!("{at}.keyFile"), file)?;
        }
        for key in ["keyFileSize", "keyFileOffset"] {
            if luks.settings.get(key).is_some_and(|value| !value.is_u64() && !value.is_null()) {
                return Err(Fault::at(&format!("{at}.settings.{key}"), "it is not a number of bytes"));
            }
        }
        arguments(&format!("{at}.extraFormatArgs"), &luks.extra_format_args)?;
        arguments(&format!("{at}.extraOpenArgs"), &luks.extra_open_args)?;
        luks.sealing(at)?;
        luks.content.iter().try_for_each(|content| self.nested(&format!("{at}.content"), content))
    }

    fn array(&mut self, at: &str, key: &str, array: &Array) -> Result<(), Fault> {
        no_unmount_hooks(at, &array.hooks)?;
        name(&format!("{at}.name"), array.name.as_deref().unwrap_or(key))?;
        if !LEVELS.contains(&array.level) {
            return Err(Fault::at(&format!("{at}.level"), "RAID levels are 0, 1, 4, 5, 6 and 10"));
        }
        if array.metadata.as_deref().is_some_and(|metadata| !METADATA.contains(&metadata)) {
            let why = format!("not made here; these are: {}", METADATA.join(", "));
            return Err(Fault::at(&format!("{at}.metadata"), &why));
        }
        array.content.iter().try_for_each(|content| self.content(&format!("{at}.content"), content))
    }

    fn group(&mut self, at: &str, key: &str, group: &VolumeGroup) -> Result<(), Fault> {
        no_unmount_hooks(at, &group.hooks)?;
        name(&format!("{at}.name"), group.name.as_deref().unwrap_or(key))?;
        for (key, volume) in &group.lvs {
            let at = format!("{at}.lvs.{key}");
            name(&format!("{at}.name"), volume.name.as_deref().unwrap_or(key))?;
            check_volume(&at, volume, group)?;
            volume.content.iter().try_for_each(|content| self.nested(&format!("{at}.content"), content))?;
        }
        Ok(())
    }

    fn pool(&mut self, at: &str, key: &str, pool: &Pool) -> Result<(), Fault> {
        no_unmount_hooks(at, &pool.hooks)?;
        name(&format!("{at}.name"), pool.name.as_deref().unwrap_or(key))?;
        let modes: Vec<&str> = match &pool.mode {
            PoolMode::Uniform(mode) => vec![mode],
            PoolMode::Topology(one) => {
                let vdevs = [&one.vdev, &one.log, &one.dedup, &one.special].into_iter().flatten();
                vdevs.map(|vdev| vdev.mode.as_str()).collect()
            }
        };
        if let Some(mode) = modes.iter().find(|mode| !VDEV_MODES.contains(mode)) {
            return Err(Fault::at(&format!("{at}.mode"), &format!("`{mode}` is not made here")));
        }
        self.mountpoint(&format!("{at}.mountpoint"), pool.mountpoint.as_ref())?;
        zfs_key(&format!("{at}.rootFsOptions"), &pool.root_fs_options)?;
        for (key, dataset) in &pool.datasets {
            let at = format!("{at}.datasets.{key}");
            match dataset {
                Dataset::Filesystem(one) => {
                    zfs_key(&format!("{at}.options"), &one.options)?;
                    path_inside(&at, one.name.as_ref().unwrap_or(key))?;
                    self.mountpoint(&format!("{at}.mountpoint"), one.mountpoint.as_ref())?;
                }
                Dataset::Volume(one) => {
                    zfs_key(&format!("{at}.options"), &one.options)?;
                    path_inside(&at, one.name.as_ref().unwrap_or(key))?;
                    one.content.iter().try_for_each(|content| self.nested(&format!("{at}.content"), content))?;
                }
            }
        }
        Ok(())
    }

    fn bcachefs(&mut self, at: &str, one: &BcachefsFilesystem) -> Result<(), Fault> {
        let file = one.password_file.as_deref();
        file.map_or(Ok(()), |file| plain::key_file(&format!("{at}.passwordFile"), file))?;
        self.mountpoint(&format!("{at}.mountpoint"), one.mountpoint.as_ref())?;
        plain::each_once(at, one.subvolumes.iter().map(|(key, one)| (key, one.name.as_ref().unwrap_or(key))))?;
        for (key, subvolume) in &one.subvolumes {
            let at = format!("{at}.subvolumes.{key}");
            path_inside(&at, subvolume.name.as_ref().unwrap_or(key))?;
            self.mountpoint(&format!("{at}.mountpoint"), subvolume.mountpoint.as_ref())?;
        }
        Ok(())
    }
}

/// Where a key is set at all, zfs can read it by itself.
fn zfs_key(at: &str, options: &BTreeMap<String, String>) -> Result<(), Fault> {
    let file = options.get("keylocation").and_then(|location| location.strip_prefix("file://"));
    file.map_or(Ok(()), |file| plain::key_file(&format!("{at}.keylocation"), file))?;
    let typed = match (options.get("keylocation"), options.contains_key("keyformat")) {
        (Some(location), _) => !location.starts_with("file://"),
        // The default is to ask.
        (None, is_key) => is_key,
    };
    if !typed || options.get("encryption").is_some_and(|encryption| encryption == "off") {
        return Ok(());
    }
    Err(Fault::at(&format!("{at}.keylocation"), "nobody is there to type a key")
        .with_remedy("set keylocation to \"file:///PATH\" in the layout, and give that file in the spec's secrets"))
}

fn check_volume(at: &str, volume: &Volume, group: &VolumeGroup) -> Result<(), Fault> {
    let amount = volume.amount();
    let amount = amount.ok_or_else(|| Fault::at(&format!("{at}.size"), "it is not like 10G, 100% or 50%VG"))?;
    if amount.is_zero() {
        return Err(Fault::at(&format!("{at}.size"), "it is zero"));
    }
    arguments(&format!("{at}.extraArgs"), &volume.extra_args)?;
    if volume.lvm_type != Some(LvmType::ThinVolume) {
        return Ok(());
    }
    let pool = volume.pool.as_deref().unwrap_or_default();
    let is_pool = |(key, one): (&String, &Volume)| {
        one.lvm_type == Some(LvmType::ThinPool) && one.name.as_ref().unwrap_or(key) == pool
    };
    if group.lvs.iter().any(is_pool) {
        return Ok(());
    }
    Err(Fault::at(&format!("{at}.pool"), &format!("{pool:?} is no thin-pool of this volume group")))
}

fn swap(at: &str, swap: &Swap) -> Result<(), Fault> {
    let arguments = words(&swap.extra_args).unwrap_or_else(|| vec![String::new()]);
    let pairs = arguments.chunks(2);
    let known = |pair: &[String]| pair.len() == 2 && matches!(pair[0].as_str(), "-L" | "--label" | "-U" | "--uuid");
    if pairs.clone().any(|pair| !known(pair)) {
        return Err(Fault::at(&format!("{at}.extraArgs"), "swap takes -L LABEL and -U UUID here"));
    }
    if swap.random_encryption && swap.resume_device {
        let why = "with randomEncryption nobody can read it after a restart, so there is nothing to resume from";
        return Err(Fault::at(&format!("{at}.resumeDevice"), why));
    }
    plain::priority(at, swap.priority)
}

fn swap_files(at: &str, files: &BTreeMap<String, SwapFile>) -> Result<(), Fault> {
    for (key, file) in files {
        let at = format!("{at}.swap.{key}");
        path_inside(&at, file.path.as_ref().unwrap_or(key))?;
        if protocol::size::bytes(&file.size).is_none() {
            return Err(Fault::at(&format!("{at}.size"), "it is not like 8G"));
        }
        plain::priority(&at, file.priority)?;
    }
    Ok(())
}

/// What is closed after a failure is closed without asking anybody.
fn no_unmount_hooks(at: &str, hooks: &Hooks) -> Result<(), Fault> {
    let hook = [("preUnmountHook", &hooks.pre_unmount_hook), ("postUnmountHook", &hooks.post_unmount_hook)];
    let named = hook.into_iter().find(|(_, text)| text.is_some());
    named.map_or(Ok(()), |(name, _)| {
        Err(Fault::at(&format!("{at}.{name}"), "hooks of unmounting run for file systems and subvolumes only"))
    })
}

/// What is put into a tool's command line as a name.
fn name(at: &str, name: &str) -> Result<(), Fault> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-:".contains(&byte);
    if name.is_empty() || name.len() > 100 || name.starts_with(['-', '.']) || !name.bytes().all(good) {
        return Err(Fault::at(at, "a name has letters, digits, + _ . - : and begins with neither - nor ."));
    }
    Ok(())
}

fn path_inside(at: &str, path: &str) -> Result<(), Fault> {
    let parts = || path.split('/').filter(|part| !part.is_empty());
    if parts().next().is_none() || parts().any(|part| part == ".." || part == ".") || path.contains(char::is_control) {
        return Err(Fault::at(at, "its name is not a path without `..`"));
    }
    Ok(())
}

fn arguments(at: &str, arguments: &[String]) -> Result<(), Fault> {
    match words(arguments) {
        Some(_) => Ok(()),
        None => Err(Fault::at(at, "a shell would do more with it than split it at spaces, and no shell is run")),
    }
}
