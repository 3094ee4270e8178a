//! `disko.devices`, evaluated to JSON, as a typed tree. Keys are disko's; what disko accepts and is not made
//! here is refused by its path before anything else happens.
//!
//! One struct for each content type of disko. `device` keys inside of contents, which disko computes for its
//! scripts, are read over: this engine works by the devices that it opened or made itself.

mod check;
pub mod examples;
mod fault;
mod filesystems;
mod form;
mod pools;
mod raw;
mod sealing;
mod tables;
mod value;
mod volumes;
mod words;

pub use fault::Fault;
pub use filesystems::*;
pub use pools::*;
pub use sealing::Sealing;
pub use tables::*;
pub use value::{key_files, mountpoints, words};
pub use volumes::*;
pub use words::{Part, Word, Words, devices_in, partition_label, partition_path};

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The layout of a machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// By disko's name of the disk.
    pub disk: BTreeMap<String, Disk>,
    /// Software RAID arrays.
    pub mdadm: BTreeMap<String, Array>,
    /// LVM volume groups.
    pub lvm_vg: BTreeMap<String, VolumeGroup>,
    /// ZFS pools.
    pub zpool: BTreeMap<String, Pool>,
    /// bcachefs file systems over one or more devices.
    pub bcachefs_filesystems: BTreeMap<String, BcachefsFilesystem>,
    /// File systems without a device: tmpfs, bind mounts.
    pub nodev: BTreeMap<String, Nodev>,
}

/// Shell text of the operator, run where disko runs it; only with the operator's leave.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Hooks {
    pub pre_create_hook: Option<String>,
    pub post_create_hook: Option<String>,
    pub pre_mount_hook: Option<String>,
    pub post_mount_hook: Option<String>,
    pub pre_unmount_hook: Option<String>,
    pub post_unmount_hook: Option<String>,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Disk {
    /// The path that the layout was written for.
    pub device: String,
    /// What goes onto it.
    #[serde(default)]
    pub content: Option<Content>,
    /// `false`: what stands on it is never destroyed, whatever the wipe policy says.
    #[serde(default = "yes")]
    pub destroy: bool,
    /// disko's own name for it, which goes into partition labels.
    #[serde(default)]
    pub name: Option<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// What goes onto a disk, into a partition, or onto any other block device.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Content {
    Gpt(Gpt),
    Table(Table),
    Filesystem(Filesystem),
    Btrfs(Btrfs),
    Swap(Swap),
    Luks(Box<Luks>),
    LvmPv(LvmPv),
    Mdraid(Mdraid),
    Zfs(ZfsMember),
    Bcachefs(BcachefsMember),
}

impl Content {
    /// What the operator wants run around it.
    pub fn hooks(&self) -> &Hooks {
        match self {
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
        }
    }
}

/// A file system without a device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Nodev {
    /// `tmpfs`, `none` with the option `bind` ...
    pub fs_type: String,
    /// The folder of a bind mount, on the target.
    #[serde(default)]
    pub device: Option<String>,
    /// Where it is not the key.
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// As in fstab.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

fn yes() -> bool {
    true
}

fn defaults() -> Vec<String> {
    vec!["defaults".to_owned()]
}

impl Layout {
    /// Reads and checks a layout.
    ///
    /// # Errors
    /// What cannot be made here, with its path; `E-LAYOUT` as a failure.
    pub fn read(devices: &Value, hooks_allowed: bool) -> Result<Self, Fault> {
        if let Some(outer) = ["disko", "devices"].into_iter().find(|key| devices.get(key).is_some()) {
            return Err(Fault::at(outer, "it is no section of disko.devices")
                .with_remedy("give what stands below disko.devices alone, with `disk` at its top"));
        }
        let tree = raw::prepare(devices, hooks_allowed)?;
        let layout: Layout = serde_path_to_error::deserialize(tree).map_err(|error| form::fault(&error))?;
        check::check(&layout)?;
        Ok(layout)
    }
}

#[cfg(test)]
mod tests;
