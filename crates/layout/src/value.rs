//! Values whose form depends on another key, and what is asked of the whole tree.

use super::{BcachefsMember, Btrfs, Content, Dataset, Filesystem, Gpt, Layout, Luks, LvmPv, Mdraid, PoolMode};
use super::{Swap, Table, Topology, ZfsFilesystem, ZfsMember, ZfsVolume};
use crate::form::{misfit, read, tagged};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, value) = tagged::<D::Error>(Value::deserialize(deserializer)?)?;
        Ok(match kind.as_str() {
            "gpt" => Content::Gpt(read::<Gpt, _>(value)?),
            "table" => Content::Table(read::<Table, _>(value)?),
            "filesystem" => Content::Filesystem(read::<Filesystem, _>(value)?),
            "btrfs" => Content::Btrfs(read::<Btrfs, _>(value)?),
            "swap" => Content::Swap(read::<Swap, _>(value)?),
            "luks" => Content::Luks(Box::new(read::<Luks, _>(value)?)),
            "lvm_pv" => Content::LvmPv(read::<LvmPv, _>(value)?),
            "mdraid" => Content::Mdraid(read::<Mdraid, _>(value)?),
            "zfs" => Content::Zfs(read::<ZfsMember, _>(value)?),
            "bcachefs" => Content::Bcachefs(read::<BcachefsMember, _>(value)?),
            other => return Err(misfit("type", &format!("`{other}` is not made here"))),
        })
    }
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, value) = tagged::<D::Error>(Value::deserialize(deserializer)?)?;
        match kind.as_str() {
            "zfs_fs" => read::<ZfsFilesystem, _>(value).map(|one| Dataset::Filesystem(Box::new(one))),
            "zfs_volume" => read::<ZfsVolume, _>(value).map(|volume| Dataset::Volume(Box::new(volume))),
            other => Err(misfit("type", &format!("`{other}` is no dataset: zfs_fs and zfs_volume are"))),
        }
    }
}

impl Default for PoolMode {
    fn default() -> Self {
        PoolMode::Uniform(String::new())
    }
}

impl<'de> Deserialize<'de> for PoolMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::String(mode) = &value {
            return Ok(PoolMode::Uniform(mode.clone()));
        }
        let topology = value.get("topology").cloned();
        let topology = topology.ok_or_else(|| misfit("topology", "it is neither a word nor a topology"))?;
        read::<Topology, _>(topology).map(|topology| PoolMode::Topology(Box::new(topology)))
    }
}

/// Arguments that disko puts into its script unquoted: the shell splits them at spaces, quotes respected.
/// `None` where the shell would do more than that.
pub fn words(arguments: &[String]) -> Option<Vec<String>> {
    let expands = |text: &str| text.contains(['$', '`', ';', '&', '|', '<', '>', '\n']);
    let split = arguments.iter().map(|text| if expands(text) { None } else { shlex::split(text) });
    split.collect::<Option<Vec<_>>>().map(|words| words.concat())
}

/// Files with keys that the layout names, by their path on the machine that installs.
pub fn key_files(layout: &Layout) -> Vec<String> {
    let mut files = Vec::new();
    let contents = layout.disk.values().map(|disk| &disk.content);
    let contents = contents.chain(layout.mdadm.values().map(|array| &array.content));
    let volumes = layout.lvm_vg.values().flat_map(|group| group.lvs.values().map(|volume| &volume.content));
    for content in contents.chain(volumes).flatten() {
        keys_of(content, &mut files);
    }
    for pool in layout.zpool.values() {
        let datasets = pool.datasets.values().map(|dataset| match dataset {
            Dataset::Filesystem(one) => (&one.options, None),
            Dataset::Volume(one) => (&one.options, one.content.as_ref()),
        });
        for (options, content) in datasets.chain([(&pool.root_fs_options, None)]) {
            files.extend(options.get("keylocation").and_then(|at| at.strip_prefix("file://")).map(str::to_owned));
            content.into_iter().for_each(|content| keys_of(content, &mut files));
        }
    }
    files.extend(layout.bcachefs_filesystems.values().filter_map(|one| one.password_file.clone()));
    files.sort();
    files.dedup();
    files
}

fn keys_of(content: &Content, files: &mut Vec<String>) {
    match content {
        Content::Gpt(gpt) => {
            gpt.partitions.values().filter_map(|one| one.content.as_ref()).for_each(|one| keys_of(one, files));
        }
        Content::Table(table) => {
            table.partitions.iter().filter_map(|one| one.content.as_ref()).for_each(|one| keys_of(one, files));
        }
        Content::Luks(luks) => {
            files.extend(luks.key().map(|key| key.file.to_owned()));
            files.extend(luks.additional_key_files.iter().cloned());
            luks.content.iter().for_each(|content| keys_of(content, files));
        }
        _ => {}
    }
}

/// Where something of the layout is mounted, as it is written there.
pub fn mountpoints(layout: &Layout) -> Vec<String> {
    let mut found = Vec::new();
    let contents = layout.disk.values().map(|disk| &disk.content);
    let contents = contents.chain(layout.mdadm.values().map(|array| &array.content));
    let volumes = layout.lvm_vg.values().flat_map(|group| group.lvs.values().map(|volume| &volume.content));
    contents.chain(volumes).flatten().for_each(|content| mounts_of(content, &mut found));
    for pool in layout.zpool.values() {
        found.extend(pool.mountpoint.clone());
        for dataset in pool.datasets.values() {
            match dataset {
                Dataset::Filesystem(one) => found.extend(one.mountpoint.clone()),
                Dataset::Volume(one) => one.content.iter().for_each(|content| mounts_of(content, &mut found)),
            }
        }
    }
    for one in layout.bcachefs_filesystems.values() {
        found.extend(one.mountpoint.clone());
        found.extend(one.subvolumes.values().filter_map(|one| one.mountpoint.clone()));
    }
    found.extend(layout.nodev.iter().map(|(key, one)| one.mountpoint.clone().unwrap_or_else(|| key.clone())));
    found
}

fn mounts_of(content: &Content, found: &mut Vec<String>) {
    match content {
        Content::Gpt(gpt) => {
            gpt.partitions.values().filter_map(|one| one.content.as_ref()).for_each(|one| mounts_of(one, found));
        }
        Content::Table(table) => {
            table.partitions.iter().filter_map(|one| one.content.as_ref()).for_each(|one| mounts_of(one, found));
        }
        Content::Luks(luks) => luks.content.iter().for_each(|content| mounts_of(content, found)),
        Content::Filesystem(one) => found.extend(one.mountpoint.clone()),
        Content::Btrfs(one) => {
            found.extend(one.mountpoint.clone());
            found.extend(one.subvolumes.values().filter_map(|one| one.mountpoint.clone()));
        }
        Content::Swap(_) | Content::LvmPv(_) | Content::Mdraid(_) | Content::Zfs(_) | Content::Bcachefs(_) => {}
    }
}

/// The key that opens a LUKS device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LuksKey<'a> {
    /// Its file.
    pub file: &'a str,
    /// It is a passphrase: a newline at its end is not part of it.
    pub passphrase: bool,
}

impl Luks {
    /// Which file opens it, by disko's precedence.
    pub fn key(&self) -> Option<LuksKey<'_>> {
        let setting = self.settings.get("keyFile").and_then(Value::as_str);
        let file = |file| LuksKey { file, passphrase: false };
        if let Some(key) = setting {
            return Some(file(key));
        }
        match (&self.password_file, &self.key_file) {
            (Some(password), _) => Some(LuksKey { file: password, passphrase: true }),
            (None, key) => key.as_deref().map(file),
        }
    }
}
