//! What is gathered on the way through a layout, and what every content type does to it.

use super::{
    elsewhere::Identifiers,
    facts::{Mount, Source, SwapSpace},
    identity::Identity,
    sizes::Sizes,
};
use crate::action::{Action, Arg, Command, Device, Variables};
use layout::{Content, Hooks};
use std::collections::{BTreeMap, BTreeSet};

/// Whether something is made, or is there already and only opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything anew.
    Make,
    /// What holds other things is opened; of file systems, those that are not to be kept are made anew.
    Reuse,
    /// Everything is there.
    Open,
}

/// Section and key of what has members.
pub type Collection = (&'static str, String);

/// What is gathered on the way through the layout.
pub struct Builder<'a> {
    /// Identifiers of this node's own.
    pub own: &'a Identity,
    /// What each disk of the layout is, and what is done with it.
    pub disks: BTreeMap<String, (Device, Mode)>,
    /// Mount points of file systems that are kept.
    pub keep: &'a BTreeSet<String>,
    /// What opens what is kept in part: before anything is written.
    pub first: Vec<Action>,
    /// In order.
    pub actions: Vec<Action>,
    /// Mount points that are left to the installed system, and of what kind each is.
    pub left: Vec<(String, String)>,
    /// Mount points that stay with another one that is kept.
    pub stays: Vec<(String, String)>,
    #[allow(missing_docs)]
    pub mounts: Vec<Mount>,
    #[allow(missing_docs)]
    pub swaps: Vec<SwapSpace>,
    /// Devices of each collection, in the order of the layout, and how they are to be treated.
    pub members: BTreeMap<Collection, Vec<(Device, Mode)>>,
    /// Arguments of `bcachefs format` for each member.
    pub member_arguments: BTreeMap<Collection, Vec<Arg>>,
    /// Partitions by the paths that their names make.
    pub labels: BTreeMap<String, Device>,
    /// Of what is made anew.
    pub sizes: Sizes,
    /// Of what is made or opened.
    pub identifiers: Identifiers,
    /// Pools of which a member has no place, or a place no member.
    pub unlisted: Vec<String>,
    /// What each device that is made here stands on.
    below: BTreeMap<Device, Vec<Device>>,
    /// Only looks: everything is opened.
    pub opening: bool,
}

impl<'a> Builder<'a> {
    /// A builder for disks whose fate has been decided.
    pub fn new(
        own: &'a Identity,
        disks: BTreeMap<String, (Device, Mode)>,
        keep: &'a BTreeSet<String>,
        opening: bool,
    ) -> Self {
        Builder {
            own,
            disks,
            keep,
            first: Vec::new(),
            actions: Vec::new(),
            left: Vec::new(),
            stays: Vec::new(),
            mounts: Vec::new(),
            swaps: Vec::new(),
            members: BTreeMap::new(),
            member_arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            sizes: Sizes::default(),
            identifiers: Identifiers::default(),
            unlisted: Vec::new(),
            below: BTreeMap::new(),
            opening,
        }
    }

    /// Runs a tool.
    pub fn run(&mut self, command: Command) {
        self.actions.push(Action::Run(command));
    }

    /// Runs a tool that opens something; before the first write where only a part of it is made anew.
    pub fn open(&mut self, command: Command, mode: Mode) {
        self.look(Action::Run(command), mode);
    }

    /// Does what writes nothing; before the first write where only a part is made anew.
    pub fn look(&mut self, action: Action, mode: Mode) {
        let actions = if mode == Mode::Reuse && !self.opening { &mut self.first } else { &mut self.actions };
        actions.push(action);
    }

    /// Of these mount points, those that nobody wants to keep stay with those that somebody does.
    pub fn stay(&mut self, mode: Mode, of: &str, mountpoints: &[Option<&String>]) {
        let all: BTreeSet<String> = mountpoints.iter().flatten().map(|one| super::normal(one)).collect();
        if mode == Mode::Reuse && !all.is_disjoint(self.keep) {
            self.stays.extend(all.into_iter().filter(|one| !self.keep.contains(one)).map(|one| (one, of.to_owned())));
        }
    }

    /// Remembers an identifier of this node's own.
    pub fn identify(&mut self, identifier: Option<&str>, of: &str) {
        identifier.into_iter().for_each(|identifier| self.identifiers.add(identifier, of));
    }

    /// Remembers what a device stands on.
    pub fn stands_on(&mut self, device: &Device, below: &[Device]) {
        self.below.insert(device.clone(), below.to_vec());
    }

    /// The disks of the layout that a file system lies on.
    pub fn disks_below(&self, source: &Source) -> BTreeSet<String> {
        let mut waiting: Vec<&Device> = match source {
            Source::Device(device) => vec![device],
            Source::Devices(devices, _) => devices.iter().collect(),
            Source::Folder(_) | Source::Named(_) => Vec::new(),
        };
        let mut disks = BTreeSet::new();
        while let Some(device) = waiting.pop() {
            match device {
                Device::Disk { name, .. } => drop(disks.insert(name.clone())),
                Device::Partition(of, _) => waiting.push(of),
                other => waiting.extend(self.below.get(other).into_iter().flatten()),
            }
        }
        disks
    }

    /// Remembers a member of a collection.
    pub fn member(&mut self, section: &'static str, key: &str, device: &Device, mode: Mode) {
        self.members.entry((section, key.to_owned())).or_default().push((device.clone(), mode));
    }

    /// The members of a collection, and whether it is made: one new member is enough, [`super::check_modes`] has
    /// refused layouts in which that would be a part of what is kept.
    pub fn members_of(&self, section: &'static str, key: &str) -> (Vec<Device>, Mode) {
        let members = self.members.get(&(section, key.to_owned())).cloned().unwrap_or_default();
        let mode = match members.iter().map(|(_, mode)| *mode).collect::<Vec<_>>() {
            modes if modes.contains(&Mode::Make) => Mode::Make,
            modes if modes.contains(&Mode::Reuse) => Mode::Reuse,
            _ => Mode::Open,
        };
        (members.into_iter().map(|(device, _)| device).collect(), mode)
    }

    /// The hooks in front of something.
    pub fn before(&mut self, at: &str, hooks: &Hooks, variables: &Variables) {
        let (name, hook) = if self.opening {
            ("preMountHook", &hooks.pre_mount_hook)
        } else {
            ("preCreateHook", &hooks.pre_create_hook)
        };
        self.hook(at, name, hook.as_ref(), variables);
    }

    /// The hooks behind something.
    pub fn after(&mut self, at: &str, hooks: &Hooks, variables: &Variables) {
        let (name, hook) = if self.opening {
            ("postMountHook", &hooks.post_mount_hook)
        } else {
            ("postCreateHook", &hooks.post_create_hook)
        };
        self.hook(at, name, hook.as_ref(), variables);
    }

    fn hook(&mut self, at: &str, name: &str, text: Option<&String>, variables: &Variables) {
        if let Some(text) = text {
            let (at, variables) = (format!("{at}.{name}"), variables.clone());
            self.actions.push(Action::Hook { at, text: text.clone(), variables });
        }
    }

    /// Remembers a file system to be mounted.
    pub fn mount(
        &mut self,
        source: Source,
        format: &str,
        mountpoint: &str,
        options: &[String],
        uuid: Option<String>,
        hooks: &Hooks,
    ) {
        self.mounts.push(Mount {
            source,
            format: format.to_owned(),
            mountpoint: mountpoint.to_owned(),
            options: options.to_vec(),
            uuid,
            hooks: hooks.clone(),
        });
    }

    /// Whether a file system is made: in a layout that is reused, those that nobody wants to keep are.
    pub fn is_made(&self, mode: Mode, mountpoints: &[Option<&String>]) -> bool {
        let kept = || mountpoints.iter().flatten().any(|mountpoint| self.keep.contains(&super::normal(mountpoint)));
        mode == Mode::Make || (mode == Mode::Reuse && !kept())
    }

    /// What is made anew in a device that is kept.
    pub fn wipe_again(&mut self, device: &Device, mode: Mode) {
        if mode == Mode::Reuse {
            self.actions.push(Action::Wipe(device.clone()));
        }
    }
}

/// The devices that a collection is made of.
pub struct Members {
    /// Where the collection stands in the layout.
    pub at: String,
    /// In the order of the layout.
    pub devices: Vec<Device>,
    /// How they are treated.
    pub mode: Mode,
}

/// What goes onto a device that stands now: it is made there next, by whoever knows every content type.
pub struct Inside<'a> {
    /// Where it stands in the layout.
    pub at: String,
    /// The device.
    pub device: Device,
    /// What goes onto it.
    pub content: Option<&'a Content>,
    /// How the device was treated.
    pub mode: Mode,
}
