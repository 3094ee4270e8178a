//! `disko.devices`, evaluated to JSON: what of it can be made here, everything else refused by its path.

use protocol::{Code, Failure, failure::Result};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The layout of a machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// By disko's name of the disk.
    #[serde(default)]
    pub disk: BTreeMap<String, Disk>,
    #[serde(default)]
    bcachefs_filesystems: BTreeMap<String, Value>,
    #[serde(default)]
    lvm_vg: BTreeMap<String, Value>,
    #[serde(default)]
    mdadm: BTreeMap<String, Value>,
    #[serde(default)]
    nodev: BTreeMap<String, Value>,
    #[serde(default)]
    zpool: BTreeMap<String, Value>,
}

/// Shell text that disko would run. Refused unless empty.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hooks {
    pre_create_hook: String,
    post_create_hook: String,
    pre_mount_hook: String,
    post_mount_hook: String,
    pre_unmount_hook: String,
    post_unmount_hook: String,
}

impl Hooks {
    fn check(&self, at: &str) -> Result<()> {
        let hooks = [
            ("preCreateHook", &self.pre_create_hook),
            ("postCreateHook", &self.post_create_hook),
            ("preMountHook", &self.pre_mount_hook),
            ("postMountHook", &self.post_mount_hook),
            ("preUnmountHook", &self.pre_unmount_hook),
            ("postUnmountHook", &self.post_unmount_hook),
        ];
        match hooks.iter().find(|(_, text)| !text.trim().is_empty()) {
            Some((name, _)) => Err(refused(&format!("{at}.{name}"), "hooks are shell text and are not run")),
            None => Ok(()),
        }
    }
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Disk {
    /// The path that the layout was written for.
    pub device: String,
    /// What goes onto it.
    pub content: Table,
    #[serde(flatten)]
    hooks: Hooks,
    #[serde(default, rename = "type")]
    _type: Option<String>,
}

/// A partition table.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {
    /// GUID partition table.
    Gpt(Gpt),
    /// Any other content of disko.
    Other(Value),
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer, "gpt", Table::Gpt, Table::Other)
    }
}

/// Reads a value whose `type` is `kind` as `T`, with the path in the error; any other is kept to be named.
/// (serde's own untagged fallback would swallow the error and its path.)
fn tagged<'de, D: Deserializer<'de>, T: DeserializeOwned, C>(
    deserializer: D,
    kind: &str,
    known: fn(T) -> C,
    other: fn(Value) -> C,
) -> Result<C, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    if value.get("type").and_then(Value::as_str) != Some(kind) {
        return Ok(other(value));
    }
    if let Some(object) = value.as_object_mut() {
        object.remove("type");
    }
    serde_path_to_error::deserialize(value)
        .map(known)
        .map_err(|error| D::Error::custom(format!("{}: {}", error.path(), error.inner())))
}

/// A GUID partition table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Gpt {
    /// By disko's name of the partition.
    pub partitions: BTreeMap<String, Partition>,
    #[serde(flatten)]
    hooks: Hooks,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Order on the disk: small first.
    #[serde(default)]
    priority: Option<i64>,
    /// `500M`, `100%`; `end` says the same where both are there.
    #[serde(default)]
    pub size: Option<String>,
    /// `0`: right after the one before.
    #[serde(default = "zero")]
    pub start: String,
    /// `+500M`, `-0`, `-1M`.
    #[serde(default)]
    pub end: Option<String>,
    /// Sectors; 0 for 1 MiB.
    #[serde(default)]
    pub alignment: u64,
    /// Bits of the attribute field.
    #[serde(default)]
    pub attributes: Vec<u8>,
    /// sgdisk's four digits, or a GUID.
    #[serde(rename = "type", default = "linux_data")]
    pub kind: String,
    /// Name in the table.
    #[serde(default)]
    pub label: Option<String>,
    /// Fixed GUID.
    #[serde(default)]
    pub uuid: Option<uuid::Uuid>,
    /// What goes into it.
    #[serde(default)]
    pub content: Option<Content>,
    #[serde(default)]
    hybrid: Option<Value>,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default, rename = "device")]
    _device: Option<String>,
}

fn linux_data() -> String {
    "8300".to_owned()
}

fn zero() -> String {
    "0".to_owned()
}

/// What goes into a partition.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A file system.
    Filesystem(Box<Filesystem>),
    /// Any other content of disko.
    Other(Value),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer, "filesystem", |filesystem| Content::Filesystem(Box::new(filesystem)), Content::Other)
    }
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filesystem {
    /// `ext4`, `vfat`.
    pub format: String,
    /// For its mkfs.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// Where it is mounted on the target.
    #[serde(default)]
    pub mountpoint: Option<String>,
    /// As in fstab.
    #[serde(default)]
    pub mount_options: Vec<String>,
    #[serde(flatten)]
    hooks: Hooks,
}

/// The file systems that this image can make.
const FORMATS: [&str; 2] = ["ext4", "vfat"];

impl Layout {
    /// Reads and checks a layout.
    ///
    /// # Errors
    /// `E-LAYOUT` with the path of what cannot be made here.
    pub fn read(devices: &Value) -> Result<Self> {
        let layout: Layout = serde_path_to_error::deserialize(devices)
            .map_err(|error| refused(&error.path().to_string(), &error.inner().to_string()))?;
        let sections = [
            ("bcachefs_filesystems", &layout.bcachefs_filesystems),
            ("lvm_vg", &layout.lvm_vg),
            ("mdadm", &layout.mdadm),
            ("nodev", &layout.nodev),
            ("zpool", &layout.zpool),
        ];
        if let Some((name, section)) = sections.iter().find(|(_, section)| !section.is_empty()) {
            let key = section.keys().next().map_or("", String::as_str);
            return Err(refused(&format!("{name}.{key}"), "this release does not make it yet"));
        }
        if layout.disk.is_empty() {
            return Err(refused("disk", "the layout has no disk"));
        }
        for (name, disk) in &layout.disk {
            disk.check(&format!("disk.{name}"))?;
        }
        Ok(layout)
    }
}

impl Disk {
    fn check(&self, at: &str) -> Result<()> {
        self.hooks.check(at)?;
        let gpt = self.gpt().ok_or_else(|| other(&format!("{at}.content"), &self.content_value()))?;
        gpt.hooks.check(&format!("{at}.content"))?;
        if gpt.partitions.is_empty() {
            return Err(refused(&format!("{at}.content.partitions"), "there is none"));
        }
        for (name, partition) in &gpt.partitions {
            partition.check(&format!("{at}.content.partitions.{name}"))?;
        }
        Ok(())
    }

    /// The partition table; present in every checked layout.
    pub fn gpt(&self) -> Option<&Gpt> {
        match &self.content {
            Table::Gpt(gpt) => Some(gpt),
            Table::Other(_) => None,
        }
    }

    fn content_value(&self) -> Value {
        match &self.content {
            Table::Gpt(_) => Value::Null,
            Table::Other(value) => value.clone(),
        }
    }
}

impl Partition {
    fn check(&self, at: &str) -> Result<()> {
        if self.hybrid.as_ref().is_some_and(|hybrid| !hybrid.is_null()) {
            return Err(refused(&format!("{at}.hybrid"), "this release does not make a hybrid MBR yet"));
        }
        match &self.content {
            None => Ok(()),
            Some(Content::Other(value)) => Err(other(&format!("{at}.content"), value)),
            Some(Content::Filesystem(filesystem)) => filesystem.check(&format!("{at}.content")),
        }
    }

    /// Order on the disk: disko puts what a BIOS boots from first, and what takes the rest last.
    pub fn priority(&self) -> i64 {
        self.priority.unwrap_or(match (self.kind.as_str(), self.size.as_deref()) {
            ("EF02", _) => 100,
            (_, Some("100%")) => 9001,
            _ => 1000,
        })
    }

    /// The file system in it.
    pub fn filesystem(&self) -> Option<&Filesystem> {
        match &self.content {
            Some(Content::Filesystem(filesystem)) => Some(filesystem),
            _ => None,
        }
    }
}

impl Filesystem {
    fn check(&self, at: &str) -> Result<()> {
        self.hooks.check(at)?;
        if !FORMATS.contains(&self.format.as_str()) {
            let why = format!(
                "`{}` is not one of the file systems that this image makes: {}",
                self.format,
                FORMATS.join(", ")
            );
            return Err(refused(&format!("{at}.format"), &why));
        }
        let mountpoint = self.mountpoint.as_deref().unwrap_or("/");
        if !mountpoint.starts_with('/') || mountpoint.split('/').any(|part| part == ".." || part == ".") {
            return Err(refused(&format!("{at}.mountpoint"), "it is not an absolute path without `..`"));
        }
        Ok(())
    }
}

fn other(at: &str, value: &Value) -> Failure {
    let kind = value.get("type").and_then(Value::as_str);
    match kind {
        Some(kind) => refused(&format!("{at}.type"), &format!("this release does not make `{kind}` here yet")),
        None => refused(at, "it does not fit: a `type` and the keys that disko documents for it are needed"),
    }
}

fn refused(at: &str, why: &str) -> Failure {
    Failure::new(Code::Layout, format!("reading disko.devices: at {at}: {why}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// ESP, BIOS boot partition and root, as disko evaluates it.
    pub fn hybrid_boot() -> Value {
        json!({"disk": {"main": {"type": "disk", "device": "/dev/vda", "content": {"type": "gpt", "partitions": {
            "ESP": {"type": "EF00", "size": "64M", "end": "+64M", "start": "0", "priority": 1000, "label": "disk-main-ESP",
                    "content": {"type": "filesystem", "format": "vfat", "mountpoint": "/boot", "mountOptions": ["umask=0077"]}},
            "boot": {"type": "EF02", "size": "1M", "end": "+1M", "priority": 100, "label": "disk-main-boot", "attributes": [0]},
            "root": {"type": "8300", "size": "100%", "end": "-0", "priority": 9001, "label": "disk-main-root",
                     "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/", "mountOptions": ["defaults"]}},
        }}}}})
    }

    fn cause(layout: &Value) -> String {
        Layout::read(layout).unwrap_err().cause
    }

    #[test]
    fn diskos_own_simple_layout_is_read() {
        let layout = Layout::read(&hybrid_boot()).unwrap();
        assert_eq!(layout.disk["main"].gpt().unwrap().partitions.len(), 3);
    }

    #[test]
    fn what_cannot_be_made_is_refused_by_its_path() {
        let mut luks = hybrid_boot();
        luks["disk"]["main"]["content"]["partitions"]["root"]["content"]["type"] = json!("luks");
        assert!(cause(&luks).contains("disk.main.content.partitions.root.content.type"), "{}", cause(&luks));
        let mut xfs = hybrid_boot();
        xfs["disk"]["main"]["content"]["partitions"]["root"]["content"]["format"] = json!("xfs");
        assert!(cause(&xfs).contains("root.content.format: `xfs`"), "{}", cause(&xfs));
        let mut table = hybrid_boot();
        table["disk"]["main"]["content"]["type"] = json!("table");
        assert!(cause(&table).contains("disk.main.content.type"), "{}", cause(&table));
        let mut raid = hybrid_boot();
        raid["mdadm"] = json!({"raid1": {}});
        assert!(cause(&raid).contains("mdadm.raid1"), "{}", cause(&raid));
    }

    #[test]
    fn a_hook_is_refused() {
        let mut layout = hybrid_boot();
        layout["disk"]["main"]["preCreateHook"] = json!("rm -rf /");
        assert!(cause(&layout).contains("disk.main.preCreateHook"), "{}", cause(&layout));
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_are_refused_with_their_path() {
        let mut unknown = hybrid_boot();
        unknown["disk"]["main"]["content"]["partitions"]["root"]["sise"] = json!("1G");
        assert!(cause(&unknown).contains("sise"), "{}", cause(&unknown));
        assert!(cause(&json!({"disks": {}})).contains("disks"));
    }

    proptest! {
        #[test]
        fn any_text_in_any_field_is_borne(text in "\\PC{0,20}", field in 0usize..5) {
            let mut layout = hybrid_boot();
            let key = ["type", "size", "end", "start", "content"][field];
            layout["disk"]["main"]["content"]["partitions"]["root"][key] = json!(text);
            let _ = Layout::read(&layout);
        }
    }
}
