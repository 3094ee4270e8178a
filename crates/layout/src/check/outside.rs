//! Words that tools are given as they stand must not lead them to a disk that nobody selected.

use crate::{Content, Dataset, Layout, PoolMode, Vdev, fault::Fault};
use std::collections::BTreeSet;

/// No free word of the layout names a device that the layout itself does not make.
///
/// # Errors
/// `E-LAYOUT` with the path.
pub fn check(layout: &Layout) -> Result<(), Fault> {
    let mut words = Words::default();
    words.layout(layout);
    for (at, word) in &words.found {
        let Some(start) = word.find("/dev/") else { continue };
        let device = word[start..].split([',', ' ', '"', '\'']).next().unwrap_or_default();
        if !words.made.contains(device) {
            let why = format!("{device} is not of this layout's making, and no other disk is written to");
            return Err(Fault::at(at, &why));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Words {
    /// Each free word with its place.
    found: Vec<(String, String)>,
    /// Devices that the layout makes, by the paths that stay the same.
    made: BTreeSet<String>,
}

impl Words {
    fn add(&mut self, at: &str, words: &[String]) {
        self.found.extend(words.iter().map(|word| (at.to_owned(), word.clone())));
    }

    fn layout(&mut self, layout: &Layout) {
        for (key, one) in &layout.disk {
            self.content(&format!("disk.{key}.content"), one.content.as_ref());
        }
        for (key, one) in &layout.mdadm {
            self.made.insert(format!("/dev/md/{}", one.name.as_ref().unwrap_or(key)));
            self.add(&format!("mdadm.{key}.extraArgs"), &one.extra_args);
            self.content(&format!("mdadm.{key}.content"), one.content.as_ref());
        }
        for (key, group) in &layout.lvm_vg {
            let name = group.name.as_ref().unwrap_or(key);
            for (volume, one) in &group.lvs {
                let at = format!("lvm_vg.{key}.lvs.{volume}");
                self.made.insert(format!("/dev/{name}/{}", one.name.as_ref().unwrap_or(volume)));
                self.add(&format!("{at}.extraArgs"), &one.extra_args);
                self.content(&format!("{at}.content"), one.content.as_ref());
            }
        }
        for (key, pool) in &layout.zpool {
            let name = pool.name.as_ref().unwrap_or(key);
            if let PoolMode::Topology(one) = &pool.mode {
                let members = |vdevs: &[Vdev]| vdevs.iter().flat_map(|vdev| vdev.members.clone()).collect::<Vec<_>>();
                for vdevs in [&one.vdev, &one.log, &one.dedup, &one.special] {
                    self.add(&format!("zpool.{key}.mode.topology"), &members(vdevs));
                }
                self.add(&format!("zpool.{key}.mode.topology.spare"), &one.spare);
                self.add(&format!("zpool.{key}.mode.topology.cache"), &one.cache);
            }
            for (dataset, one) in &pool.datasets {
                if let Dataset::Volume(one) = one {
                    let at = format!("zpool.{key}.datasets.{dataset}");
                    self.made.insert(format!("/dev/zvol/{name}/{}", one.name.as_ref().unwrap_or(dataset)));
                    self.add(&format!("{at}.extraArgs"), &one.extra_args);
                    self.content(&format!("{at}.content"), one.content.as_ref());
                }
            }
        }
        for (key, one) in &layout.bcachefs_filesystems {
            self.add(&format!("bcachefs_filesystems.{key}.extraFormatArgs"), &one.extra_format_args);
        }
        for (key, one) in &layout.nodev {
            self.add(&format!("nodev.{key}.device"), one.device.as_slice());
            self.add(&format!("nodev.{key}.mountOptions"), &one.mount_options);
        }
    }

    fn content(&mut self, at: &str, content: Option<&Content>) {
        match content {
            Some(Content::Gpt(gpt)) => gpt
                .partitions
                .iter()
                .for_each(|(key, one)| self.content(&format!("{at}.partitions.{key}.content"), one.content.as_ref())),
            Some(Content::Table(table)) => table
                .partitions
                .iter()
                .zip(0..)
                .for_each(|(one, n)| self.content(&format!("{at}.partitions.{n}.content"), one.content.as_ref())),
            Some(Content::Filesystem(one)) => {
                self.add(&format!("{at}.extraArgs"), &one.extra_args);
                self.add(&format!("{at}.mountOptions"), &one.mount_options);
            }
            Some(Content::Btrfs(one)) => {
                self.add(&format!("{at}.extraArgs"), &one.extra_args);
                self.add(&format!("{at}.mountOptions"), &one.mount_options);
            }
            Some(Content::Luks(one)) => {
                self.made.insert(format!("/dev/mapper/{}", one.name));
                self.add(&format!("{at}.extraFormatArgs"), &one.extra_format_args);
                self.add(&format!("{at}.extraOpenArgs"), &one.extra_open_args);
                self.content(&format!("{at}.content"), one.content.as_ref());
            }
            Some(Content::Bcachefs(one)) => self.add(&format!("{at}.extraFormatArgs"), &one.extra_format_args),
            Some(Content::Swap(_) | Content::LvmPv(_) | Content::Mdraid(_) | Content::Zfs(_)) | None => {}
        }
    }
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
        let mut pool = with_root(json!({"type": "zfs", "pool": "z"}));
        pool["zpool"] = json!({"z": {"mode": {"topology": {"vdev": [{"members": ["main", "/dev/sdz"]}]}}}});
        assert!(refused_at(&pool).unwrap().contains("/dev/sdz is not"));
    }
}
