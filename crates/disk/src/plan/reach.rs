//! Which devices each action opens, and whether they are there by then: made by this plan, or on a disk of it from the
//! beginning. What is not there by then could only be somebody else's.

use super::{DiskPlan, Facts, Plan};
use crate::{
    action::{Action, Arg, Command, Device},
    partitions::Table,
};
use layout::{Layout, Words, devices_in, partition_path};
use protocol::{Code, failure::Result};
use std::collections::BTreeSet;

/// Every device that an action opens, or a word names, is there by then.
///
/// # Errors
/// `E-LAYOUT` with the path of the word, or the action.
pub fn check(plan: &Plan, layout: &Layout, facts: &Facts<'_>) -> Result<()> {
    let refuse = |action: &str, device: &str| {
        let free = Words::of(layout).free;
        let word = free.iter().find(|word| word.text.contains(device));
        let at = word.map_or_else(String::new, |word| format!("at {}: ", word.at));
        let cause = format!("{at}{device} is not there yet when it is needed, by: {action}");
        Err(facts.refuse(Code::Layout, &cause).with_remedy(
            "have what makes it come first: on one disk by `priority`, or put both on different disks of the layout",
        ))
    };
    for actions in [&plan.actions, &plan.open] {
        let mut there = There::at_first(&plan.disks, actions);
        for action in actions {
            if let Err(early) = there.after(action) {
                return refuse(&early.action, &early.device);
            }
        }
        for option in plan.mounts.iter().flat_map(|mount| &mount.options) {
            if let Err(device) = there.has_word(option) {
                return refuse(&format!("the mount option {option}"), &device);
            }
        }
    }
    Ok(())
}

/// An action, and what it needs and is not there yet.
#[derive(Debug, PartialEq, Eq)]
struct TooEarly {
    /// In words.
    pub action: String,
    /// `/dev/...`.
    pub device: String,
}

/// What is there at some point of a plan.
struct There {
    devices: BTreeSet<Device>,
    /// Paths that words may have: of devices, and of partitions by their names.
    paths: BTreeSet<String>,
    /// Their partitions come with a table that is still to be written.
    bare: BTreeSet<Device>,
}

impl There {
    /// Before the first of these actions.
    fn at_first(disks: &[DiskPlan], actions: &[Action]) -> Self {
        let bare = actions.iter().filter_map(|action| match action {
            Action::Table { device, .. } => Some(device.clone()),
            _ => None,
        });
        let mut there = There { devices: BTreeSet::new(), paths: BTreeSet::new(), bare: bare.collect() };
        for disk in disks {
            let device = disk.device();
            if let Some((table, _)) = disk.table.as_ref().filter(|_| !there.bare.contains(&device)) {
                there.add_partitions(&device, table);
            }
            there.add(device);
        }
        there
    }

    /// Carries an action out.
    ///
    /// # Errors
    /// What it needs first.
    fn after(&mut self, action: &Action) -> std::result::Result<(), TooEarly> {
        let missing = opened(action).into_iter().find(|one| !self.has(one));
        if let Some(missing) = missing {
            let device = match missing {
                Opened::Device(device) => device.to_string(),
                Opened::Path(path) => path.to_owned(),
            };
            return Err(TooEarly { action: action.to_string(), device });
        }
        match action {
            Action::Table { device, table } => self.add_partitions(device, table),
            Action::Run(command) => command.makes.iter().for_each(|device| self.add(device.clone())),
            _ => {}
        }
        Ok(())
    }

    /// What a word names is there.
    fn has_word(&self, word: &str) -> std::result::Result<(), String> {
        devices_in(word)
            .into_iter()
            .find(|path| !self.paths.contains(*path))
            .map_or(Ok(()), |path| Err(path.to_owned()))
    }

    fn has(&self, one: &Opened<'_>) -> bool {
        match one {
            Opened::Path(path) => self.paths.contains(*path),
            Opened::Device(device) => self.has_device(device),
        }
    }

    fn has_device(&self, device: &Device) -> bool {
        let of_table = |of: &Device| !self.bare.contains(of) && self.has_device(of);
        self.devices.contains(device) || matches!(device, Device::Partition(of, _) if of_table(of))
    }

    fn add(&mut self, device: Device) {
        self.paths.insert(device.to_string());
        self.devices.insert(device);
    }

    fn add_partitions(&mut self, device: &Device, table: &Table) {
        for one in &table.partitions {
            self.add(device.partition(one.number));
            self.paths.extend(partition_path(&one.label));
        }
    }
}

/// Something that an action opens.
enum Opened<'a> {
    Device(&'a Device),
    /// As a word has it.
    Path(&'a str),
}

fn opened(action: &Action) -> Vec<Opened<'_>> {
    match action {
        Action::Clear(devices) => devices.iter().map(Opened::Device).collect(),
        Action::Table { device, .. }
        | Action::Wipe(device)
        | Action::Swap { device, .. }
        | Action::Seal { device, .. }
        | Action::Expect { device, .. } => {
            vec![Opened::Device(device)]
        }
        Action::Run(command) => opened_by(command),
        Action::Within { device, commands, .. } => {
            std::iter::once(Opened::Device(device)).chain(commands.iter().flat_map(opened_by)).collect()
        }
        Action::Hook { variables, .. } => {
            let devices = variables.iter().filter_map(|(_, value)| match value {
                Arg::Device(device) => Some(Opened::Device(device)),
                _ => None,
            });
            devices.collect()
        }
        Action::KeyFile(_) => Vec::new(),
    }
}

fn opened_by(command: &Command) -> Vec<Opened<'_>> {
    let is_made = |path: &&str| command.makes.iter().any(|made| made.to_string() == **path);
    let mut found = Vec::new();
    for argument in &command.arguments {
        match argument {
            Arg::Device(device) => found.push(Opened::Device(device)),
            Arg::Text(text) => {
                found.extend(devices_in(text).into_iter().filter(|path| !is_made(path)).map(Opened::Path));
            }
            Arg::Key(_) | Arg::Inside(_) | Arg::Root => {}
        }
    }
    found
}
