//! The table of disks that every refusal prints.

use super::{probe::Content, size};
use protocol::inventory::Disk;
use std::collections::BTreeMap;

/// Name, size, model, serial, WWN, transport and what is on it, one disk a line.
pub fn disks(disks: &[Disk], contents: &BTreeMap<String, Content>) -> String {
    let head = ["disk", "size", "model", "serial", "wwn", "transport", "content"].map(str::to_owned);
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![head];
    for disk in disks {
        rows.push([
            disk.name.clone(),
            size::human(disk.size),
            dash(&disk.model),
            dash(&disk.serial),
            dash(&disk.wwn),
            format!("{:?}", disk.transport).to_lowercase(),
            contents.get(&disk.name).map_or_else(|| "?".to_owned(), Content::describe),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("    {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
