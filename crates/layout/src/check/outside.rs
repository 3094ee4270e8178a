//! Words that tools are given as they stand name no disk that nobody selected. No tool could reach one (the disk engine
//! shows it no other); here it is said before anything runs, with the path.

use crate::{
    Layout,
    fault::Fault,
    words::{Words, devices_in},
};

/// No free word of the layout names a device that the layout itself does not make.
///
/// # Errors
/// `E-LAYOUT` with the path.
pub fn check(layout: &Layout) -> Result<(), Fault> {
    let words = Words::of(layout);
    for word in &words.free {
        let named = devices_in(&word.text).into_iter().find(|device| !words.made.contains_key(*device));
        if let Some(device) = named.or_else(|| elsewhere(&word.text)) {
            let why = format!("{device} is not of this layout's making, and no other disk is written to");
            return Err(Fault::at(&word.at, &why));
        }
    }
    Ok(())
}

/// A device by what stands on it, or by a path from wherever the tool is run.
fn elsewhere(word: &str) -> Option<&str> {
    const TAGS: [&str; 4] = ["LABEL=", "UUID=", "PARTLABEL=", "PARTUUID="];
    let values = word.split([',', ' ', '"', '\'']).map(|part| match part.split_once('=') {
        Some((key, _)) if TAGS.iter().any(|tag| tag.trim_end_matches('=') == key) => part,
        Some((_, value)) => value,
        None => part,
    });
    values.into_iter().find(|value| TAGS.iter().any(|tag| value.starts_with(tag)) || value.starts_with("dev/"))
}

#[cfg(test)]
mod tests {
    use crate::{Layout, examples::with_root};
    use serde_json::{Value, json};

    fn refused_at(devices: &Value) -> Option<String> {
        Layout::read(devices, false).err().map(|fault| protocol::Failure::from(fault).cause)
    }

    #[test]
    fn a_device_that_the_layout_makes_may_be_named_and_no_other() {
        let content = |device: &str| {
            let btrfs = json!({"type": "btrfs", "extraArgs": ["-d raid1", device]});
            with_root(json!({"type": "luks", "name": "crypted", "passwordFile": "/k", "content": btrfs}))
        };
        assert_eq!(refused_at(&content("/dev/mapper/crypted")), None);
        for device in ["/dev/sdz", "/dev/mapper/other", "/dev/disk/by-partlabel/x"] {
            let cause = refused_at(&content(device)).unwrap();
            assert!(cause.contains("content.content.extraArgs") && cause.contains(device), "{cause}");
        }
    }

    #[test]
    fn a_device_by_its_label_or_from_the_working_folder_is_found() {
        for word in ["device=LABEL=journal", "UUID=1-2", "dev/sdz", "device=dev/sdz", "logdev=dev/sdz,size=64m"] {
            let cause = refused_at(&with_root(json!({"type": "filesystem", "format": "ext4", "extraArgs": [word]})));
            assert!(cause.is_some_and(|cause| cause.contains("extraArgs")), "{word}");
        }
        for word in ["-L", "label=x", "uuid=1-2", "devices", "/srv/dev"] {
            let layout = with_root(json!({"type": "filesystem", "format": "ext4", "extraArgs": [word]}));
            assert_eq!(refused_at(&layout), None, "{word}");
        }
    }

    #[test]
    fn a_partition_of_the_layout_may_be_named_by_its_name() {
        let btrfs = |device: &str| with_root(json!({"type": "btrfs", "extraArgs": [device]}));
        for label in ["disk-main-boot", "disk-main-ESP"] {
            assert_eq!(refused_at(&btrfs(&format!("/dev/disk/by-partlabel/{label}"))), None);
        }
        assert!(refused_at(&btrfs("/dev/disk/by-partlabel/disk-main-other")).is_some());
    }

    #[test]
    fn a_device_inside_of_an_argument_is_found() {
        for content in [
            json!({"type": "filesystem", "format": "ext4", "extraArgs": ["-J", "device=/dev/sdz"]}),
            json!({"type": "filesystem", "format": "xfs", "extraArgs": ["-l", "logdev=/dev/sdz,size=64m"]}),
            json!({"type": "filesystem", "format": "xfs", "mountpoint": "/", "mountOptions": ["logdev=/dev/sdz"]}),
            json!({"type": "luks", "name": "c", "passwordFile": "/k", "extraFormatArgs": ["--header /dev/sdz"]}),
        ] {
            let cause = refused_at(&with_root(content)).unwrap();
            assert!(cause.contains("/dev/sdz is not"), "{cause}");
        }
    }
}
