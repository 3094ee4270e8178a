//! Profiles: which hardware an image can drive and which tools it carries.

use protocol::{Code, Failure, failure::Result};

/// What an image is made of beside kernel, agent and trust anchors.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Name on the command line, in the index and in the boot URL.
    pub name: &'static str,
    /// Modules that must be there, as files or built in.
    pub modules: &'static [&'static str],
    /// Modules that are taken where this kernel has them: a cloud kernel has no e1000.
    pub optional: &'static [&'static str],
    /// Programs put into /bin.
    pub tools: &'static [&'static str],
}

const PROFILES: &[Profile] = &[Profile {
    name: "vm",
    modules: &[
        "virtio_pci",
        "virtio_net",
        "virtio_blk",
        "virtio_scsi",
        "sd_mod",
        "nvme", // how machines are attached
        "ext4",
        "vfat",
        "nls_cp437",
        "nls_ascii",
        "nls_iso8859-1", // the file systems of an installation
        "efivarfs",
    ],
    optional: &[
        "virtio-rng",
        "virtio_console",
        "e1000",
        "e1000e",
        "ahci",
        "ata_piix", // QEMU, Proxmox, VirtualBox
        "mptspi",
        "vmw_pvscsi",
        "vmxnet3", // VMware
        "hv_netvsc",
        "hv_storvsc",
        "hv_utils", // Hyper-V
        "xen-netfront",
        "xen-blkfront", // Xen
        "tpm_tis",
        "tpm_crb",
        "rtc-cmos",
        "crc32c_generic",
        "crc32c-intel",
    ],
    tools: &["mkfs.ext4", "mkfs.vfat"],
}];

/// The profile of a name.
///
/// # Errors
/// `E-IMAGE` with the names there are.
pub fn find(name: &str) -> Result<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        Failure::new(Code::Image, format!("choosing profile {name:?}: there is none of that name"))
            .with_remedy(format!("choose one of: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_profile_is_refused_with_those_there_are() {
        assert!(find("x").unwrap_err().remedy.contains("vm"));
    }

    #[test]
    fn the_name_of_a_profile_can_be_a_url_segment() {
        for profile in PROFILES {
            assert!(profile.name.parse::<protocol::names::NodeName>().is_ok());
        }
    }
}
