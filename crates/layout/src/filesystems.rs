//! File systems, swap, and what encrypts them.

use super::{Content, Hooks, defaults, yes};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A file system that its `mkfs` makes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Filesystem {
    /// `ext4`, `vfat`, `xfs` ...
    pub format: String,
    /// For its mkfs, one argument each.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// Where it is mounted on the target.
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// As in fstab.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// btrfs with its subvolumes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Btrfs {
    /// For mkfs.btrfs; split at spaces. May name further devices.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// Of the top level.
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// Of the top level.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    /// By their path.
    #[serde(default)]
    pub subvolumes: BTreeMap<String, Subvolume>,
    /// Swap files of the top level.
    #[serde(default)]
    pub swap: BTreeMap<String, SwapFile>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A subvolume.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Subvolume {
    /// Its path where it is not the key.
    #[serde(default)]
    pub name: Option<String>,
    /// For `btrfs subvolume create`; split at spaces.
    #[serde(default)]
    pub extra_args: Vec<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// As in fstab.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    /// Swap files in it.
    #[serde(default)]
    pub swap: BTreeMap<String, SwapFile>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A swap file of btrfs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapFile {
    /// `8G`.
    pub size: String,
    /// Where it is not the key.
    #[serde(default)]
    pub path: Option<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub priority: Option<i32>,
    /// As in fstab.
    #[serde(default = "defaults")]
    pub options: Vec<String>,
}

/// Swap on a block device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Swap {
    #[allow(missing_docs)]
    #[serde(default)]
    pub discard_policy: Option<DiscardPolicy>,
    /// For mkswap: `-L LABEL`, `-U UUID`; split at spaces.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// As in fstab.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub priority: Option<i32>,
    /// A new key at every boot: there is nothing to make here.
    #[serde(default)]
    pub random_encryption: bool,
    /// The system resumes from it.
    #[serde(default)]
    pub resume_device: bool,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// What swapon discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum DiscardPolicy {
    Once,
    Pages,
    Both,
}

/// LUKS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Luks {
    /// In /dev/mapper.
    pub name: String,
    /// Deprecated by disko for `settings.keyFile`.
    #[serde(default)]
    pub key_file: Option<String>,
    /// A file whose text, without the newline at its end, is the passphrase.
    #[serde(default)]
    pub password_file: Option<String>,
    /// Somebody types it: nobody is there.
    #[serde(default)]
    pub ask_password: Option<bool>,
    /// As in `boot.initrd.luks.devices.NAME`.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Further keys.
    #[serde(default)]
    pub additional_key_files: Vec<String>,
    /// The system's initrd opens it.
    #[serde(default = "yes")]
    pub initrd_unlock: bool,
    /// For `cryptsetup luksFormat`; split at spaces.
    #[serde(default)]
    pub extra_format_args: Vec<String>,
    /// For `cryptsetup open`; split at spaces.
    #[serde(default)]
    pub extra_open_args: Vec<String>,
    /// What goes into it.
    #[serde(default)]
    pub content: Option<Content>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}
