//! Software RAID and LVM.

use super::{Content, Hooks};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    #[serde(default)]
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
    #[serde(default)]
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

fn mirrored() -> i64 {
    1
}
