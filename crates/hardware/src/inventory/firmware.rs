//! What the firmware says: SMBIOS, BIOS or UEFI, TPM; and the PCI functions.

use super::sysfs::Dir;
use protocol::inventory::{Dmi, Firmware, PciDevice};

/// SMBIOS strings; the serial numbers are readable by root only.
pub fn dmi(sys: &Dir) -> Dmi {
    let id = sys.join("class/dmi/id");
    Dmi {
        vendor: id.text("sys_vendor"),
        product: id.text("product_name"),
        serial: id.text("product_serial"),
        uuid: id.text("product_uuid"),
        board_serial: id.text("board_serial"),
        chassis_serial: id.text("chassis_serial"),
        bios_version: id.text("bios_version"),
    }
}

/// How the machine was booted.
pub fn kind(sys: &Dir) -> Firmware {
    if sys.has("firmware/efi") { Firmware::Uefi } else { Firmware::Bios }
}

/// A TPM that the kernel has a driver for.
pub fn has_tpm(sys: &Dir) -> bool {
    !sys.join("class/tpm").entries().is_empty()
}

/// The PCI functions, by address.
pub fn pci(sys: &Dir) -> Vec<PciDevice> {
    let hex = |dir: &Dir, name: &str| dir.text(name).map(|text| text.trim_start_matches("0x").to_owned());
    let function = |dir: &Dir| {
        Some(PciDevice {
            address: dir.name(),
            vendor: hex(dir, "vendor")?,
            device: hex(dir, "device")?,
            class: hex(dir, "class").unwrap_or_default(),
            driver: dir.link_name("driver"),
        })
    };
    sys.join("bus/pci/devices").entries().iter().filter_map(function).collect()
}
