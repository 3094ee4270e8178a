//! What of a layout reaches tools and the kernel as it stands, and the devices that may be named there: those that the
//! layout itself makes, by the paths that stay the same.

use super::{Btrfs, Content, Dataset, Gpt, Layout, Partition, Table};
use std::collections::BTreeMap;

/// A disk, array, group, pool or file system of the layout: its section and its key there.
pub type Part = (&'static str, String);

/// A word that no check understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What is made with it.
    pub part: Part,
    /// Where it stands in the layout.
    pub at: String,
    #[allow(missing_docs)]
    pub text: String,
}

/// The free words of a layout, and what they may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// In the order of the layout.
    pub free: Vec<Word>,
    /// Devices that the layout makes, and what makes each.
    pub made: BTreeMap<String, Part>,
}

/// The paths of devices in a word.
pub fn devices_in(word: &str) -> Vec<&str> {
    let parts = word.split([',', ' ', '"', '\'']).filter(|part| !part.starts_with("subvol="));
    parts.filter_map(|part| Some(&part[part.find("/dev/")?..])).collect()
}

/// By which udev, and tools here, know a partition; none where its name would have to be written otherwise.
pub fn partition_path(label: &str) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte);
    let plain = !label.is_empty() && !label.starts_with('.') && label.bytes().all(good);
    plain.then(|| format!("/dev/disk/by-partlabel/{label}"))
}

/// The name of a partition in the table of `kind` (`disk`, `mdadm`) `name`: disko's, or the beginning of its hash where
/// that does not fit.
pub fn partition_label(kind: &str, name: &str, key: &str, one: &Partition) -> String {
    if let Some(label) = &one.label {
        return label.clone();
    }
    let label = format!("{kind}-{name}-{}", one.name.as_deref().unwrap_or(key));
    if label.len() <= 36 {
        return label;
    }
    protocol::encoding::Sha256::of(label.as_bytes()).hex()[..36].to_owned()
}

impl Words {
    /// Of a layout.
    pub fn of(layout: &Layout) -> Self {
        let mut words = Words::default();
        for (key, one) in &layout.disk {
            let name = key.replace('/', "_");
            words.content(&("disk", key.clone()), &format!("disk.{key}.content"), one.content.as_ref(), &name);
        }
        for (key, one) in &layout.mdadm {
            let part = ("mdadm", key.clone());
            let name = one.name.as_ref().unwrap_or(key);
            words.make(&part, format!("/dev/md/{name}"));
            words.add(&part, &format!("mdadm.{key}.extraArgs"), &one.extra_args);
            words.content(&part, &format!("mdadm.{key}.content"), one.content.as_ref(), name);
        }
        for (key, group) in &layout.lvm_vg {
            let part = ("lvm_vg", key.clone());
            let name = group.name.as_ref().unwrap_or(key);
            for (volume, one) in &group.lvs {
                let at = format!("lvm_vg.{key}.lvs.{volume}");
                words.make(&part, format!("/dev/{name}/{}", one.name.as_ref().unwrap_or(volume)));
                words.add(&part, &format!("{at}.extraArgs"), &one.extra_args);
                words.content(&part, &format!("{at}.content"), one.content.as_ref(), name);
            }
        }
        for (key, pool) in &layout.zpool {
            let part = ("zpool", key.clone());
            let name = pool.name.as_ref().unwrap_or(key);
            words.add(&part, &format!("zpool.{key}.mountOptions"), &pool.mount_options);
            for (dataset, one) in &pool.datasets {
                let at = format!("zpool.{key}.datasets.{dataset}");
                match one {
                    Dataset::Volume(one) => {
                        words.make(&part, format!("/dev/zvol/{name}/{}", one.name.as_ref().unwrap_or(dataset)));
                        words.add(&part, &format!("{at}.extraArgs"), &one.extra_args);
                        words.content(&part, &format!("{at}.content"), one.content.as_ref(), name);
                    }
                    Dataset::Filesystem(one) => words.add(&part, &format!("{at}.mountOptions"), &one.mount_options),
                }
            }
        }
        for (key, one) in &layout.bcachefs_filesystems {
            let (part, at) = (("bcachefs_filesystems", key.clone()), format!("bcachefs_filesystems.{key}"));
            words.add(&part, &format!("{at}.extraFormatArgs"), &one.extra_format_args);
            words.add(&part, &format!("{at}.mountOptions"), &one.mount_options);
            for (subvolume, one) in &one.subvolumes {
                words.add(&part, &format!("{at}.subvolumes.{subvolume}.mountOptions"), &one.mount_options);
            }
        }
        for (key, one) in &layout.nodev {
            let part = ("nodev", key.clone());
            words.add(&part, &format!("nodev.{key}.device"), one.device.as_slice());
            words.add(&part, &format!("nodev.{key}.mountOptions"), &one.mount_options);
        }
        words
    }

    fn add(&mut self, part: &Part, at: &str, words: &[String]) {
        self.free.extend(words.iter().map(|text| Word { part: part.clone(), at: at.to_owned(), text: text.clone() }));
    }

    fn make(&mut self, part: &Part, path: String) {
        self.made.insert(path, part.clone());
    }

    /// What two partitions have, neither may be named by.
    fn make_partitions(&mut self, part: &Part, labels: impl Iterator<Item = String>) {
        for path in labels.filter_map(|label| partition_path(&label)) {
            if self.made.insert(path.clone(), part.clone()).is_some() {
                self.made.remove(&path);
            }
        }
    }

    fn content(&mut self, part: &Part, at: &str, content: Option<&Content>, name: &str) {
        match content {
            Some(Content::Gpt(gpt)) => self.gpt(part, at, gpt, name),
            Some(Content::Table(table)) => self.table(part, at, table, name),
            Some(Content::Filesystem(one)) => {
                self.add(part, &format!("{at}.extraArgs"), &one.extra_args);
                self.add(part, &format!("{at}.mountOptions"), &one.mount_options);
            }
            Some(Content::Btrfs(one)) => self.btrfs(part, at, one),
            Some(Content::Luks(one)) => {
                self.make(part, format!("/dev/mapper/{}", one.name));
                self.add(part, &format!("{at}.extraFormatArgs"), &one.extra_format_args);
                self.add(part, &format!("{at}.extraOpenArgs"), &one.extra_open_args);
                self.content(part, &format!("{at}.content"), one.content.as_ref(), name);
            }
            Some(Content::Bcachefs(one)) => self.add(part, &format!("{at}.extraFormatArgs"), &one.extra_format_args),
            Some(Content::Swap(_) | Content::LvmPv(_) | Content::Mdraid(_) | Content::Zfs(_)) | None => {}
        }
    }

    fn gpt(&mut self, part: &Part, at: &str, gpt: &Gpt, name: &str) {
        let labels = gpt.partitions.iter().map(|(key, one)| partition_label(part.0, name, key, one));
        self.make_partitions(part, labels);
        for (key, one) in &gpt.partitions {
            self.content(part, &format!("{at}.partitions.{key}.content"), one.content.as_ref(), name);
        }
    }

    fn table(&mut self, part: &Part, at: &str, table: &Table, name: &str) {
        if table.format == super::TableFormat::Gpt {
            self.make_partitions(part, table.partitions.iter().filter_map(|one| one.name.clone()));
        }
        for (one, n) in table.partitions.iter().zip(0..) {
            self.content(part, &format!("{at}.partitions.{n}.content"), one.content.as_ref(), name);
        }
    }

    fn btrfs(&mut self, part: &Part, at: &str, one: &Btrfs) {
        self.add(part, &format!("{at}.extraArgs"), &one.extra_args);
        self.add(part, &format!("{at}.mountOptions"), &one.mount_options);
        for (key, one) in &one.subvolumes {
            self.add(part, &format!("{at}.subvolumes.{key}.extraArgs"), &one.extra_args);
            self.add(part, &format!("{at}.subvolumes.{key}.mountOptions"), &one.mount_options);
        }
    }
}
