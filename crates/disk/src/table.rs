//! The table of disks that every refusal prints.

use super::{probe::Content, select};
use protocol::inventory::Disk;
use protocol::size;
use std::collections::BTreeMap;

/// Name, size, model, serial, WWN, transport, what is on it and why it must not be used, one disk a line.
pub fn disks(disks: &[Disk], contents: &BTreeMap<String, Content>) -> String {
    let head = ["disk", "size", "model", "serial", "wwn", "transport", "content"].map(str::to_owned);
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut rows = vec![head];
    for disk in disks {
        let content = contents.get(&disk.name);
        let found = content.map_or_else(|| "?".to_owned(), Content::describe);
        let excluded = select::exclusion(disk, disks, content);
        let found = match excluded {
            // What it holds and why it is excluded may be the same words.
            Some(why) if why.ends_with(&found) => format!("excluded: {why}"),
            Some(why) => format!("{found}; excluded: {why}"),
            None => found,
        };
        rows.push([
            disk.name.clone(),
            size::human(disk.size),
            dash(&disk.model),
            dash(&disk.serial),
            dash(&disk.wwn),
            format!("{:?}", disk.transport).to_lowercase(),
            found,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_must_not_be_used_says_why() {
        let stick = Disk { name: "sda".into(), size: 1 << 30, removable: true, ..Disk::default() };
        let contents = BTreeMap::from([("sda".to_owned(), Content::default())]);
        let table = disks(&[stick], &contents);
        assert!(table.ends_with("empty; excluded: removable"), "{table}");
    }
}
