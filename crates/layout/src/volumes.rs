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
    /// `10G`, `10GiB`, `100%`, `100%FREE`, `50%VG`; a number alone is mebibytes.
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
    /// How large it is to be.
    pub fn amount(&self) -> Option<VolumeSize> {
        VolumeSize::parse(&self.size)
    }

    /// Order of creation: pools before what lies in them, and what takes the rest last.
    pub fn priority(&self) -> i64 {
        let kind = if self.lvm_type == Some(LvmType::ThinPool) { 501 } else { 1000 };
        self.priority.unwrap_or(kind + if self.size.contains("100%") { 251 } else { 0 })
    }
}

/// How large a volume is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VolumeSize {
    /// Of its own.
    Bytes(u64),
    /// Percent of what is left of the group by then.
    OfFree(f64),
    /// Percent of the group, which is all its physical volumes.
    OfGroup(f64),
    /// Percent of what a snapshot is made of.
    OfOrigin(f64),
}

impl VolumeSize {
    /// As lvcreate reads it, with units of 1024 whatever their case; nothing where it would not.
    fn parse(text: &str) -> Option<Self> {
        let number = text.trim_end_matches(|char: char| char.is_ascii_alphabetic() || char == '%');
        let unit = text[number.len()..].to_ascii_uppercase();
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let amount = number.parse::<f64>().ok().filter(|_| is_plain)?;
        let short = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).filter(|short| !short.is_empty());
        let bytes = |unit: f64| Some(VolumeSize::Bytes((amount * unit) as u64));
        match short.unwrap_or(&unit) {
            "%" | "%FREE" => Some(VolumeSize::OfFree(amount)),
            "%VG" | "%PVS" => Some(VolumeSize::OfGroup(amount)),
            "%ORIGIN" => Some(VolumeSize::OfOrigin(amount)),
            "B" if short.is_none() => bytes(1.0),
            "S" if short.is_none() => bytes(512.0),
            "K" => bytes(1024.0),
            "" | "M" => bytes(1_048_576.0),
            "G" => bytes(1_073_741_824.0),
            "T" => bytes(1_099_511_627_776.0),
            "P" => bytes(1_125_899_906_842_624.0),
            _ => None,
        }
    }

    /// Nothing at all.
    pub fn is_zero(self) -> bool {
        match self {
            VolumeSize::Bytes(bytes) => bytes == 0,
            VolumeSize::OfFree(percent) | VolumeSize::OfGroup(percent) | VolumeSize::OfOrigin(percent) => {
                percent <= 0.0
            }
        }
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
