//! What the installed system needs to know of the layout: mounts in order, swap; what fstab would say.

use crate::action::{Action, Arg, Command, Device};
use layout::{DiscardPolicy, Hooks};
use protocol::overlay::ToolSet;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A block device.
    Device(Device),
    /// A file system over several devices, and the folder of it that is wanted.
    Devices(Vec<Device>, Option<String>),
    /// A folder of the target, for a bind mount.
    Folder(String),
    /// A name that means something to the file system: `tmpfs`, `pool/dataset`.
    Named(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Device(device) => write!(f, "{device}"),
            Source::Devices(devices, _) => {
                let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
                write!(f, "{}", names.join(":"))
            }
            Source::Folder(name) | Source::Named(name) => write!(f, "{name}"),
        }
    }
}

/// One mount.
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    #[allow(missing_docs)]
    pub source: Source,
    /// As `mount -t` takes it.
    pub format: String,
    /// On the target.
    pub mountpoint: String,
    /// As in fstab.
    pub options: Vec<String>,
    /// Of the file system, as blkid shows it, where it is known beforehand.
    pub uuid: Option<String>,
    /// Those around mounting.
    pub hooks: Hooks,
}

impl Mount {
    /// What fstab says.
    pub fn fact(&self) -> Value {
        let by_uuid = self.uuid.as_ref().map(|uuid| format!("/dev/disk/by-uuid/{uuid}"));
        json!({
            "mountpoint": self.mountpoint,
            "device": by_uuid.unwrap_or_else(|| self.source.to_string()),
            "source": self.source.to_string(),
            "uuid": self.uuid,
            "fs_type": self.format,
            "options": self.options,
        })
    }

    /// It must be mounted after `other`: it lies inside of it, or its folder does.
    fn needs(&self, other: &Mount) -> bool {
        let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let (own, above) = (parts(&self.mountpoint), parts(&other.mountpoint));
        let inside = own.len() > above.len() && own.starts_with(&above);
        let folder_inside = matches!(&self.source, Source::Folder(folder) if parts(folder).starts_with(&above));
        inside || folder_inside
    }
}

/// Parents before children, folders before what is bound to them; otherwise as the layout has them.
pub fn in_order(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut left = mounts;
    let mut ordered: Vec<Mount> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|one| !left.iter().any(|other| one != other && one.needs(other)));
        // Only mounts that need each other are never ready; the kernel will say so.
        ordered.push(left.remove(ready.unwrap_or(0)));
    }
    ordered
}

/// The tools without which a file system cannot be mounted.
pub fn tools_of(format: &str) -> Option<ToolSet> {
    match format {
        "xfs" => Some(ToolSet::Xfs),
        "btrfs" => Some(ToolSet::Btrfs),
        "f2fs" => Some(ToolSet::F2fs),
        "bcachefs" => Some(ToolSet::Bcachefs),
        "zfs" => Some(ToolSet::Zfs),
        _ => None,
    }
}

/// Of several at one place, the first in the order of the layout, as disko does; and the others.
pub fn one_each(mounts: Vec<Mount>) -> (Vec<Mount>, Vec<Mount>) {
    let mut places = BTreeSet::new();
    mounts.into_iter().partition(|mount| places.insert(super::normal(&mount.mountpoint)))
}

/// Of what has no device, only what is of use while the target is written to is mounted: memory and folders of the
/// target. Whatever else it is (nfs, fuse, overlay, proc) is the installed system's.
pub fn is_for_installation(format: &str, options: &[String]) -> bool {
    let is_bind = options.iter().flat_map(|word| word.split(',')).any(|word| word == "bind" || word == "rbind");
    is_bind || ["tmpfs", "ramfs"].contains(&format)
}

/// Swap space of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapSpace {
    /// The block device; a file has none of its own.
    pub device: Option<Device>,
    /// Of the device, or of the file on the target.
    pub path: String,
    #[allow(missing_docs)]
    pub uuid: Option<String>,
    #[allow(missing_docs)]
    pub priority: Option<i32>,
    #[allow(missing_docs)]
    pub discard: Option<DiscardPolicy>,
    /// As in fstab.
    pub options: Vec<String>,
    /// A new key at every boot: nothing is made or used now.
    pub random_encryption: bool,
    /// The system resumes from it.
    pub resume: bool,
}

impl SwapSpace {
    /// What fstab says.
    pub fn fact(&self) -> Value {
        let by_uuid = self.uuid.as_ref().map(|uuid| format!("/dev/disk/by-uuid/{uuid}"));
        json!({
            "device": by_uuid.unwrap_or_else(|| self.path.clone()),
            "source": self.path,
            "uuid": self.uuid,
            "priority": self.priority,
            "discard_policy": self.discard.map(|policy| format!("{policy:?}").to_lowercase()),
            "options": self.options,
            "random_encryption": self.random_encryption,
            "resume_device": self.resume,
        })
    }
}

/// An action for programs.
#[derive(Serialize)]
pub struct ActionFact {
    /// What is done, for people.
    text: String,
    /// The exact command lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Vec<String>>,
}

impl From<&Action> for ActionFact {
    fn from(action: &Action) -> Self {
        let line = |command: &Command| {
            let words = command.arguments.iter().map(|argument| match argument {
                Arg::Text(text) => text.clone(),
                other => other.to_string(),
            });
            std::iter::once(command.program.to_owned()).chain(words).collect()
        };
        let commands = match action {
            Action::Run(command) => vec![line(command)],
            Action::Within { commands, .. } => commands.iter().map(line).collect(),
            _ => Vec::new(),
        };
        ActionFact { text: action.to_string(), commands }
    }
}
