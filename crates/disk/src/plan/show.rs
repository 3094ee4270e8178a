//! The plan for people and for programs.

use super::{
    DiskPlan, Plan,
    facts::{ActionFact, Mount, SwapSpace},
    sector_bytes,
};
use protocol::{
    report::{Fate, PlannedDisk},
    size,
};
use serde_json::{Value, json};

impl Plan {
    /// The exact disks and actions, one line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.disks.iter().flat_map(DiskPlan::lines).collect();
        lines.extend(self.actions.iter().zip(1..).map(|(action, n)| format!("  {n}. {action}")));
        lines.extend(self.mounts.iter().map(|mount| {
            let options = mount.options.join(",");
            format!("  mount {} at {} ({}, {options})", mount.source, mount.mountpoint, mount.format)
        }));
        lines.extend(
            self.hidden
                .iter()
                .map(|mount| format!("  not mounted: {}, as {} is another's place", mount.source, mount.mountpoint)),
        );
        lines.extend(self.stays.iter().map(|(mountpoint, of)| {
            format!("  {mountpoint} is not made anew: it is of the {of}, of which a part is kept")
        }));
        lines.extend(self.swaps.iter().map(|swap| format!("  swap {}", swap.path)));
        lines.iter().map(|line| printable(line)).collect()
    }

    /// What becomes of each disk, with the line of [`Plan::lines`] that says so.
    pub fn planned_disks(&self) -> Vec<PlannedDisk> {
        let mut line = 0;
        let planned = |disk: &DiskPlan| {
            let planned = PlannedDisk { name: disk.name.clone(), line, fate: disk.fate };
            line += disk.lines().len();
            planned
        };
        self.disks.iter().map(planned).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let disks: Vec<Value> = self
            .disks
            .iter()
            .map(|one| {
                let partitions = one.table.iter().flat_map(|(table, extents)| table.partitions.iter().zip(extents));
                let partitions: Vec<Value> = partitions
                    .map(|(partition, extent)| {
                        json!({
                            "number": partition.number,
                            "label": partition.label,
                            "guid": extent.guid,
                            "first_sector": extent.first,
                            "last_sector": extent.last,
                        })
                    })
                    .collect();
                json!({
                    "name": one.name,
                    "device": one.device().to_string(),
                    "serial": one.disk.serial,
                    "wwn": one.disk.wwn,
                    "size": one.disk.size,
                    "sector_size": sector_bytes(&one.disk),
                    "content": one.before,
                    "fate": match one.fate {
                        Fate::Make { .. } => "made",
                        Fate::KeepInPart { .. } => "kept in part",
                        Fate::Keep => "kept",
                        Fate::Wipe { .. } => "wiped",
                    },
                    "loses": one.fate.loses(),
                    "destroys": one.fate.destroys(),
                    "stands": one.stands(),
                    "partitions": partitions,
                })
            })
            .collect();
        json!({
            "disks": disks,
            "stands": self.stands(),
            "actions": self.actions.iter().map(ActionFact::from).collect::<Vec<_>>(),
            "open": self.open.iter().map(ActionFact::from).collect::<Vec<_>>(),
            "stays": self.stays.iter().map(|(mountpoint, _)| mountpoint).collect::<Vec<_>>(),
            "mounts": self.mounts.iter().map(Mount::fact).collect::<Vec<_>>(),
            "swap": self.swaps.iter().map(SwapSpace::fact).collect::<Vec<_>>(),
            "tools": self.tool_sets(),
        })
    }
}

/// Words of a layout or a disk make no line of their own.
fn printable(line: &str) -> String {
    let shown = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    line.chars().map(shown).collect()
}

impl DiskPlan {
    fn lines(&self) -> Vec<String> {
        let hardware = &self.disk;
        let fate = match (self.fate, self.fate.destroys()) {
            (Fate::KeepInPart { .. }, true) => "is kept in part, DESTROYS the rest of",
            (_, true) => "DESTROYS",
            (Fate::Make { .. } | Fate::Wipe { .. }, false) => "now",
            (Fate::KeepInPart { .. }, false) => "is kept in part",
            (Fate::Keep, false) => "is kept",
        };
        let disk = format!(
            "disk {} = {} ({}, serial {}, wwn {}), {fate}: {}",
            self.name,
            self.device(),
            size::human(hardware.size),
            hardware.serial.as_deref().unwrap_or("-"),
            hardware.wwn.as_deref().unwrap_or("-"),
            self.before
        );
        let sector = sector_bytes(hardware);
        let partitions = self.table.iter().flat_map(|(table, extents)| table.partitions.iter().zip(extents));
        let partitions = partitions.map(|(one, extent)| {
            let length = size::human((extent.last - extent.first + 1) * sector);
            format!("  partition {} {} {length}", one.number, one.label)
        });
        std::iter::once(disk).chain(partitions).collect()
    }
}
