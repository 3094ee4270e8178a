//! The volume group that a physical volume of LVM2 belongs to, and where its volumes begin there: what blkid does
//! not tell. Reads the label and the text of the metadata (lvm's format_text).

use std::collections::BTreeMap;

const SECTOR: u64 = 512;
/// The label is in one of the first four sectors.
const LABEL_SECTORS: u64 = 4;
/// The text of a group of hundreds of volumes has a few hundred kilobytes.
const LARGEST_TEXT: u64 = 4 << 20;
const DEEPEST: usize = 16;
const MDA_MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";

/// A volume group as one of its physical volumes tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its logical volumes, the hidden ones too, with where they begin on this physical volume, bytes.
    pub volumes: BTreeMap<String, Option<u64>>,
}

/// The group of the physical volume; `read` gives so many bytes from an offset, or nothing.
pub fn group(read: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> Option<Group> {
    let (id, area) = (0..LABEL_SECTORS).find_map(|sector| label(&read(sector * SECTOR, 512)?))?;
    let text = text(area, read)?;
    of_text(&text, &id)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Identifier of the physical volume, and start of its first area of metadata.
fn label(sector: &[u8]) -> Option<(String, u64)> {
    if sector.get(..8)? != b"LABELONE" || sector.get(24..32)? != b"LVM2 001" {
        return None;
    }
    let header = usize::try_from(u32::from_le_bytes(sector.get(20..24)?.try_into().ok()?)).ok()?;
    let header = sector.get(header..)?;
    let id = String::from_utf8_lossy(header.get(..32)?).into_owned();
    // Two lists of offset and length, each ended by zeros: data areas, then metadata areas.
    let mut at = 40;
    while u64_at(header, at)? != 0 {
        at += 16;
    }
    let area = u64_at(header, at + 16)?;
    (area != 0).then_some((id, area))
}

/// The text that is valid now, in the circle behind the area's header.
fn text(area: u64, read: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> Option<String> {
    let header = read(area, 512)?;
    if header.get(4..20)? != MDA_MAGIC {
        return None;
    }
    let (circle, offset, length) = (u64_at(&header, 32)?, u64_at(&header, 40)?, u64_at(&header, 48)?);
    if offset >= circle || length > LARGEST_TEXT.min(circle) {
        return None;
    }
    let first = length.min(circle - offset);
    let mut bytes = read(area.checked_add(offset)?, usize::try_from(first).ok()?)?;
    if length > first {
        bytes.extend(read(area.checked_add(SECTOR)?, usize::try_from(length - first).ok()?)?);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Default)]
struct Section<'a> {
    values: BTreeMap<&'a str, Vec<&'a str>>,
    sections: BTreeMap<&'a str, Section<'a>>,
}

impl Section<'_> {
    fn number(&self, key: &str) -> Option<u64> {
        self.values.get(key)?.first()?.parse().ok()
    }
}

fn of_text(text: &str, id: &str) -> Option<Group> {
    let tokens = tokens(text);
    let root = section(&mut tokens.iter().copied(), 0)?;
    let (name, group) = root.sections.iter().find(|(_, section)| section.values.contains_key("extent_size"))?;
    let extent = group.number("extent_size")?;
    let is_own = |one: &&Section<'_>| one.values.get("id").is_some_and(|own| own[..] == [&dashed(id)[..]]);
    let volumes = group.sections.get("physical_volumes")?;
    let (own, physical) = volumes.sections.iter().find(|(_, one)| is_own(one))?;
    let first = physical.number("pe_start")?;
    let start = |volume: &Section<'_>| {
        let mut segments = volume.sections.values();
        let segment = segments.find(|segment| segment.number("start_extent") == Some(0))?;
        let [on, from, ..] = segment.values.get("stripes")?[..] else { return None };
        let from = from.parse::<u64>().ok().filter(|_| on == *own)?;
        from.checked_mul(extent)?.checked_add(first)?.checked_mul(SECTOR)
    };
    let logical = group.sections.get("logical_volumes").map(|section| &section.sections);
    let volumes = logical.into_iter().flatten().map(|(name, volume)| ((*name).to_owned(), start(volume))).collect();
    Some(Group { name: (*name).to_owned(), volumes })
}

/// The text writes an identifier with dashes behind 6, 10, 14, 18, 22 and 26 characters.
fn dashed(id: &str) -> String {
    let dashes = [6, 10, 14, 18, 22, 26];
    id.chars().enumerate().fold(String::new(), |mut text, (index, char)| {
        if dashes.contains(&index) {
            text.push('-');
        }
        text.push(char);
        text
    })
}

/// Words, strings without their quotes, and `=`, `{`, `}`, `[`, `]`. Comments are dropped.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|char: char| char.is_whitespace() || char == ',' || char == '\0');
        let Some(first) = rest.chars().next() else { return tokens };
        let length = match first {
            '#' => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len() - 1, |end| end);
                tokens.push(&rest[1..=end]);
                rest = rest.get(end + 2..).unwrap_or("");
                continue;
            }
            '=' | '{' | '}' | '[' | ']' => 1,
            _ => rest.find(|char: char| char.is_whitespace() || "={}[],\"#\0".contains(char)).unwrap_or(rest.len()),
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
}

fn section<'a>(tokens: &mut dyn Iterator<Item = &'a str>, depth: usize) -> Option<Section<'a>> {
    let mut found = Section::default();
    while let Some(name) = tokens.next().filter(|token| *token != "}") {
        match tokens.next()? {
            "{" if depth < DEEPEST => {
                let inner = section(tokens, depth + 1)?;
                found.sections.insert(name, inner);
            }
            "=" => {
                let value = match tokens.next()? {
                    "[" => (&mut *tokens).take_while(|token| *token != "]").collect(),
                    value => vec![value],
                };
                found.values.insert(name, value);
            }
            _ => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"# made by lvm
vg0 {
id = "kF4y7K-0000-0000-0000-0000-0000-000000"
extent_size = 8192		# 4 Megabytes
physical_volumes {
pv0 {
id = "AAAAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGGGG"
device = "/dev/vda2"
pe_start = 2048
}
}
logical_volumes {
root {
segment_count = 1
segment1 {
start_extent = 0
type = "striped"
stripes = [
"pv0", 3
]
}
}
far {
segment1 {
start_extent = 0
stripes = [ "pv1", 0 ]
}
}
}
}
contents = "Text Format Volume Group"
version = 1
"#;
    const ID: &str = "AAAAAABBBBCCCCDDDDEEEEFFFFGGGGGG";

    #[test]
    fn the_volumes_of_a_group_are_found_where_they_begin() {
        let group = of_text(TEXT, ID).unwrap();
        assert_eq!(group.name, "vg0");
        assert_eq!(group.volumes["root"], Some((2048 + 3 * 8192) * 512));
        assert_eq!(group.volumes["far"], None);
    }

    #[test]
    fn label_header_and_text_lead_to_each_other() {
        let mut image = vec![0u8; 64 << 10];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(512, b"LABELONE");
        put(532, &32u32.to_le_bytes());
        put(536, b"LVM2 001");
        put(544, ID.as_bytes());
        put(584, &1_048_576u64.to_le_bytes());
        put(616, &4096u64.to_le_bytes());
        put(4100, MDA_MAGIC);
        // The text goes round the end of the circle.
        let circle = 8192u64;
        put(4096 + 32, &circle.to_le_bytes());
        put(4096 + 40, &(circle - 100).to_le_bytes());
        put(4096 + 48, &(TEXT.len() as u64).to_le_bytes());
        put(4096 + 8192 - 100, &TEXT.as_bytes()[..100]);
        put(4096 + 512, &TEXT.as_bytes()[100..]);
        let read = |at: u64, length: usize| {
            let at = usize::try_from(at).ok()?;
            image.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
        };
        assert_eq!(group(&read), of_text(TEXT, ID));
        assert!(group(&read).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z{}=\\[\\]\"# \n0-9\\PC]{0,200}") {
            let _ = of_text(&text, ID);
        }

        #[test]
        fn any_sectors_are_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = (label(&bytes), label(&[b"LABELONE", &bytes[..]].concat()));
            let _ = text(0, &|_, _| Some(bytes.clone()));
        }
    }
}
