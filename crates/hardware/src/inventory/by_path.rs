//! The name that udev gives a disk in /dev/disk/by-path: the way to it, from the PCI function outwards.
//!
//! Derived for the buses that a server's disks stand on; SAS expanders, Fibre Channel and iSCSI are left out,
//! and so is what stands on no PCI function.

use super::sysfs::Dir;

/// `host:channel:target:lun`.
pub fn hctl(name: &str) -> Option<[u32; 4]> {
    let numbers: Option<Vec<u32>> = name.split(':').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The name for a disk of /sys/block, such as `pci-0000:00:1f.2-ata-1.0`.
pub fn derive(sys: &Dir, block: &Dir) -> Option<String> {
    let device = block.follow("device")?;
    let root = sys.path().canonicalize().ok()?;
    let inside: Vec<Dir> = device.path().ancestors().take_while(|path| **path != root).map(Dir::new).collect();
    let pci = inside.iter().find(|dir| is_pci(&dir.name()))?.name();
    let way = way(sys, block, &inside)?;
    Some(if way.is_empty() { format!("pci-{pci}") } else { format!("pci-{pci}-{way}") })
}

/// The part behind the PCI function; `inside` are the device and the folders above it.
fn way(sys: &Dir, block: &Dir, inside: &[Dir]) -> Option<String> {
    let device = inside.first()?;
    if block.name().starts_with("nvme") {
        return Some(format!("nvme-{}", block.number("nsid")?));
    }
    let above = |prefix: &str| inside.iter().find(|dir| numbered(&dir.name(), prefix));
    let Some([_, channel, target, lun]) = hctl(&device.name()) else {
        return above("virtio").map(|_| String::new());
    };
    if ["end_device-", "rport-", "session"].iter().any(|part| device.path().to_string_lossy().contains(part)) {
        return None;
    }
    if let Some(port) = above("ata") {
        let ata = port.name();
        // The port's number on its controller; that in `ata3` counts over all controllers.
        let port = sys.join("class/ata_port").join(&ata).number("port_no")?;
        let behind = if channel == 0 { target.to_string() } else { format!("{channel}.0") };
        return Some(format!("ata-{port}.{behind}"));
    }
    let host = host_offset(above("host")?)?;
    let scsi = format!("scsi-{host}:{channel}:{target}:{lun}");
    match inside.iter().find_map(|dir| usb_port(&dir.name())) {
        Some(port) => Some(format!("usb-0:{port}-{scsi}")),
        None => Some(scsi),
    }
}

/// The host's number among those of its controller: the kernel's own counts over the whole machine.
fn host_offset(host: &Dir) -> Option<u32> {
    let number = |name: &str| name.strip_prefix("host")?.parse::<u32>().ok();
    let own = number(&host.name())?;
    let controller = Dir::new(host.path().parent()?);
    let first = controller.entries().iter().filter_map(|dir| number(&dir.name())).min()?;
    own.checked_sub(first)
}

/// `0000:00:1f.2`
fn is_pci(name: &str) -> bool {
    let hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = name.split([':', '.']).collect();
    matches!(parts[..], [domain, bus, slot, function]
        if domain.len() >= 4 && hex(domain, domain.len()) && hex(bus, 2) && hex(slot, 2) && hex(function, 1))
}

/// The port of a USB interface: `1:1.0` of `2-1:1.0`.
fn usb_port(name: &str) -> Option<String> {
    let (bus, port) = name.split_once('-')?;
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
    (bus.bytes().all(|byte| byte.is_ascii_digit()) && plain(port) && port.contains(':')).then(|| port.to_owned())
}

fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_buses_are_told_apart() {
        assert!(is_pci("0000:00:1f.2") && is_pci("10000:e1:00.0"));
        assert!(!is_pci("2:0:0:0") && !is_pci("pci0000:00"));
        assert_eq!(usb_port("2-1.4:1.0"), Some("1.4:1.0".to_owned()));
        assert_eq!(usb_port("2-1"), None);
        assert_eq!(hctl("2:0:1:0"), Some([2, 0, 1, 0]));
        assert_eq!(hctl("2:0:1"), None);
    }

    proptest! {
        #[test]
        fn any_name_is_judged(name in "\\PC{0,20}") {
            let _ = (is_pci(&name), usb_port(&name), hctl(&name), numbered(&name, "ata"));
        }
    }
}
