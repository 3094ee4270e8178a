//! What a plan consists of: devices by what they are, and actions in order, as data.

use crate::partitions::Table;
use protocol::{overlay::ToolSet, size};
use std::{collections::BTreeSet, fmt};
use uuid::Uuid;

/// A block device of the layout. Most of them are not there yet when the plan is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// A disk that was selected: disko's name, and the path of the device node.
    Disk {
        /// disko's name.
        name: String,
        /// `/dev/vda`.
        path: String,
    },
    /// A partition by its number.
    Partition(Box<Device>, u32),
    /// `/dev/md/NAME`.
    Array(String),
    /// `/dev/mapper/NAME`.
    Mapper(String),
    /// `/dev/GROUP/NAME`.
    Volume {
        /// Its group.
        group: String,
        /// Its own name.
        name: String,
    },
    /// `/dev/zvol/POOL/NAME`.
    Zvol {
        /// Its pool.
        pool: String,
        /// Its own name.
        name: String,
    },
}

impl Device {
    /// Partition `number` of this device.
    pub fn partition(&self, number: u32) -> Device {
        Device::Partition(Box::new(self.clone()), number)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Disk { path, .. } => write!(f, "{path}"),
            Device::Partition(of, number) => {
                let of = of.to_string();
                let between = if of.ends_with(|char: char| char.is_ascii_digit()) { "p" } else { "" };
                write!(f, "{of}{between}{number}")
            }
            Device::Array(name) => write!(f, "/dev/md/{name}"),
            Device::Mapper(name) => write!(f, "/dev/mapper/{name}"),
            Device::Volume { group, name } => write!(f, "/dev/{group}/{name}"),
            Device::Zvol { pool, name } => write!(f, "/dev/zvol/{pool}/{name}"),
        }
    }
}

/// A key of the operator's, by the file that the layout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Path on the machine that installs.
    pub file: String,
    /// A newline at its end is not part of it.
    pub passphrase: bool,
}

/// One word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// As it stands.
    Text(String),
    /// The node of a device, once it is there.
    Device(Device),
    /// A file with the key's bytes, which no other process and no file system ever sees.
    Key(Key),
    /// A path inside of the file system that [`Action::Within`] has mounted.
    Inside(String),
    /// The folder that the target is mounted at.
    Root,
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Arg::Text(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Arg::Text(text)
    }
}

impl From<&Device> for Arg {
    fn from(device: &Device) -> Self {
        Arg::Device(device.clone())
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Text(text) if text.is_empty() || text.contains([' ', '"', '\'']) => write!(f, "{text:?}"),
            Arg::Text(text) => write!(f, "{text}"),
            Arg::Device(device) => write!(f, "{device}"),
            Arg::Key(key) => write!(f, "{}", key.file),
            Arg::Inside(path) => write!(f, "./{path}"),
            Arg::Root => write!(f, "ROOT"),
        }
    }
}

/// A command of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Name of the program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<Arg>,
    /// What it reads from standard input.
    pub input: Option<Key>,
    /// What it leaves open, to be closed after a failure and in the end.
    pub opens: Option<Open>,
    /// Devices that are there once it has run.
    pub makes: Vec<Device>,
    /// Its failure says that there was nothing to do.
    pub may_fail: bool,
}

impl Command {
    /// A command with arguments that stand as they are.
    pub fn new<A: Into<Arg>>(program: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Command { program, arguments, input: None, opens: None, makes: Vec::new(), may_fail: false }
    }

    /// With one more argument.
    pub fn arg(mut self, argument: impl Into<Arg>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With more arguments.
    pub fn args<A: Into<Arg>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// These devices are there once it has run.
    pub fn making(mut self, devices: impl IntoIterator<Item = Device>) -> Self {
        self.makes.extend(devices);
        self
    }

    /// It leaves this open.
    pub fn opening(mut self, open: Open) -> Self {
        self.opens = Some(open);
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))?;
        self.input.as_ref().map_or(Ok(()), |key| write!(f, " < {}", key.file))
    }
}

/// Something that a command left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// A running md array.
    Array(String),
    /// An open LUKS device.
    Mapper(String),
    /// An active volume group, with its physical volumes.
    Group(String, Vec<Device>),
    /// An imported pool.
    Pool(String),
}

/// Which commands inside of a file system are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Every one: the file system is new.
    All,
    /// Those whose path is not there yet: the file system is kept.
    Missing,
}

/// One step of applying or opening a layout.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Takes down whatever stands on these disks of the layout, from the top, and wipes every level of it.
    Clear(Vec<Device>),
    /// Writes a partition table.
    Table {
        /// A disk or an array.
        device: Device,
        /// What is written.
        table: Table,
    },
    /// Removes what an earlier owner left where a device has just been made, so that it cannot come back to life.
    Wipe(Device),
    /// Looks whether what has been opened is as laid out, before anything is written.
    Expect {
        /// What is to be there.
        device: Device,
        /// Bytes, where the layout says how many.
        size: Option<u64>,
    },
    /// Runs a tool.
    Run(Command),
    /// Makes swap space.
    Swap {
        /// Where.
        device: Device,
        #[allow(missing_docs)]
        uuid: Uuid,
        #[allow(missing_docs)]
        label: Option<String>,
    },
    /// Mounts a file system's top level for the time of some commands.
    Within {
        /// The file system.
        device: Device,
        /// Its type.
        format: &'static str,
        /// Options for the kernel.
        options: String,
        /// Each after the folders above what it makes.
        commands: Vec<Command>,
        /// Which of them.
        which: Which,
    },
    /// Gives a LUKS device a key of its own that the machine's TPM alone opens, in the place of those that it had.
    Seal {
        /// The LUKS device.
        device: Device,
        /// How cryptsetup is given a key that opens it.
        key: Vec<Arg>,
        /// Which PCRs must be as they are now.
        pcrs: BTreeSet<u8>,
    },
    /// A key where a tool insists on reading it from its own path.
    KeyFile(String),
    /// The operator's shell text, which was allowed.
    Hook {
        /// Where it stands in the layout.
        at: String,
        #[allow(missing_docs)]
        text: String,
        #[allow(missing_docs)]
        variables: Variables,
    },
}

/// What disko defines in its hooks, as far as they are words: `device`, `name`, `mountpoint` ...
pub type Variables = Vec<(&'static str, Arg)>;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Clear(devices) => {
                let names: Vec<String> = devices.iter().map(ToString::to_string).collect();
                write!(f, "clear {}", names.join(", "))
            }
            Action::Table { device, table } => write!(f, "partition {device}: {table}"),
            Action::Wipe(device) => write!(f, "wipe signatures of {device}"),
            Action::Expect { device, size } => {
                let size = size.map_or_else(String::new, |bytes| format!(" with {}", size::human(bytes)));
                write!(f, "look for {device}{size}")
            }
            Action::Run(command) => write!(f, "{command}"),
            Action::Swap { device, .. } => write!(f, "make swap on {device}"),
            Action::Within { device, format, commands, which, .. } => {
                let which = if *which == Which::Missing { ", where it is not there yet" } else { "" };
                write!(f, "in {format} of {device}{which}:")?;
                commands.iter().try_for_each(|command| write!(f, " {command};"))
            }
            Action::Seal { device, pcrs, .. } => {
                let pcrs = if pcrs.is_empty() { "no PCR".to_owned() } else { format!("PCR {}", joined(pcrs)) };
                write!(f, "seal a key of {device} to the TPM ({pcrs})")
            }
            Action::KeyFile(path) => write!(f, "key file {path} for the time of the run"),
            Action::Hook { at, text, .. } => write!(f, "hook {at}: {text:?}"),
        }
    }
}

impl Action {
    /// The tools that it needs.
    pub fn tools(&self) -> Option<ToolSet> {
        let of = |command: &Command| match command.program {
            "mdadm" => Some(ToolSet::Mdadm),
            "lvm" => Some(ToolSet::Lvm),
            "cryptsetup" => Some(ToolSet::Luks),
            "btrfs" | "mkfs.btrfs" => Some(ToolSet::Btrfs),
            "mkfs.xfs" => Some(ToolSet::Xfs),
            "mkfs.f2fs" => Some(ToolSet::F2fs),
            "bcachefs" | "mkfs.bcachefs" => Some(ToolSet::Bcachefs),
            "zpool" | "zfs" => Some(ToolSet::Zfs),
            _ => None,
        };
        match self {
            Action::Run(command) => of(command),
            Action::Within { commands, .. } => commands.iter().find_map(of),
            Action::Seal { .. } => Some(ToolSet::Luks),
            _ => None,
        }
    }
}

/// As crypttab writes them.
fn joined(pcrs: &BTreeSet<u8>) -> String {
    pcrs.iter().map(u8::to_string).collect::<Vec<_>>().join("+")
}

/// A path without slashes at its ends.
pub fn inside(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
