//! The hardware facts that the agent read.

use crate::{
    boot_trust::{Fetched, SecureBoot},
    names::Mac,
};
use serde::{Deserialize, Serialize};

/// Everything the agent read of a machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Processors.
    pub cpu: Cpu,
    /// Usable memory, bytes.
    pub memory_bytes: u64,
    /// Whole disks, without loop, RAM and device-mapper devices.
    pub disks: Vec<Disk>,
    /// Network cards that stand on a bus.
    pub nics: Vec<Nic>,
    /// What the firmware says of the machine.
    pub dmi: Dmi,
    /// How the machine was booted.
    pub firmware: Firmware,
    /// A TPM is present.
    pub tpm: bool,
    /// Secure Boot, as the firmware says.
    pub secure_boot: SecureBoot,
    /// How what the machine runs came to it.
    #[serde(skip_serializing_if = "Fetched::is_plainly")]
    pub fetched: Fetched,
    /// PCI devices.
    pub pci: Vec<PciDevice>,
    /// Release of the kernel that runs the agent.
    pub kernel: String,
}

/// Bytes of JSON that an inventory has at most: a few times that of the largest server that was seen.
pub const MOST_BYTES: usize = 128 << 10;

impl Inventory {
    /// The inventory with as much of it as fits into [`MOST_BYTES`]: PCI devices are left out first, then the cards and
    /// disks that come last, and what is written at length by nobody honest goes whole.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let size = |inventory: &Self| serde_json::to_vec(inventory).map_or(usize::MAX, |bytes| bytes.len());
        while size(&self) > MOST_BYTES {
            if !self.pci.is_empty() {
                self.pci.truncate(self.pci.len() / 2);
            } else if self.nics.len().max(self.disks.len()) > 1 {
                self.nics.truncate(self.nics.len().div_ceil(2));
                self.disks.truncate(self.disks.len().div_ceil(2));
            } else {
                let Self { memory_bytes, firmware, tpm, secure_boot, fetched, .. } = self;
                return Self { memory_bytes, firmware, tpm, secure_boot, fetched, ..Self::default() };
            }
        }
        self
    }
}

/// Processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Model name of the first processor.
    pub model: String,
    /// Logical processors.
    pub threads: u32,
    /// Physical cores; 0 where the kernel does not say.
    pub cores: u32,
}

/// A whole disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Kernel name: `vda`, `nvme0n1`.
    pub name: String,
    /// Serial number, trimmed.
    pub serial: Option<String>,
    /// World-wide name, with its prefix (`0x5000...`, `eui.`, `naa.`) as the kernel prints it.
    pub wwn: Option<String>,
    /// Model, trimmed.
    pub model: Option<String>,
    /// Vendor, trimmed.
    pub vendor: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Logical sector size, bytes.
    pub sector_size: u32,
    /// Spins.
    pub rotational: bool,
    /// How it is attached.
    pub transport: Transport,
    /// Write-protected.
    pub read_only: bool,
    /// The medium can be taken out.
    pub removable: bool,
    /// `host:channel:target:lun` of a SCSI disk.
    pub hctl: Option<String>,
    /// Names in /dev/disk/by-id without the folder, as udev would make them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_id: Vec<String>,
    /// Path in /dev/disk/by-path without the folder, as udev would name it, where it can be derived.
    pub by_path: Option<String>,
    /// The kernel's number for this very medium: no two disks have the same between two boots.
    pub diskseq: Option<u64>,
    /// The kernel's identifier of the unit, in whatever form; the paths of one multipath disk have the same.
    pub wwid: Option<String>,
    /// Sector size of the medium, bytes; 0 where the kernel does not say.
    pub physical_sector_size: u32,
    /// Takes discards (TRIM, UNMAP).
    pub discard: bool,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Transport {
    Nvme,
    Sata,
    Sas,
    Scsi,
    Virtio,
    Usb,
    Mmc,
    Xen,
    #[default]
    #[serde(other)]
    Unknown,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Kernel name.
    pub name: String,
    /// Permanent hardware address.
    pub mac: Mac,
    /// What it stands on: `pci`, `usb`, `virtio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// Name of the driver.
    #[serde(default)]
    pub driver: Option<String>,
    /// A carrier is there.
    #[serde(default)]
    pub link: bool,
    /// Mbit/s where the driver says.
    #[serde(default)]
    pub speed: Option<u32>,
}

/// SMBIOS strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Dmi {
    pub vendor: Option<String>,
    pub product: Option<String>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
    pub board_serial: Option<String>,
    pub chassis_serial: Option<String>,
    pub bios_version: Option<String>,
}

/// How the machine was booted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// Legacy BIOS.
    #[default]
    Bios,
    /// UEFI.
    Uefi,
}

/// A PCI function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PciDevice {
    /// `0000:00:1f.2`.
    pub address: String,
    /// Vendor id, four hex digits.
    pub vendor: String,
    /// Device id, four hex digits.
    pub device: String,
    /// Class, six hex digits.
    pub class: String,
    /// Driver bound to it.
    pub driver: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_cut_to_what_a_server_keeps() {
        let size = |inventory: &Inventory| serde_json::to_vec(inventory).unwrap().len();
        let disk = |n: usize| Disk { name: format!("sd{n}"), model: Some("m".repeat(500)), ..Disk::default() };
        let rack = Inventory { disks: (0..100).map(disk).collect(), ..Inventory::default() };
        assert_eq!(rack.clone().bounded(), rack, "an honest one stays as it is");
        let many = Inventory { disks: (0..10_000).map(disk).collect(), memory_bytes: 7, ..Inventory::default() };
        let cut = many.bounded();
        assert!(size(&cut) <= MOST_BYTES && !cut.disks.is_empty() && cut.memory_bytes == 7);
        let long = Inventory { kernel: "k".repeat(MOST_BYTES), memory_bytes: 7, ..Inventory::default() };
        assert_eq!(long.bounded(), Inventory { memory_bytes: 7, ..Inventory::default() });
    }
}
