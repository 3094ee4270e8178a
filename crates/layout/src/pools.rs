//! ZFS and bcachefs, which manage their devices themselves.

use super::{
    Content, Hooks, defaults,
    form::{null_is_default, one_or_many},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A member of a ZFS pool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZfsMember {
    /// Key in `zpool`.
    pub pool: String,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A ZFS pool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pool {
    #[allow(missing_docs)]
    #[serde(default)]
    pub name: Option<String>,
    /// Redundancy of all members together, or each member's place.
    #[serde(default)]
    pub mode: PoolMode,
    /// `-o` of `zpool create`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// `-O` of `zpool create`.
    #[serde(default)]
    pub root_fs_options: BTreeMap<String, String>,
    /// Of the root dataset.
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// Of the root dataset.
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    /// By their name below the pool.
    #[serde(default)]
    pub datasets: BTreeMap<String, Dataset>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// How the members of a pool are arranged.
#[derive(Debug, Clone, PartialEq)]
pub enum PoolMode {
    /// `` (striped), `mirror`, `raidz` ...
    Uniform(String),
    /// Each member in its place.
    Topology(Box<Topology>),
}

/// Where each member of a pool goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Topology {
    pub vdev: Vec<Vdev>,
    pub spare: Vec<String>,
    pub log: Vec<Vdev>,
    pub dedup: Vec<Vdev>,
    #[serde(deserialize_with = "one_or_many")]
    pub special: Vec<Vdev>,
    pub cache: Vec<String>,
}

/// Devices that are redundant among each other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vdev {
    /// `` or `mirror`, `raidz` ...
    #[serde(default)]
    pub mode: String,
    /// Names of disks of the layout, or paths.
    pub members: Vec<String>,
}

/// A dataset of a pool.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Dataset {
    Filesystem(Box<ZfsFilesystem>),
    Volume(Box<ZfsVolume>),
}

/// A file system of ZFS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ZfsFilesystem {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    #[serde(default)]
    pub mountpoint: Option<String>,
    #[serde(default = "defaults")]
    pub mount_options: Vec<String>,
    #[serde(default)]
    pub hooks: Hooks,
}

/// A block device of ZFS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ZfsVolume {
    #[serde(default)]
    pub name: Option<String>,
    pub size: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// For `zfs create`, one argument each.
    #[serde(default)]
    pub extra_args: Vec<String>,
    #[serde(default, rename = "mountOptions")]
    pub _mount_options: Vec<String>,
    #[serde(default)]
    pub content: Option<Content>,
    #[serde(default)]
    pub hooks: Hooks,
}

/// A member of a bcachefs file system.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BcachefsMember {
    /// Key in `bcachefs_filesystems`.
    pub filesystem: String,
    #[allow(missing_docs)]
    #[serde(default)]
    pub label: String,
    /// For `bcachefs format`, for this device.
    #[serde(default)]
    pub extra_format_args: Vec<String>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A bcachefs file system.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BcachefsFilesystem {
    #[serde(default)]
    pub name: Option<String>,
    /// For `bcachefs format`, for the whole.
    #[serde(default)]
    pub extra_format_args: Vec<String>,
    #[serde(default)]
    pub mountpoint: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub mount_options: Vec<String>,
    #[serde(default)]
    pub uuid: Option<uuid::Uuid>,
    /// A file with the passphrase: the file system is encrypted.
    #[serde(default)]
    pub password_file: Option<String>,
    #[serde(default)]
    pub subvolumes: BTreeMap<String, BcachefsSubvolume>,
    #[serde(default)]
    pub hooks: Hooks,
}

/// A subvolume of bcachefs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BcachefsSubvolume {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub mountpoint: Option<String>,
    #[serde(default)]
    pub mount_options: Vec<String>,
    #[serde(default)]
    pub hooks: Hooks,
}
