//! Which disk a selector means: exactly one, or a refusal.

use protocol::{Code, hint::SizeHint, inventory::Disk, inventory::Transport, spec::Selector};

/// Why a selector does not name a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDisk {
    /// Nothing matches.
    None,
    /// Several match.
    Several(Vec<String>),
    /// The selector itself is wrong.
    Malformed(String),
}

impl NoDisk {
    /// The code of the refusal.
    pub fn code(&self) -> Code {
        match self {
            NoDisk::None => Code::DiskNotFound,
            NoDisk::Several(_) => Code::DiskAmbiguous,
            NoDisk::Malformed(_) => Code::Input,
        }
    }

    /// One line.
    pub fn describe(&self) -> String {
        match self {
            NoDisk::None => "no disk matches".to_owned(),
            NoDisk::Several(names) => format!("{} disks match: {}", names.len(), names.join(", ")),
            NoDisk::Malformed(why) => why.clone(),
        }
    }
}

/// The one disk that every hint of the selector fits.
///
/// # Errors
/// [`NoDisk`] for none, several, or a selector that says nothing.
pub fn select<'a>(selector: &Selector, disks: &'a [Disk]) -> Result<&'a Disk, NoDisk> {
    selector.check().map_err(NoDisk::Malformed)?;
    let size = match &selector.size {
        Some(text) => Some(SizeHint::parse(text).map_err(NoDisk::Malformed)?),
        None => None,
    };
    let fits = |disk: &&Disk| {
        text_fits(&selector.serial, &disk.serial)
            && text_fits(&selector.wwn, &disk.wwn)
            && text_fits(&selector.model, &disk.model)
            && text_fits(&selector.vendor, &disk.vendor)
            && text_fits(&selector.hctl, &disk.hctl)
            && text_fits(&selector.by_path, &disk.by_path)
            && selector.name.as_ref().is_none_or(|name| *name == disk.name)
            && selector.rotational.is_none_or(|rotational| rotational == disk.rotational)
            && selector.transport.is_none_or(|transport| transport == disk.transport)
            && size.as_ref().is_none_or(|size| size.fits(disk.size))
            && selector.device.as_ref().is_none_or(|path| is_path_of(path, disk))
    };
    let mut matching: Vec<&Disk> = disks.iter().filter(fits).collect();
    match (matching.pop(), matching.is_empty()) {
        (Some(disk), true) => Ok(disk),
        (None, _) => Err(NoDisk::None),
        (Some(last), false) => {
            let mut names: Vec<String> = matching.iter().chain([&last]).map(|disk| disk.name.clone()).collect();
            names.sort();
            Err(NoDisk::Several(names))
        }
    }
}

/// A hint that is there must be equal, without regard to the spaces that firmware pads with.
fn text_fits(hint: &Option<String>, found: &Option<String>) -> bool {
    match (hint, found) {
        (None, _) => true,
        (Some(hint), Some(found)) => hint.trim() == found.trim(),
        (Some(_), None) => false,
    }
}

/// Whether udev would name this disk so.
fn is_path_of(path: &str, disk: &Disk) -> bool {
    if let Some(id) = path.strip_prefix("/dev/disk/by-id/") {
        return ids(disk).iter().any(|known| known == id);
    }
    if let Some(by_path) = path.strip_prefix("/dev/disk/by-path/") {
        return disk.by_path.as_deref() == Some(by_path);
    }
    path.strip_prefix("/dev/") == Some(&disk.name)
}

/// The names in /dev/disk/by-id that udev's rules make of model, serial and WWN.
fn ids(disk: &Disk) -> Vec<String> {
    let mut ids = Vec::new();
    let bus = match disk.transport {
        Transport::Nvme => "nvme",
        Transport::Sata => "ata",
        Transport::Virtio => "virtio",
        Transport::Usb => "usb",
        Transport::Mmc => "mmc",
        _ => "scsi",
    };
    let underscored = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
    if let Some(serial) = &disk.serial {
        let serial = underscored(serial);
        ids.push(format!("{bus}-{serial}"));
        if let Some(model) = &disk.model {
            ids.push(format!("{bus}-{}_{serial}", underscored(model)));
        }
    }
    if let Some(wwn) = &disk.wwn {
        ids.push(format!("wwn-{wwn}"));
        ids.push(format!("nvme-{wwn}"));
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, serial: &str, size: u64) -> Disk {
        Disk { name: name.into(), serial: Some(serial.into()), size, transport: Transport::Virtio, ..Disk::default() }
    }

    fn disks() -> Vec<Disk> {
        vec![disk("vda", "A", 8 << 30), disk("vdb", "B", 8 << 30)]
    }

    #[test]
    fn a_serial_finds_its_disk_whatever_it_is_called() {
        let wanted = Selector { serial: Some("B".into()), ..Selector::default() };
        assert_eq!(select(&wanted, &disks()).unwrap().name, "vdb");
        let by_id = Selector { device: Some("/dev/disk/by-id/virtio-B".into()), ..Selector::default() };
        assert_eq!(select(&by_id, &disks()).unwrap().name, "vdb");
    }

    #[test]
    fn two_equal_disks_are_a_refusal_and_never_a_choice() {
        let wanted = Selector { size: Some("8G".into()), ..Selector::default() };
        assert_eq!(select(&wanted, &disks()), Err(NoDisk::Several(vec!["vda".into(), "vdb".into()])));
    }

    #[test]
    fn nothing_is_never_everything() {
        assert!(matches!(select(&Selector::default(), &disks()[..1]), Err(NoDisk::Malformed(_))));
        let missing = Selector { wwn: Some("0x5".into()), ..Selector::default() };
        assert_eq!(select(&missing, &disks()), Err(NoDisk::None));
    }

    #[test]
    fn a_partition_path_is_no_disk() {
        let wanted = Selector { device: Some("/dev/vda1".into()), ..Selector::default() };
        assert_eq!(select(&wanted, &disks()), Err(NoDisk::None));
    }
}
