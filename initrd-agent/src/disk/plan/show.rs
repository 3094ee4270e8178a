//! The plan for people and for programs.

use super::{
    Plan,
    build::Mode,
    facts::{ActionFact, Mount, SwapSpace},
    sector_bytes,
};
use crate::disk::size;
use serde_json::{Value, json};

impl Plan {
    /// The exact disks and actions, one line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for disk in &self.disks {
            let hardware = &disk.disk;
            let fate = match (disk.mode, disk.destroys) {
                (Mode::Make, true) => "DESTROYS",
                (Mode::Make, false) => "now",
                (Mode::Reuse, _) => "is kept in part",
                (Mode::Open, _) => "is kept",
            };
            lines.push(format!(
                "disk {} = {} ({}, serial {}, wwn {}), {fate}: {}",
                disk.name,
                disk.device(),
                size::human(hardware.size),
                hardware.serial.as_deref().unwrap_or("-"),
                hardware.wwn.as_deref().unwrap_or("-"),
                disk.before
            ));
            let sector = sector_bytes(hardware);
            for (one, extent) in disk.table.iter().flat_map(|(table, extents)| table.partitions.iter().zip(extents)) {
                let length = size::human((extent.last - extent.first + 1) * sector);
                lines.push(format!("  partition {} {} {length}", one.number, one.label));
            }
        }
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
        lines.extend(self.swaps.iter().map(|swap| format!("  swap {}", swap.path)));
        lines
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
                    "fate": match one.mode {
                        Mode::Make => "made",
                        Mode::Reuse => "kept in part",
                        Mode::Open => "kept",
                    },
                    "destroys": one.destroys,
                    "stands": one.stands,
                    "partitions": partitions,
                })
            })
            .collect();
        json!({
            "disks": disks,
            "stands": self.stands(),
            "actions": self.actions.iter().map(ActionFact::from).collect::<Vec<_>>(),
            "open": self.open.iter().map(ActionFact::from).collect::<Vec<_>>(),
            "mounts": self.mounts.iter().map(Mount::fact).collect::<Vec<_>>(),
            "swap": self.swaps.iter().map(SwapSpace::fact).collect::<Vec<_>>(),
            "tools": self.tool_sets(),
        })
    }
}
