//! Disks of a laboratory: how they are attached to QEMU and what they say of themselves.

use serde_json::{Map, Value, json};
use std::path::Path;

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk, `/dev/vdX`.
    Virtio,
    /// An NVMe controller with one namespace, `/dev/nvmeXn1`.
    Nvme,
    /// The chipset's SATA controller, `/dev/sdX`; it has 6 ports and cannot be plugged while the machine runs.
    Ahci,
    /// virtio-scsi, `/dev/sdX`.
    Scsi,
    /// USB mass storage, `/dev/sdX`.
    Usb,
}

impl Bus {
    /// Whether the kernel looks at such disks side by side, so that whichever is quicker is `sda`. They are plugged in one
    /// after the other instead.
    pub(super) fn is_named_by_chance(self) -> bool {
        matches!(self, Bus::Scsi | Bus::Usb)
    }

    /// Modules that reach such a disk.
    pub(super) fn modules(self) -> &'static [&'static str] {
        match self {
            Bus::Virtio => &["virtio_blk"],
            Bus::Nvme => &["nvme"],
            Bus::Ahci => &["ahci", "sd_mod"],
            Bus::Scsi => &["virtio_scsi", "sd_mod"],
            Bus::Usb => &["xhci_pci", "usb_storage", "sd_mod"],
        }
    }
}

/// A disk that a laboratory makes: empty, sparse.
#[derive(Debug, Clone)]
pub struct LabDisk {
    pub(super) bus: Bus,
    pub(super) mebibytes: u64,
    pub(super) read_only: bool,
    pub(super) faults: Option<String>,
    pub(super) volatile: bool,
    properties: Map<String, Value>,
}

impl LabDisk {
    /// A disk with this serial number; the same one twice makes two equal disks.
    pub fn new(bus: Bus, serial: &str, mebibytes: u64) -> Self {
        let properties = Map::from_iter([("serial".to_owned(), json!(serial))]);
        LabDisk { bus, mebibytes, read_only: false, faults: None, volatile: false, properties }
    }

    /// Sets a property of QEMU's device, such as `rotation_rate`, `vendor`, `product` or `model`.
    #[must_use]
    pub fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    /// Sectors, bytes: (512, 4096) is 512e, (4096, 4096) is 4Kn.
    #[must_use]
    pub fn sectors(self, logical: u32, physical: u32) -> Self {
        self.with("logical_block_size", logical).with("physical_block_size", physical)
    }

    /// World wide name; SCSI and SATA disks have one.
    #[must_use]
    pub fn wwn(self, wwn: u64) -> Self {
        self.with("wwn", wwn)
    }

    /// Write-protected; a SATA disk cannot be.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Fails as this configuration of QEMU's blkdebug says, from the next power-on.
    #[must_use]
    pub fn faults(mut self, blkdebug: &str) -> Self {
        self.faults = Some(blkdebug.to_owned());
        self
    }

    /// Loses in a power cut what was not flushed. Discards are not offered then.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        self.properties.get("serial").and_then(Value::as_str).unwrap_or_default()
    }

    /// QEMU's block device over a file, for `-blockdev` and `blockdev-add`. `faults` is the file of [`Self::faults`].
    pub(super) fn blockdev(&self, id: &str, mut file: Value, faults: Option<&Path>) -> Value {
        if let Some(faults) = faults {
            file = json!({ "driver": "blkdebug", "config": faults, "image": file });
        }
        json!({
            "driver": "raw", "node-name": format!("{id}-image"), "file": file,
            "read-only": self.read_only, "discard": "unmap",
        })
    }

    /// QEMU's device, for `-device` and `device_add`. `slot` is the number of its own port.
    pub(super) fn device(&self, id: &str, slot: usize) -> Value {
        let mut device = self.properties.clone();
        let mut set = |key: &str, value: Value| device.insert(key.to_owned(), value);
        set("id", json!(id));
        set("drive", json!(format!("{id}-image")));
        let (driver, bus) = match self.bus {
            Bus::Virtio => ("virtio-blk-pci", format!("port{slot}")),
            Bus::Nvme => ("nvme", format!("port{slot}")),
            Bus::Ahci => ("ide-hd", format!("ide.{slot}")),
            Bus::Scsi => ("scsi-hd", "scsi.0".to_owned()),
            Bus::Usb => ("usb-storage", "xhci.0".to_owned()),
        };
        set("driver", json!(driver));
        set("bus", json!(bus));
        if self.bus == Bus::Usb {
            set("removable", json!(true));
        }
        Value::Object(device)
    }
}

/// Reads `BUS:SERIAL:MEBIBYTES`, as the command line has it.
impl std::str::FromStr for LabDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (Some(bus), Some(serial), Some(size), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("{text:?} is not BUS:SERIAL:MEBIBYTES"));
        };
        let bus = match bus {
            "virtio" => Bus::Virtio,
            "nvme" => Bus::Nvme,
            "ahci" => Bus::Ahci,
            "scsi" => Bus::Scsi,
            "usb" => Bus::Usb,
            _ => return Err(format!("{bus:?} is none of virtio, nvme, ahci, scsi and usb")),
        };
        let mebibytes = size.parse().map_err(|error| format!("reading the size {size:?}: {error}"))?;
        Ok(LabDisk::new(bus, serial, mebibytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_read_from_a_command_line() {
        let disk: LabDisk = "nvme:abc 1:64".parse().expect("a disk");
        assert_eq!((disk.bus, disk.serial(), disk.mebibytes), (Bus::Nvme, "abc 1", 64));
        for wrong in ["", "nvme:a", "floppy:a:1", "nvme:a:x", "nvme:a:1:2"] {
            assert!(wrong.parse::<LabDisk>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_says_what_was_asked_for() {
        let disk = LabDisk::new(Bus::Scsi, "s", 1).sectors(4096, 4096).wwn(7).with("rotation_rate", 1);
        let device = disk.device("disk0", 3);
        assert_eq!(device["logical_block_size"], 4096);
        assert_eq!((&device["wwn"], &device["rotation_rate"]), (&json!(7), &json!(1)));
        assert_eq!((&device["bus"], &device["drive"]), (&json!("scsi.0"), &json!("disk0-image")));
    }
}
