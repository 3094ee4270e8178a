//! Whole disks, as /sys/block shows them.

use super::{by_id, by_path, sysfs::Dir};
use protocol::inventory::{Disk, Transport};
use std::path::Path;

/// Bytes of a sector in the kernel's `size`, whatever the disk's own sectors are.
const SIZE_UNIT: u64 = 512;

/// Every whole disk that stands on a bus and can be written, in the order of names.
pub fn read(sys: &Dir) -> Vec<Disk> {
    sys.join("block").entries().iter().filter(|block| is_disk(block)).map(|block| disk(sys, block)).collect()
}

/// Loop, RAM, device-mapper and md devices stand on no bus. Optical drives, floppies and the boot areas of an
/// eMMC do, and `hidden` ones are single paths of an NVMe that has several.
fn is_disk(block: &Dir) -> bool {
    let name = block.name();
    let other = ["sr", "fd", "mtdblock", "zram", "loop", "ram", "nbd"].iter().any(|prefix| name.starts_with(prefix));
    let mmc_area = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    block.has("device") && !other && !mmc_area && !block.flag("hidden")
}

/// The disk or loop device of a folder of /sys/block.
pub fn disk(sys: &Dir, block: &Dir) -> Disk {
    let device = block.join("device");
    let real = block.follow("device");
    let transport = transport(&block.name(), real.as_ref());
    let identity = by_id::ata_identity(&device.bytes("vpd_pg89").unwrap_or_default());
    let (whole_model, whole_serial) = identity.map_or((None, None), |identity| (identity.model, identity.serial));
    let name = || device.text("name").filter(|_| transport == Transport::Mmc);
    let mut disk = Disk {
        name: block.name(),
        serial: whole_serial.or_else(|| serial(block, real.as_ref(), transport)),
        wwn: wwn(block),
        model: whole_model.or_else(|| device.text("model")).or_else(name),
        vendor: device.text("vendor"),
        size: block.number("size").unwrap_or(0).saturating_mul(SIZE_UNIT),
        sector_size: sector_size(block, "queue/logical_block_size").max(512),
        rotational: block.flag("queue/rotational"),
        transport,
        read_only: block.flag("ro"),
        removable: block.flag("removable"),
        hctl: real.as_ref().filter(|real| is_scsi(real)).map(Dir::name),
        by_id: Vec::new(),
        by_path: by_path::derive(sys, block),
        diskseq: block.number("diskseq"),
        wwid: block.text("wwid").or_else(|| device.text("wwid")),
        physical_sector_size: sector_size(block, "queue/physical_block_size"),
        discard: block.number("queue/discard_max_bytes").is_some_and(|most| most > 0),
    };
    disk.by_id = by_id::derive(&by_id::Source {
        block,
        device: &device,
        transport,
        model: disk.model.as_deref(),
        serial: disk.serial.as_deref(),
        wwn: disk.wwn.as_deref(),
    });
    disk
}

/// An image file, as a disk of sectors of 512 bytes whose name is its path.
///
/// # Errors
/// Where it cannot be opened or measured.
pub fn of_file(path: &Path) -> std::io::Result<Disk> {
    let path = path.canonicalize()?;
    let size = std::fs::metadata(&path)?.len();
    Ok(Disk {
        name: path.to_string_lossy().into_owned(),
        size,
        sector_size: 512,
        physical_sector_size: 512,
        ..Disk::default()
    })
}

fn sector_size(block: &Dir, attribute: &str) -> u32 {
    block.number(attribute).and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
}

fn is_scsi(device: &Dir) -> bool {
    by_path::hctl(&device.name()).is_some()
}

fn transport(name: &str, device: Option<&Dir>) -> Transport {
    let path = device.map(|device| device.path().to_string_lossy().into_owned()).unwrap_or_default();
    let below = |part: &str| path.contains(&format!("/{part}"));
    match name {
        _ if name.starts_with("nvme") => Transport::Nvme,
        _ if name.starts_with("mmcblk") => Transport::Mmc,
        _ if name.starts_with("xvd") => Transport::Xen,
        _ if below("usb") => Transport::Usb,
        _ if below("ata") => Transport::Sata,
        _ if below("end_device-") => Transport::Sas,
        _ if device.is_some_and(is_scsi) => Transport::Scsi,
        _ if name.starts_with("vd") || below("virtio") => Transport::Virtio,
        _ => Transport::Unknown,
    }
}

/// virtio has it at the disk, NVMe and MMC at the device, SCSI and ATA in a page of their own, a USB stick at
/// the plug.
fn serial(block: &Dir, device: Option<&Dir>, transport: Transport) -> Option<String> {
    let at_device = || device.and_then(|device| device.text("serial"));
    let page = || device.and_then(|device| unit_serial(&device.bytes("vpd_pg80")?));
    let plug = || {
        let usb = (transport == Transport::Usb).then_some(device).flatten()?;
        let above = usb.path().ancestors().take(12).map(Dir::new);
        above.filter(|dir| dir.has("idVendor")).find_map(|dir| dir.text("serial"))
    };
    block.text("serial").or_else(at_device).or_else(page).or_else(plug)
}

/// The unit serial number page (SPC-4, 7.8.15): four bytes of header, of which the last two are the length.
fn unit_serial(page: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let text = page.get(4..)?;
    super::sysfs::clean(&text[..text.len().min(length)])
}

/// The kernel's name for a world-wide name. `t10.` is vendor, model and serial over again, and no such name.
fn wwn(block: &Dir) -> Option<String> {
    let wwid = block.text("wwid").or_else(|| block.text("device/wwid"))?;
    ["naa.", "eui.", "nvme.", "uuid.", "0x"].iter().any(|prefix| wwid.starts_with(prefix)).then_some(wwid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_serial_page_is_trimmed_and_may_be_cut_off() {
        assert_eq!(unit_serial(b"\x00\x80\x00\x08  QM0001").as_deref(), Some("QM0001"));
        assert_eq!(unit_serial(b"\x00\x80\x00\xffAB").as_deref(), Some("AB"));
        assert_eq!(unit_serial(b"\x00\x80\x00\x02ABCD").as_deref(), Some("AB"));
        assert_eq!(unit_serial(b"\x00\x80"), None);
    }

    proptest! {
        #[test]
        fn any_page_is_read(page in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = unit_serial(&page);
        }
    }
}
