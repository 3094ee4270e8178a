//! Partition tables as bytes: GPT (UEFI specification 2.10, section 5), with a hybrid MBR where the layout has
//! one, and msdos tables with their chain of logical partitions.

use super::{
    partitions::{Extent, Partition, PartitionKind, Place, Table, TableKind},
    place::{self, NoPlace, Room, Span},
    probe::block_size,
};
use layout::PartType;
use std::{
    fs::File,
    io::{Error, Read, Result, Seek, SeekFrom, Write},
};

/// Heads and sectors that a table without geometry pretends.
const HEADS: u64 = 255;
const TRACK: u64 = 63;
const PROTECTIVE: u8 = 0xee;
const LINKED: u8 = 0x05;

/// Where each partition of a table lies.
///
/// # Errors
/// The number of the partition that has no place, and why.
pub fn place(table: &Table, room: Room) -> std::result::Result<Vec<Extent>, (u32, NoPlace)> {
    let spans = spans(table, room).map_err(|(n, why)| (table.partitions.get(n).map_or(1, |one| one.number), why))?;
    let extent = |(one, span): (&Partition, Span)| Extent { guid: one.guid, first: span.first, last: span.last };
    Ok(table.partitions.iter().zip(spans).map(extent).collect())
}

fn spans(table: &Table, room: Room) -> std::result::Result<Vec<Span>, (usize, NoPlace)> {
    if let TableKind::Msdos { .. } = table.kind {
        return place_msdos(table, room);
    }
    let usable = room.usable().ok_or((0, NoPlace::Full))?;
    if table.partitions.iter().any(|one| matches!(one.place, Place::Legacy { .. })) {
        let wanted: Vec<_> = table.partitions.iter().map(|one| one.place.legacy()).collect();
        return place::legacy(room, usable, &wanted);
    }
    let wanted: Vec<_> = table.partitions.iter().map(|one| one.place.wanted()).collect();
    place::gpt(room, &wanted)
}

/// Logical partitions lie inside of the extended one, each behind a sector that describes it.
fn place_msdos(table: &Table, room: Room) -> std::result::Result<Vec<Span>, (usize, NoPlace)> {
    let inside = Span { first: 1, last: room.sectors.saturating_sub(1).min(place::MOST_OF_MSDOS) };
    let mut spans: Vec<Span> = Vec::new();
    let mut extended: Option<Span> = None;
    for (n, one) in table.partitions.iter().enumerate() {
        let at = |inside: Span| {
            let placed = place::legacy(room, inside, &[one.place.legacy()]).map_err(|(_, why)| (n, why))?;
            placed.first().copied().ok_or((n, NoPlace::Full))
        };
        let span = match part(one) {
            PartType::Logical => {
                let extended = extended.ok_or((n, NoPlace::Full))?;
                let mut logical = table.partitions.iter().zip(&spans).filter(|(one, _)| part(one) == PartType::Logical);
                let last = logical.next_back();
                let first = last.map_or(extended.first, |(_, span)| span.last + 1) + 1;
                at(Span { first, last: extended.last })?
            }
            kind => {
                let span = at(inside)?;
                if kind == PartType::Extended {
                    extended = Some(span);
                }
                span
            }
        };
        let overlaps = |(other, taken): (&Partition, &Span)| {
            let nested = part(one) == PartType::Logical && part(other) == PartType::Extended;
            !nested && span.first <= taken.last && taken.first <= span.last
        };
        if table.partitions.iter().zip(&spans).any(overlaps) {
            return Err((n, NoPlace::Full));
        }
        spans.push(span);
    }
    Ok(spans)
}

fn part(one: &Partition) -> PartType {
    match one.kind {
        PartitionKind::Mbr { part, .. } => part,
        PartitionKind::Guid(_) => PartType::Primary,
    }
}

/// Writes a table; `finished` says with which of its two identifiers.
///
/// # Errors
/// Those of writing.
pub fn write(device: File, table: &Table, extents: &[Extent], room: Room, finished: bool) -> Result<File> {
    let mut device = match &table.kind {
        TableKind::Gpt { guid, unfinished, protective_first } => {
            let guid = if finished { *guid } else { *unfinished };
            let mut device = write_gpt(device, table, extents, room, guid)?;
            if table.partitions.iter().any(|one| one.hybrid.is_some()) {
                write_hybrid(&mut device, table, extents, room, *protective_first)?;
            }
            device
        }
        TableKind::Msdos { signature, unfinished } => {
            let mut device = device;
            write_msdos(&mut device, table, extents, room, if finished { *signature } else { *unfinished })?;
            device
        }
    };
    device.flush()?;
    device.sync_all()?;
    Ok(device)
}

fn write_gpt(mut device: File, table: &Table, extents: &[Extent], room: Room, guid: uuid::Uuid) -> Result<File> {
    let sectors = u32::try_from(room.sectors - 1).unwrap_or(u32::MAX);
    gpt::mbr::ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut device).map_err(Error::other)?;
    let sector = u32::try_from(room.sector).unwrap_or(512);
    let config = gpt::GptConfig::new().writable(true).logical_block_size(block_size(sector));
    let mut written = config.create_from_device(device, Some(guid)).map_err(Error::other)?;
    let entries = table.partitions.iter().zip(extents).map(|(one, extent)| (one.number, entry(one, extent)));
    written.update_partitions(entries.collect()).map_err(Error::other)?;
    written.write().map_err(Error::other)
}

fn entry(one: &Partition, extent: &Extent) -> gpt::partition::Partition {
    let guid = match one.kind {
        PartitionKind::Guid(guid) => guid,
        PartitionKind::Mbr { .. } => uuid::Uuid::nil(),
    };
    gpt::partition::Partition {
        part_type_guid: gpt::partition_types::Type { guid, os: gpt::partition_types::OperatingSystem::None },
        part_guid: extent.guid,
        first_lba: extent.first,
        last_lba: extent.last,
        flags: one.attributes,
        name: one.label.clone(),
    }
}

/// Up to three partitions, and the protective entry over the table itself, in front of or behind them.
fn write_hybrid(
    device: &mut File,
    table: &Table,
    extents: &[Extent],
    room: Room,
    protective_first: bool,
) -> Result<()> {
    let listed = table.partitions.iter().zip(extents).filter_map(|(one, extent)| Some((one.hybrid?, extent)));
    let mut entries: Vec<[u8; 16]> = listed
        .clone()
        .map(|((code, active), extent)| mbr_entry(code, active, extent.first, extent.last, extent.first))
        .collect();
    let first = listed.map(|(_, extent)| extent.first).min().unwrap_or(2);
    let protective = mbr_entry(PROTECTIVE, false, 1, first - 1, 1);
    entries.insert(if protective_first { 0 } else { entries.len() }, protective);
    put_entries(device, 0, room, &entries, None)
}

fn write_msdos(device: &mut File, table: &Table, extents: &[Extent], room: Room, signature: u32) -> Result<()> {
    let zipped = || table.partitions.iter().zip(extents);
    let of = |one: &Partition, extent: &Extent, relative_to: u64| match one.kind {
        PartitionKind::Mbr { code, active, .. } => {
            mbr_entry(code, active, extent.first, extent.last, extent.first - relative_to)
        }
        PartitionKind::Guid(_) => [0; 16],
    };
    let primary: Vec<[u8; 16]> =
        zipped().filter(|(one, _)| part(one) != PartType::Logical).map(|(one, extent)| of(one, extent, 0)).collect();
    put_entries(device, 0, room, &primary, Some(signature))?;
    let Some(extended) = zipped().find(|(one, _)| part(one) == PartType::Extended).map(|(_, extent)| *extent) else {
        return Ok(());
    };
    // Each logical partition is described in a sector in front of it, which also names the next such sector.
    let logical: Vec<_> = zipped().filter(|(one, _)| part(one) == PartType::Logical).collect();
    let sectors: Vec<u64> =
        std::iter::once(extended.first).chain(logical.iter().skip(1).map(|(_, extent)| extent.first - 1)).collect();
    for (n, (one, extent)) in logical.iter().enumerate() {
        let mut entries = vec![of(one, extent, sectors[n])];
        if let (Some(next), Some((_, extent))) = (sectors.get(n + 1), logical.get(n + 1)) {
            entries.push(mbr_entry(LINKED, false, *next, extent.last, *next - extended.first));
        }
        put_entries(device, sectors[n], room, &entries, None)?;
    }
    Ok(())
}

/// An entry with the sector that it says, which in a chain counts from elsewhere.
fn mbr_entry(code: u8, active: bool, first: u64, last: u64, said: u64) -> [u8; 16] {
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut entry = [0; 16];
    entry[0] = if active { 0x80 } else { 0 };
    entry[1..4].copy_from_slice(&geometry(first));
    entry[4] = code;
    entry[5..8].copy_from_slice(&geometry(last));
    entry[8..12].copy_from_slice(&word(said));
    entry[12..16].copy_from_slice(&word(last - first + 1));
    entry
}

/// Head, sector and cylinder; all ones beyond what they can say.
fn geometry(sector: u64) -> [u8; 3] {
    let cylinder = sector / (HEADS * TRACK);
    if cylinder > 1023 {
        return [0xfe, 0xff, 0xff];
    }
    let head = sector / TRACK % HEADS;
    let within = sector % TRACK + 1;
    [head as u8, (within | (cylinder >> 2 & 0xc0)) as u8, cylinder as u8]
}

/// Four entries and the mark behind them; the boot code in front is left as it is.
fn put_entries(device: &mut File, sector: u64, room: Room, entries: &[[u8; 16]], signature: Option<u32>) -> Result<()> {
    let mut block = vec![0u8; usize::try_from(room.sector).unwrap_or(512)];
    device.seek(SeekFrom::Start(sector * room.sector))?;
    device.read_exact(&mut block)?;
    if let Some(signature) = signature {
        block[440..444].copy_from_slice(&signature.to_le_bytes());
    }
    block[446..510].fill(0);
    for (n, entry) in entries.iter().take(4).enumerate() {
        block[446 + 16 * n..462 + 16 * n].copy_from_slice(entry);
    }
    block[510..512].copy_from_slice(&[0x55, 0xaa]);
    device.seek(SeekFrom::Start(sector * room.sector))?;
    device.write_all(&block)
}

#[cfg(test)]
mod tests;
