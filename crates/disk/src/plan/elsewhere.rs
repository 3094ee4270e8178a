//! What this plan would make a second time: its identifiers and names on disks that were not chosen. Identifiers are
//! made from the node and the layout, so the disk that an earlier installation was on has the same ones, and which of
//! both is found by them later is chance.

use super::{Facts, Plan};
use crate::{
    action::{Action, Device},
    device_node::mapper_name,
    mapper::group_and_volume,
    partitions::TableKind,
    probe::{Content, Signature},
    stack::{Kind, Node},
};
use protocol::{Code, failure::Result, inventory::Disk};
use std::collections::BTreeMap;

/// blkid's word for a disk of an md array.
const MEMBER: &str = "linux_raid_member";

/// Identifiers that a plan gives, by their hexadecimal digits, and what each is of.
#[derive(Debug, Default)]
pub struct Identifiers(BTreeMap<String, String>);

impl Identifiers {
    /// One more, as any tool writes it.
    pub fn add(&mut self, identifier: &str, of: &str) {
        self.0.insert(digits(identifier), of.to_owned());
    }

    fn get(&self, identifier: &str) -> Option<&String> {
        self.0.get(&digits(identifier))
    }

    fn with_tables(mut self, plan: &Plan) -> Self {
        for (table, extents) in plan.disks.iter().filter_map(|disk| disk.table.as_ref()) {
            match &table.kind {
                TableKind::Gpt { guid, unfinished, .. } => {
                    [guid, unfinished].iter().for_each(|guid| self.add(&guid.to_string(), "partition table"));
                    extents.iter().for_each(|one| self.add(&one.guid.to_string(), "partition"));
                }
                TableKind::Msdos { signature, unfinished } => {
                    [signature, unfinished].iter().for_each(|one| self.add(&format!("{one:08x}"), "partition table"));
                }
            }
        }
        self
    }
}

/// LVM's identifiers have upper case and mean it; ours are hexadecimal.
fn digits(identifier: &str) -> String {
    identifier.chars().filter(|char| !['-', ':'].contains(char)).collect::<String>().to_lowercase()
}

/// Looks on every disk that is not the plan's.
///
/// # Errors
/// `E-DISK-UNFIT` with the disk that has the same identifiers, or that what has the same name stands on.
pub fn check(plan: &Plan, identifiers: Identifiers, facts: &Facts<'_>) -> Result<()> {
    let identifiers = identifiers.with_tables(plan);
    let is_other = |disk: &&Disk| plan.disks.iter().all(|chosen| chosen.disk.name != disk.name);
    for disk in facts.disks.iter().filter(is_other) {
        let Some(content) = facts.contents.get(&disk.name) else { continue };
        if let Some(what) = earlier(&identifiers, content) {
            let cause = format!(
                "{} carries an earlier installation of this node: it has the identifier of the {what} that this plan has",
                disk.name
            );
            return Err(facts.refuse(Code::DiskUnfit, &cause).with_remedy(format!(
                "unplug {0}, wipe it (wipefs --all on {0} and its partitions), or add it to the layout",
                disk.name
            )));
        }
    }
    let chosen: Vec<&str> = plan.disks.iter().map(|disk| disk.disk.name.as_str()).collect();
    let commands = plan.actions.iter().chain(&plan.open).filter_map(|action| match action {
        Action::Run(command) => Some(command),
        _ => None,
    });
    let others: Vec<&Node> = facts
        .stack
        .names()
        .into_iter()
        .filter(|name| !facts.stack.stands_on_only(name, &chosen))
        .filter_map(|name| facts.stack.get(name))
        .collect();
    let taken = commands
        .flat_map(|command| command.makes.clone())
        .find_map(|device| Some((taken_by(&device, &others, facts)?, device)));
    taken.map_or(Ok(()), |(by, device)| {
        let on = facts.stack.disks_below(&by.name).join(", ");
        let cause = format!("{device} is a name in use: {} stands on {on}, which is no disk of the plan", by.label());
        Err(facts.refuse(Code::DiskUnfit, &cause).with_remedy(
            "close what has this name (lvm vgchange --activate n, cryptsetup close, mdadm --stop), unplug its disk, or \
             give another name in the layout",
        ))
    })
}

/// What of an earlier installation is on a disk.
fn earlier(identifiers: &Identifiers, content: &Content) -> Option<String> {
    let table = content
        .table
        .iter()
        .flat_map(|table| std::iter::once(table.guid).chain(table.partitions.values().map(|extent| extent.guid)));
    let in_table = table.filter_map(|guid| identifiers.get(&guid.to_string()).cloned());
    let signatures = content.signatures.iter().flat_map(all);
    let on_it = signatures.filter_map(|one| identifiers.get(one.uuid.as_deref()?).cloned());
    on_it.chain(in_table).next()
}

fn all(signature: &Signature) -> Vec<&Signature> {
    std::iter::once(signature).chain(signature.inside.iter().flat_map(all)).collect()
}

/// Something active that is on other disks and has the name of this device, or of its group.
fn taken_by<'a>(device: &Device, others: &[&'a Node], facts: &Facts<'_>) -> Option<&'a Node> {
    let is_taken = |node: &&&Node| match (device, &node.kind) {
        (Device::Mapper(_), Kind::Mapper { name, .. }) => mapper_name(device).as_ref() == Some(name),
        (Device::Volume { group, .. }, Kind::Mapper { name, uuid }) if uuid.starts_with("LVM-") => {
            group_and_volume(name).is_some_and(|(found, _)| found == *group)
        }
        (Device::Volume { .. }, Kind::Mapper { name, .. }) => mapper_name(device).as_ref() == Some(name),
        (Device::Array(name), Kind::Array { .. }) => {
            facts.stack.disks_below(&node.name).iter().any(|disk| has_member(name, disk, facts))
        }
        _ => false,
    };
    others.iter().find(is_taken).copied()
}

/// `host:name` or the name alone.
fn has_member(array: &str, disk: &str, facts: &Facts<'_>) -> bool {
    let members = facts.contents.get(disk).into_iter().flat_map(|content| &content.signatures);
    let mut labels = members.filter(|one| one.kind == MEMBER).filter_map(|one| one.label.as_deref());
    labels.any(|label| label.split_once(':').map_or(label, |(_, name)| name) == array)
}
