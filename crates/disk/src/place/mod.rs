//! Where partitions lie: the arithmetic of sgdisk (`--align-end`) for disko's `gpt`, and that of parted for its
//! legacy `table`, so that a layout comes out sector for sector as disko makes it. Pure.

use protocol::size;

/// Alignment in bytes where the layout says nothing.
const DEFAULT_ALIGNMENT: u64 = 1 << 20;
/// Sectors from which on sgdisk expects physical sectors that are larger than they say.
const LARGE: u64 = 586_072_368;
/// The last sector that an msdos table describes.
pub const MOST_OF_MSDOS: u64 = u32::MAX as u64;
/// Bytes of the array of 128 entries of 128 bytes.
const TABLE_BYTES: u64 = 128 * 128;

/// First and last sector, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// LBA.
    pub first: u64,
    /// LBA.
    pub last: u64,
}

/// A disk as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Number of sectors.
    pub sectors: u64,
    /// Bytes of a logical sector.
    pub sector: u64,
    /// Sectors of which every partition begins at a multiple.
    pub alignment: u64,
}

impl Room {
    /// A disk of `bytes` bytes. Partitions begin at whole mebibytes, whatever the disk's own sectors are, so that
    /// they are right on disks with large physical sectors, too.
    pub fn new(bytes: u64, sector: u64) -> Self {
        let sector = sector.max(512);
        Self { sectors: bytes / sector, sector, alignment: (DEFAULT_ALIGNMENT / sector).max(1) }
    }

    /// The sectors between the two tables of a GPT; `None` where there are none.
    pub fn usable(&self) -> Option<Span> {
        let table = TABLE_BYTES.div_ceil(self.sector);
        let span = Span { first: 2 + table, last: self.sectors.checked_sub(2 + table)? };
        (span.last > span.first).then_some(span)
    }
}

/// Why a partition has no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace {
    /// A text that does not read.
    Malformed(String),
    /// It does not fit on this disk.
    Full,
    /// This place is behind the end of the disk, or of what its table can describe.
    Beyond(String),
}

/// What sgdisk takes: a start, an end, an alignment in sectors (0 for the default).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// `0`, `1M`, `2048`, `+1G`, `-1G`.
    pub start: &'a str,
    /// `+500M`, `-0`, `-1M`, `128M`, `0`.
    pub end: String,
    /// Sectors.
    pub alignment: u64,
}

/// Sectors, and whether they count from a point of reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Default,
    At(u64),
    After(u64),
    Before(u64),
}

/// A number is sectors, K to P are binary units; 0 is the default whatever its sign.
fn point(text: &str, sector: u64) -> Result<Point, NoPlace> {
    let malformed = || NoPlace::Malformed(format!("{text:?} is not like 500M, +500M, -1M or 100%"));
    let text = text.trim();
    let (sign, number) = match text.strip_prefix(['+', '-']) {
        Some(number) => (text.chars().next(), number),
        None => (None, text),
    };
    let plain = number.strip_suffix(['s', 'S']).unwrap_or(number);
    let sectors = match plain.parse::<u64>() {
        Ok(sectors) if plain.bytes().all(|byte| byte.is_ascii_digit()) => sectors,
        _ => size::bytes(number).ok_or_else(malformed)? / sector,
    };
    Ok(match (sectors, sign) {
        (0, _) => Point::Default,
        (sectors, Some('+')) => Point::After(sectors),
        (sectors, Some('-')) => Point::Before(sectors),
        (sectors, _) => Point::At(sectors),
    })
}

/// Places the partitions one after the other as `sgdisk --align-end --new` does.
///
/// # Errors
/// [`NoPlace`] with the index of the partition.
pub fn gpt(room: Room, wanted: &[Wanted<'_>]) -> Result<Vec<Span>, (usize, NoPlace)> {
    let usable = room.usable().ok_or((0, NoPlace::Full))?;
    let mut placed: Vec<Span> = Vec::new();
    for (n, one) in wanted.iter().enumerate() {
        let free = gaps(usable, &placed);
        let alignment = if one.alignment == 0 { alignment_of(room, &placed) } else { one.alignment };
        let span = place(room, one, alignment, &free).map_err(|why| (n, why))?;
        placed.push(span);
    }
    Ok(placed)
}

/// sgdisk takes the largest power of two at whose multiples all that is there begins, no more than its default. On
/// large disks that is at least eight sectors.
fn alignment_of(room: Room, taken: &[Span]) -> u64 {
    let starts = taken.iter().map(|span| 1 << span.first.trailing_zeros().min(62));
    let alignment = starts.fold(room.alignment, u64::min);
    if room.sectors >= LARGE { alignment.max(8) } else { alignment }
}

/// The free spans between what is taken, in order.
fn gaps(usable: Span, taken: &[Span]) -> Vec<Span> {
    let mut taken = taken.to_vec();
    taken.sort_by_key(|span| span.first);
    let mut gaps = Vec::new();
    let mut first = usable.first;
    for span in taken {
        if span.first > first {
            gaps.push(Span { first, last: span.first - 1 });
        }
        first = span.last + 1;
    }
    if first <= usable.last {
        gaps.push(Span { first, last: usable.last });
    }
    gaps
}

fn place(room: Room, wanted: &Wanted<'_>, alignment: u64, free: &[Span]) -> Result<Span, NoPlace> {
    // The first of the largest ones, as sgdisk looks for it.
    let largest = free.iter().rev().max_by_key(|gap| gap.last - gap.first).ok_or(NoPlace::Full)?;
    let low = near(largest.first, alignment, free);
    // The end of a gap, such that the next partition can begin at a multiple right behind it.
    let high = |first: u64, gap: &Span| {
        let whole = (gap.last + 1) / alignment * alignment;
        if whole > first { whole - 1 } else { gap.last }
    };
    // The end counts from the start as it was asked for, which is aligned afterwards.
    let asked = match point(wanted.start, room.sector)? {
        Point::Default => low,
        Point::At(sector) => sector,
        Point::After(sectors) => low.checked_add(sectors).ok_or(NoPlace::Full)?,
        Point::Before(sectors) => high(low, largest).checked_sub(sectors).ok_or(NoPlace::Full)?,
    };
    let first = near(asked, alignment, free);
    let gap = free.iter().find(|gap| gap.first <= first && first <= gap.last).ok_or(NoPlace::Full)?;
    let high = high(first, gap);
    let last = match point(&wanted.end, room.sector)? {
        Point::Default => Some(high),
        Point::At(sector) => Some(sector),
        Point::After(sectors) => asked.checked_add(sectors - 1),
        Point::Before(sectors) => high.checked_sub(sectors),
    };
    let last = last.filter(|last| *last >= first && *last <= gap.last).ok_or(NoPlace::Full)?;
    Ok(Span { first, last })
}

fn aligned_up(sector: u64, alignment: u64) -> Option<u64> {
    sector.checked_next_multiple_of(alignment)
}

/// A start moves to the multiple before it where that is free, or else to the one after it.
fn near(sector: u64, alignment: u64, free: &[Span]) -> u64 {
    let is_free = |sector: &u64| free.iter().any(|gap| gap.first <= *sector && *sector <= gap.last);
    if sector.is_multiple_of(alignment)
        || free.iter().any(|gap| gap.first == sector && aligned_up(sector, alignment) > Some(gap.last))
    {
        return sector;
    }
    let before = sector - sector % alignment;
    let after = aligned_up(sector, alignment);
    [Some(before), after].into_iter().flatten().find(is_free).unwrap_or(sector)
}

/// What parted takes for one partition of disko's legacy table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyWanted<'a> {
    /// `1M`, `512MiB`, `50%`, `2048s`.
    pub start: &'a str,
    /// As `start`.
    pub end: &'a str,
}

/// Places partitions as parted does with its optimal alignment: a place given in decimal units means its
/// neighbourhood, within which an aligned sector is taken. `inside` is where partitions may lie.
///
/// # Errors
/// [`NoPlace`] with the index of the partition.
pub fn legacy(room: Room, inside: Span, wanted: &[LegacyWanted<'_>]) -> Result<Vec<Span>, (usize, NoPlace)> {
    let mut placed: Vec<Span> = Vec::new();
    for (n, one) in wanted.iter().enumerate() {
        let span = legacy_one(room, inside, one).map_err(|why| (n, why))?;
        if placed.iter().any(|other| span.first <= other.last && other.first <= span.last) {
            return Err((n, NoPlace::Full));
        }
        placed.push(span);
    }
    Ok(placed)
}

fn legacy_one(room: Room, inside: Span, wanted: &LegacyWanted<'_>) -> Result<Span, NoPlace> {
    let at = |text: &str| parted_bytes(text, room).ok_or_else(|| NoPlace::Malformed(format!("{text:?} is no place")));
    let nearest = |bytes: u64| {
        let sectors = bytes.div_ceil(room.sector);
        sectors.saturating_add(room.alignment / 2) / room.alignment * room.alignment
    };
    let (start, end) = (at(wanted.start)?, at(wanted.end)?);
    let outside = |place: &Place, text: &str| {
        let beyond = place.bytes.div_ceil(room.sector).min(room.sectors).saturating_sub(inside.last + 1);
        // Where the disk's own end is meant, the table behind it is in the way.
        let is_beyond = place.bytes.saturating_sub(place.within) > room.sectors.saturating_mul(room.sector)
            || beyond > place.within / room.sector + 2 * room.alignment
            || (inside.last == MOST_OF_MSDOS && beyond > 2 * room.alignment);
        is_beyond.then(|| NoPlace::Beyond(text.to_owned()))
    };
    if let Some(why) = outside(&start, wanted.start).or_else(|| outside(&end, wanted.end)) {
        return Err(why);
    }
    let lowest = inside.first.checked_next_multiple_of(room.alignment).ok_or(NoPlace::Full)?;
    let first = nearest(start.bytes).max(lowest);
    let highest = (inside.last + 1) / room.alignment * room.alignment;
    let until = nearest(end.bytes).min(highest);
    if until > first && first >= inside.first && until <= inside.last + 1 {
        return Ok(Span { first, last: until - 1 });
    }
    // In front of the first aligned sector there is room for a partition that GRUB uses.
    let first = start.bytes.div_ceil(room.sector).max(inside.first);
    if first < until && until <= lowest { Ok(Span { first, last: until - 1 }) } else { Err(NoPlace::Full) }
}

/// A place as parted takes it: bytes, and how far from there it may lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    bytes: u64,
    within: u64,
}

/// Decimal for `M` and `MB`, binary for `MiB`; megabytes where no unit is given.
fn parted_bytes(text: &str, room: Room) -> Option<Place> {
    let text = text.trim();
    let number = text.trim_end_matches(|char: char| char.is_ascii_alphabetic() || char == '%');
    let total = room.sectors.checked_mul(room.sector)?;
    let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite())?;
    let (value, from_end) = if value < 0.0 || number.starts_with('-') { (-value, true) } else { (value, false) };
    let unit = match &text[number.len()..].to_ascii_lowercase()[..] {
        "%" => total as f64 / 100.0,
        "s" => room.sector as f64,
        "b" => 1.0,
        "k" | "kb" => 1e3,
        "" | "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = (value * unit).round() as u64;
    // Binary units, sectors and bytes are exact.
    let is_exact = text[number.len()..].to_ascii_lowercase();
    let within = if is_exact == "s" || is_exact == "b" || is_exact.ends_with("ib") { 0 } else { unit as u64 };
    let bytes = if from_end { total.checked_sub(bytes)? } else { bytes };
    Some(Place { bytes, within })
}

#[cfg(test)]
mod tests;
