//! `disko.devices`, evaluated to JSON, as a typed tree. Keys are disko's; what disko accepts and is not made
//! here is refused by its path before anything else happens.
//!
//! One struct for each content type of disko. `device` keys inside of contents, which disko computes for its
//! scripts, are read over: this engine works by the devices that it opened or made itself.

mod check;
mod raw;
mod value;

pub use value::{key_files, words};

use protocol::failure::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use value::{content, null_is_default};

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
    #[serde(default, deserialize_with = "content")]
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

/// A GUID partition table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Gpt {
    /// By disko's name of the partition.
    pub partitions: BTreeMap<String, Partition>,
    /// In a hybrid MBR, the protective entry comes first.
    #[serde(default = "yes")]
    pub efi_gpt_partition_first: bool,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A partition of a [`Gpt`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Order on the disk: small first.
    #[serde(default)]
    priority: Option<i64>,
    /// `500M`, `100%`; `end` says the same where both are there.
    #[serde(default)]
    pub size: Option<String>,
    /// As sgdisk takes it; `0`: the next free place.
    #[serde(default)]
    pub start: Option<String>,
    /// As sgdisk takes it: `+500M`, `-0`, `-1M`, `128M`.
    #[serde(default)]
    pub end: Option<String>,
    /// Sectors; 0 for 1 MiB.
    #[serde(default)]
    pub alignment: u64,
    /// Bits of the attribute field.
    #[serde(default)]
    pub attributes: Vec<u8>,
    /// sgdisk's four digits, or a GUID.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// Name in the table.
    #[serde(default)]
    pub label: Option<String>,
    /// Fixed GUID.
    #[serde(default)]
    pub uuid: Option<uuid::Uuid>,
    /// What goes into it.
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
    /// Its entry in a hybrid MBR.
    #[serde(default)]
    pub hybrid: Option<Hybrid>,
    /// disko's name, where it is not the key.
    #[serde(default)]
    pub name: Option<String>,
}

impl Partition {
    /// sgdisk's four digits, or a GUID.
    pub fn kind(&self) -> &str {
        let default = if matches!(self.content, Some(Content::Swap(_))) { "8200" } else { "8300" };
        self.kind.as_deref().unwrap_or(default)
    }

    /// Order on the disk: what takes the rest comes last, and what some BIOS wants first comes first.
    pub fn priority(&self) -> i64 {
        self.priority.unwrap_or(match (self.kind(), self.size.as_deref()) {
            (_, Some("100%")) => 9001,
            ("EF02" | "ef02", _) => 100,
            _ => 1000,
        })
    }
}

/// An entry of the hybrid MBR.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Hybrid {
    /// `0x0c`.
    pub mbr_partition_type: Option<String>,
    /// Marked active.
    pub mbr_bootable_flag: bool,
}

/// disko's legacy partition table, in the words of parted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Of the table.
    #[serde(default)]
    pub format: TableFormat,
    /// In the order of the disk.
    pub partitions: Vec<TablePartition>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// Kind of a legacy table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum TableFormat {
    #[default]
    Gpt,
    Msdos,
}

/// A partition of a [`Table`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TablePartition {
    #[allow(missing_docs)]
    #[serde(default)]
    pub part_type: PartType,
    /// What parted is told of the content: it decides the type code.
    #[serde(default)]
    pub fs_type: Option<String>,
    /// Name in a GPT.
    #[serde(default)]
    pub name: Option<String>,
    /// `1M` is a million bytes here, `1MiB` is not; or percent.
    #[serde(default)]
    pub start: Option<String>,
    /// As `start`.
    #[serde(default)]
    pub end: Option<String>,
    /// parted's flags.
    #[serde(default)]
    pub flags: Vec<String>,
    /// parted's `boot` flag.
    #[serde(default)]
    pub bootable: bool,
    /// What goes into it.
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
}

/// Where a partition of an msdos table is described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PartType {
    #[default]
    Primary,
    Extended,
    Logical,
}

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
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A physical volume of LVM.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LvmPv {
    /// Key in `lvm_vg`.
    pub vg: String,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A member of a software RAID.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mdraid {
    /// Key in `mdadm`.
    pub name: String,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

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

/// A software RAID array.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Array {
    #[allow(missing_docs)]
    #[serde(default)]
    pub name: Option<String>,
    /// 0, 1, 4, 5, 6, 10.
    #[serde(default = "mirrored")]
    pub level: i64,
    /// `1.2`, `default` ...
    #[serde(default)]
    pub metadata: Option<String>,
    /// For `mdadm --create`, one argument each.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// What goes onto it.
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeGroup {
    #[allow(missing_docs)]
    #[serde(default)]
    pub name: Option<String>,
    /// By disko's name of the volume.
    #[serde(default)]
    pub lvs: BTreeMap<String, Volume>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    #[allow(missing_docs)]
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    priority: Option<i64>,
    /// `10G`, `100%`, `100%FREE`, `50%VG`, or a number of extents.
    pub size: String,
    #[allow(missing_docs)]
    #[serde(default)]
    pub lvm_type: Option<LvmType>,
    /// For lvcreate; split at spaces.
    #[serde(default, rename = "extraArgs")]
    pub extra_args: Vec<String>,
    /// The thin pool of a `thinlv`.
    #[serde(default)]
    pub pool: Option<String>,
    /// What goes into it.
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
    #[allow(missing_docs)]
    #[serde(default)]
    pub hooks: Hooks,
}

impl Volume {
    /// Order of creation: pools before what lies in them, and what takes the rest last.
    pub fn priority(&self) -> i64 {
        let kind = if self.lvm_type == Some(LvmType::ThinPool) { 501 } else { 1000 };
        self.priority.unwrap_or(kind + if self.size.contains("100%") { 251 } else { 0 })
    }
}

/// `lvcreate --type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum LvmType {
    Mirror,
    Raid0,
    Raid1,
    Raid4,
    Raid5,
    Raid6,
    Raid10,
    ThinPool,
    #[serde(rename = "thinlv")]
    ThinVolume,
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
    #[serde(deserialize_with = "value::one_or_many")]
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
    #[serde(default, deserialize_with = "content")]
    pub content: Option<Content>,
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

fn mirrored() -> i64 {
    1
}

fn defaults() -> Vec<String> {
    vec!["defaults".to_owned()]
}

impl Layout {
    /// Reads and checks a layout.
    ///
    /// # Errors
    /// `E-LAYOUT` with the path of what cannot be made here.
    pub fn read(devices: &Value, hooks_allowed: bool) -> Result<Self> {
        let tree = raw::prepare(devices, hooks_allowed)?;
        let layout: Layout = serde_path_to_error::deserialize(tree).map_err(|error| value::refusal(&error))?;
        check::check(&layout)?;
        Ok(layout)
    }
}

#[cfg(test)]
pub mod tests;
