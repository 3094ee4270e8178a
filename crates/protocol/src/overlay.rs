//! Tool overlays: what an image does not carry itself, as hardly any machine needs it. The image-builder makes them,
//! the image lists them by hash, and the agent fetches those that a layout needs.

use crate::artefact::Artefact;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Where an image lists its overlays.
pub const LIST: &str = "/etc/centra/overlays.json";

/// The overlays of an image; the bytes of each are a NAR, compressed with zstd, of a tree to be merged into `/`.
pub type OverlayList = BTreeMap<ToolSet, Artefact>;

/// The programs and kernel modules of one kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ToolSet {
    Bcachefs,
    Btrfs,
    F2fs,
    Luks,
    Lvm,
    Mdadm,
    Xfs,
    Zfs,
}

impl ToolSet {
    /// Every set, in order.
    pub const ALL: &'static [ToolSet] =
        &[Self::Bcachefs, Self::Btrfs, Self::F2fs, Self::Luks, Self::Lvm, Self::Mdadm, Self::Xfs, Self::Zfs];

    /// As it is written in lists, on command lines and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bcachefs => "bcachefs",
            Self::Btrfs => "btrfs",
            Self::F2fs => "f2fs",
            Self::Luks => "luks",
            Self::Lvm => "lvm",
            Self::Mdadm => "mdadm",
            Self::Xfs => "xfs",
            Self::Zfs => "zfs",
        }
    }

    /// Programs without which the set is none. LVM's commands are all called as `lvm COMMAND`.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Bcachefs => &["bcachefs", "mkfs.bcachefs"],
            Self::Btrfs => &["btrfs", "mkfs.btrfs"],
            Self::F2fs => &["mkfs.f2fs"],
            Self::Luks => &["cryptsetup"],
            Self::Lvm => &["lvm"],
            Self::Mdadm => &["mdadm"],
            Self::Xfs => &["mkfs.xfs"],
            Self::Zfs => &["zpool", "zfs"],
        }
    }

    /// Programs that those run, taken where they are installed: LVM checks a thin pool before it is activated, and
    /// arrays with the metadata of a firmware RAID are kept by `mdmon`.
    pub fn helpers(self) -> &'static [&'static str] {
        match self {
            Self::Lvm => &["thin_check", "cache_check"],
            Self::Mdadm => &["mdmon"],
            _ => &[],
        }
    }

    /// Kernel modules without which the set is none, loaded before its first use.
    pub fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Bcachefs => &["bcachefs"],
            Self::Btrfs => &["btrfs"],
            Self::F2fs => &["f2fs"],
            // cryptsetup encrypts its key slots through the kernel's socket interface to the ciphers.
            Self::Luks => &["dm-crypt", "xts", "af_alg", "algif_skcipher"],
            Self::Lvm => &["dm-mod"],
            Self::Mdadm => &["md-mod"],
            Self::Xfs => &["xfs"],
            Self::Zfs => &["zfs"],
        }
    }

    /// Modules that are taken where the kernel has them. The kernel asks for them by itself when they are needed, but
    /// for faster ciphers ([`ToolSet::accelerators`]).
    pub fn optional_modules(self) -> &'static [&'static str] {
        match self {
            Self::Luks => &[
                "aesni-intel",
                "algif_hash",
                "algif_aead",
                "algif_rng",
                "cbc",
                "ctr",
                "ecb",
                "essiv",
                "lrw",
                "adiantum",
                "aegis128",
                "authenc",
                "chacha20poly1305",
                "camellia_generic",
                "serpent_generic",
                "twofish_generic",
                "hmac",
                "sha256",
                "sha256_generic",
                "sha512",
                "sha512_generic",
                "dm-integrity",
            ],
            Self::Lvm => &[
                "dm-cache",
                "dm-cache-smq",
                "dm-integrity",
                "dm-mirror",
                "dm-raid",
                "dm-snapshot",
                "dm-thin-pool",
                "dm-writecache",
                "dm-zero",
                "raid0",
                "raid1",
                "raid10",
                "raid456",
            ],
            Self::Mdadm => &["linear", "raid0", "raid1", "raid10", "raid456"],
            _ => &[],
        }
    }

    /// Those of the optional modules that nothing asks for once the slower ones are there.
    pub fn accelerators(self) -> &'static [&'static str] {
        match self {
            Self::Luks => &["aesni-intel"],
            _ => &[],
        }
    }

    /// Debian's packages with the programs.
    pub fn packages(self) -> &'static str {
        match self {
            Self::Bcachefs => "bcachefs-tools",
            Self::Btrfs => "btrfs-progs",
            Self::F2fs => "f2fs-tools",
            Self::Luks => "cryptsetup-bin",
            Self::Lvm => "lvm2 and thin-provisioning-tools",
            Self::Mdadm => "mdadm",
            Self::Xfs => "xfsprogs",
            Self::Zfs => "zfsutils-linux and zfs-dkms",
        }
    }
}

impl fmt::Display for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no tool set's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownToolSet(pub String);

impl fmt::Display for UnknownToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = ToolSet::ALL.iter().map(|set| set.name()).collect();
        write!(f, "no tool set {:?}; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownToolSet {}

impl FromStr for ToolSet {
    type Err = UnknownToolSet;

    fn from_str(text: &str) -> Result<Self, UnknownToolSet> {
        Self::ALL.iter().find(|set| set.name() == text).copied().ok_or_else(|| UnknownToolSet(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Sha256;

    #[test]
    fn a_set_has_one_name_everywhere() {
        for set in ToolSet::ALL {
            assert_eq!(serde_json::to_string(set).unwrap(), format!("\"{set}\""));
            assert_eq!(set.name().parse(), Ok(*set));
        }
        assert!("LVM".parse::<ToolSet>().unwrap_err().to_string().contains("lvm, mdadm"));
    }

    #[test]
    fn a_set_is_told_by_a_program_and_needs_a_module() {
        for set in ToolSet::ALL {
            assert!(!set.programs().is_empty() && !set.modules().is_empty() && !set.packages().is_empty());
            assert!(set.accelerators().iter().all(|module| set.optional_modules().contains(module)));
        }
        assert!(ToolSet::ALL.is_sorted());
    }

    #[test]
    fn the_list_is_written_by_name() {
        let list = OverlayList::from([(ToolSet::Lvm, Artefact { sha256: Sha256::of(b"x"), size: 1 })]);
        let json = serde_json::to_string(&list).unwrap();
        assert!(json.starts_with("{\"lvm\":{"), "{json}");
        assert_eq!(serde_json::from_str::<OverlayList>(&json).unwrap(), list);
        assert!(serde_json::from_str::<OverlayList>("{\"floppy\":{}}").is_err());
    }
}
