//! Reads of an ELF file what the dynamic loader reads: the interpreter, the libraries, where to look for them.

/// A 64-bit little-endian ELF file that can be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elf {
    /// PT_INTERP; absent in a static program and in libraries.
    pub interpreter: Option<String>,
    /// DT_NEEDED.
    pub needed: Vec<String>,
    /// DT_RUNPATH and DT_RPATH, split.
    pub search: Vec<String>,
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

/// Parses the file; nothing where it is not such an ELF file, or is cut off.
pub fn parse(file: &[u8]) -> Option<Elf> {
    let is_elf64_le = file.starts_with(b"\x7fELF\x02\x01");
    is_elf64_le.then_some(())?;
    let segments = segments(file)?;
    let interpreter = match segments.iter().find(|segment| segment.kind == PT_INTERP) {
        Some(segment) => Some(text(file, segment.offset)?),
        None => None,
    };
    let mut elf = Elf { interpreter, ..Elf::default() };
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else { return Some(elf) };
    let entries = dynamic_entries(file, dynamic)?;
    let Some((_, table)) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Some(elf) };
    let table = file_offset(&segments, *table)?;
    for (tag, value) in entries {
        let string = || text(file, table.checked_add(value)?);
        match tag {
            DT_NEEDED => elf.needed.push(string()?),
            DT_RPATH | DT_RUNPATH => elf.search.extend(string()?.split(':').map(str::to_owned)),
            _ => {}
        }
    }
    Some(elf)
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let (start, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    let segment = |i: u64| {
        let at = start.checked_add(i.checked_mul(size)?)?;
        let field = |offset: u64| number(file, at.checked_add(offset)?, 8);
        Some(Segment { kind: number(file, at, 4)?, offset: field(8)?, address: field(16)?, size: field(32)? })
    };
    (0..count).map(segment).collect()
}

fn dynamic_entries(file: &[u8], dynamic: &Segment) -> Option<Vec<(u64, u64)>> {
    let mut entries = Vec::new();
    for i in 0..dynamic.size / 16 {
        let at = dynamic.offset.checked_add(i.checked_mul(16)?)?;
        let tag = number(file, at, 8)?;
        if tag == 0 {
            break;
        }
        entries.push((tag, number(file, at.checked_add(8)?, 8)?));
    }
    Some(entries)
}

fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    let holds = |segment: &&Segment| {
        segment.kind == PT_LOAD && address >= segment.address && address - segment.address < segment.size
    };
    let segment = segments.iter().find(holds)?;
    segment.offset.checked_add(address - segment.address)
}

/// A little-endian number of `size` bytes.
fn number(file: &[u8], at: u64, size: u64) -> Option<u64> {
    let start = usize::try_from(at).ok()?;
    let bytes = file.get(start..start.checked_add(usize::try_from(size).ok()?)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn text(file: &[u8], at: u64) -> Option<String> {
    let rest = file.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_real_program_names_its_interpreter_and_libraries() {
        let elf = parse(&std::fs::read("/bin/ls").unwrap()).unwrap();
        assert!(elf.interpreter.is_some_and(|path| path.contains("ld-linux")));
        assert!(elf.needed.iter().any(|name| name == "libc.so.6"), "{:?}", elf.needed);
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert_eq!(parse(b"#!/bin/sh\n"), None);
        assert_eq!(parse(b""), None);
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_refused_or_read_but_never_panics(
            at in 0usize..4096, value: u8, cut in 0usize..200_000
        ) {
            let mut file = std::fs::read("/bin/ls").unwrap();
            file[at] = value;
            file.truncate(cut);
            let _ = parse(&file);
        }
    }
}
