//! The names that udev gives a disk in /dev/disk/by-id, made of what the disk says of itself.

use super::sysfs::Dir;
use protocol::inventory::Transport;

/// What the names are made of.
pub struct Source<'a> {
    /// The disk's folder in /sys/block.
    pub block: &'a Dir,
    /// The folder of its device.
    pub device: &'a Dir,
    /// How it is attached.
    pub transport: Transport,
    /// As the inventory has it.
    pub model: Option<&'a str>,
    /// As the inventory has it.
    pub serial: Option<&'a str>,
    /// As the inventory has it.
    pub wwn: Option<&'a str>,
}

/// Every name, without the folder.
pub fn derive(source: &Source<'_>) -> Vec<String> {
    let Source { block, device, transport, model, serial, wwn } = *source;
    let mut raw = match transport {
        Transport::Nvme => nvme(model, serial, block.text("nsid"), block.text("wwid")),
        Transport::Virtio => serial.map(|serial| format!("virtio-{serial}")).into_iter().collect(),
        Transport::Mmc => model.zip(serial).map(|(name, serial)| format!("mmc-{name}_{serial}")).into_iter().collect(),
        Transport::Usb => usb(device, serial),
        // udev asks an ATA disk by its own commands, and takes the model alone where it says no serial number.
        Transport::Sata => match (model, serial) {
            (Some(model), Some(serial)) => vec![format!("ata-{model}_{serial}")],
            (Some(model), None) => vec![format!("ata-{model}")],
            (None, _) => Vec::new(),
        },
        _ => Vec::new(),
    };
    if !matches!(transport, Transport::Nvme | Transport::Virtio | Transport::Mmc) {
        raw.extend(scsi(device, serial));
    }
    raw.extend(wwn.and_then(hexadecimal).map(|wwn| format!("wwn-{wwn}")));
    let mut names: Vec<String> = Vec::new();
    for name in raw.iter().map(|raw| plain(raw)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn nvme(model: Option<&str>, serial: Option<&str>, nsid: Option<String>, wwid: Option<String>) -> Vec<String> {
    let mut names: Vec<String> = wwid.map(|wwid| format!("nvme-{wwid}")).into_iter().collect();
    if let (Some(model), Some(serial)) = (model, serial) {
        names.push(format!("nvme-{model}_{serial}"));
        names.extend(nsid.map(|nsid| format!("nvme-{model}_{serial}_{nsid}")));
    }
    names
}

fn usb(device: &Dir, serial: Option<&str>) -> Vec<String> {
    let (Some(vendor), Some(model), Some(serial)) = (device.text("vendor"), device.text("model"), serial) else {
        return Vec::new();
    };
    let name = format!("usb-{vendor}_{model}_{serial}");
    // Several units behind one plug are told apart by target and unit.
    let unit = device.follow(".").and_then(|real| super::by_path::hctl(&real.name()));
    unit.map(|[_, _, target, lun]| format!("{name}-{target}:{lun}")).into_iter().chain([name]).collect()
}

/// Of the device identification page and the unit serial number: those of scsi_id and of sg3_utils.
fn scsi(device: &Dir, serial: Option<&str>) -> Vec<String> {
    let field = |name: &str, width: usize| format!("{:width$}", device.text(name).unwrap_or_default());
    let (vendor, model) = (field("vendor", 8), field("model", 16));
    let page = device.bytes("vpd_pg83").unwrap_or_default();
    let mut names: Vec<String> = designators(&page)
        .map(|one| match one.kind {
            0 => format!("scsi-0{vendor}{model}{}", one.text),
            kind => format!("scsi-{kind}{}", one.text),
        })
        .collect();
    names.extend(serial.map(|serial| format!("scsi-S{vendor}{model}{serial}")));
    names
}

struct Designator {
    kind: u8,
    text: String,
}

/// The designators of the logical unit (SPC-4, 7.8.6): vendor's own, T10, EUI-64 and NAA.
fn designators(page: &[u8]) -> impl Iterator<Item = Designator> {
    let mut rest = page.get(4..).unwrap_or_default();
    let next = move || -> Option<(u8, u8, &[u8])> {
        let [code_set, kind, _, length] = *rest.first_chunk()?;
        let body = rest.get(4..4 + usize::from(length))?;
        rest = &rest[4 + body.len()..];
        Some((code_set & 0xf, kind, body))
    };
    std::iter::from_fn(next).filter(|(_, kind, _)| kind & 0x30 == 0 && kind & 0xf <= 3).map(|(code_set, kind, body)| {
        let text = match code_set {
            1 => data_encoding::HEXLOWER.encode(body),
            _ => super::sysfs::clean(body).unwrap_or_default(),
        };
        Designator { kind: kind & 0xf, text }
    })
}

/// What udev writes for a world-wide name: the kernel's `naa.` is `0x` there.
fn hexadecimal(wwn: &str) -> Option<String> {
    match wwn.strip_prefix("naa.") {
        Some(digits) => Some(format!("0x{digits}")),
        None => (wwn.starts_with("0x") || wwn.starts_with("eui.")).then(|| wwn.to_owned()),
    }
}

/// udev's rule for names of links: blanks in a row, and whatever is no letter, digit or `#+-.:=@_`, are `_`.
pub fn plain(name: &str) -> String {
    let mut plain = String::new();
    for word in name.split_whitespace() {
        if !plain.is_empty() {
            plain.push('_');
        }
        let kept = |char: char| char.is_ascii_alphanumeric() || "#+-.:=@_".contains(char) || !char.is_ascii();
        plain.extend(word.chars().map(|char| if kept(char) { char } else { '_' }));
    }
    plain
}

/// Model and serial number that an ATA disk says in its information page (SAT-3, 12.4.2): there they are whole,
/// where the kernel's `model` ends after 16 characters.
pub struct Identity {
    /// Forty characters at most.
    pub model: Option<String>,
    /// Twenty characters at most.
    pub serial: Option<String>,
}

/// Reads the information page.
pub fn ata_identity(page: &[u8]) -> Option<Identity> {
    let identify = page.get(60..572)?;
    // Each word has its two characters the other way round.
    let text = |from: usize, to: usize| {
        let swapped: Vec<u8> = identify[from..to].chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect();
        super::sysfs::clean(&swapped)
    };
    Some(Identity { model: text(54, 94), serial: text(20, 40) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_underscores_for_what_udev_does_not_allow() {
        assert_eq!(plain("QEMU  NVMe Ctrl (x)"), "QEMU_NVMe_Ctrl__x_");
        assert_eq!(plain(" a/b\tc "), "a_b_c");
    }

    #[test]
    fn the_designators_of_the_unit_are_read_and_those_of_the_port_are_not() {
        let mut page = vec![0, 0x83, 0, 0];
        page.extend([0x02, 0x00, 0, 5]);
        page.extend(b"drive");
        page.extend([0x01, 0x03, 0, 8, 0x50, 0, 0xc5, 0, 0x15, 0xea, 0x71, 0xac]);
        page.extend([0x61, 0x93, 0, 8, 1, 1, 1, 1, 1, 1, 1, 1]);
        page.extend([0x01, 0x03, 0, 8, 0x50]);
        let found: Vec<String> = designators(&page).map(|one| format!("{}{}", one.kind, one.text)).collect();
        assert_eq!(found, ["0drive", "35000c50015ea71ac"]);
    }

    #[test]
    fn an_ata_disk_says_its_whole_model() {
        let mut page = vec![0u8; 572];
        let mut put = |at: usize, text: &str, width: usize| {
            let padded = format!("{text:width$}");
            for (index, byte) in padded.bytes().enumerate() {
                page[60 + at + (index ^ 1)] = byte;
            }
        };
        put(54, "Samsung SSD 870 EVO 1TB", 40);
        put(20, "S6PTNZ0R123456", 20);
        let identity = ata_identity(&page).unwrap();
        assert_eq!(identity.model.as_deref(), Some("Samsung SSD 870 EVO 1TB"));
        assert_eq!(identity.serial.as_deref(), Some("S6PTNZ0R123456"));
        assert!(ata_identity(&page[..571]).is_none());
    }

    proptest! {
        #[test]
        fn any_page_is_read(page in prop::collection::vec(any::<u8>(), 0..700)) {
            prop_assert!(designators(&page).count() <= 700);
            let _ = ata_identity(&page);
        }

        #[test]
        fn a_plain_name_stays_as_it_is(name in "\\PC{0,40}") {
            let once = plain(&name);
            prop_assert_eq!(plain(&once), once);
        }
    }
}
