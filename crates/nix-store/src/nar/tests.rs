//! The reader against what nobody should write, and against the writer.

use super::*;
use proptest::prelude::*;

/// A sink that writes down what it was told.
#[derive(Debug, Default, PartialEq)]
struct Record {
    objects: Vec<String>,
    contents: Vec<u8>,
}

impl Sink for Record {
    fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        self.objects.push(format!("{} {{", name.escape_ascii()));
        Ok(())
    }
    fn leave(&mut self) -> io::Result<()> {
        self.objects.push("}".into());
        Ok(())
    }
    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.objects.push(format!("{} -> {}", name.escape_ascii(), target.escape_ascii()));
        Ok(())
    }
    fn open(&mut self, name: &[u8], executable: bool, size: u64) -> io::Result<()> {
        self.objects.push(format!("{} {executable} {size}", name.escape_ascii()));
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.contents.extend_from_slice(bytes);
        Ok(())
    }
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive of these strings, each with its length and padding.
fn archive(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [b"nix-archive-1".as_slice()].iter().chain(words) {
        bytes.extend((word.len() as u64).to_le_bytes());
        bytes.extend(*word);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// `( type directory` with an empty file for each name, `)`.
fn directory_of(names: &[&[u8]]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"(", b"type", b"directory"];
    for name in names {
        words.extend([b"entry".as_slice(), b"(", b"name", name, b"node", b"(", b"type", b"regular", b"contents", b""]);
        words.extend([b")".as_slice(), b")"]);
    }
    words.push(b")");
    archive(&words)
}

/// Reads an archive and writes it again.
fn rewritten(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new(Vec::new()).map_err(Error::Sink)?;
    unpack(bytes, &mut writer).map(|()| writer.into_inner())
}

fn read(bytes: &[u8]) -> Result<Record, Error> {
    let mut record = Record::default();
    unpack(bytes, &mut record).map(|()| record)
}

fn refused(bytes: &[u8]) -> &'static str {
    match read(bytes) {
        Err(Error::Format(what, _)) => what,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_file_a_link_or_a_directory_may_be_the_root() {
    let file = archive(&[b"(", b"type", b"regular", b"executable", b"", b"contents", b"hello", b")"]);
    assert_eq!(read(&file).unwrap(), Record { objects: vec![" true 5".into()], contents: b"hello".to_vec() });
    let link = archive(&[b"(", b"type", b"symlink", b"target", b"/x", b")"]);
    assert_eq!(read(&link).unwrap().objects, [" -> /x"]);
    assert_eq!(read(&directory_of(&[])).unwrap().objects, [" {", "}"]);
    assert_eq!(read(&directory_of(&[b"a", b"b"])).unwrap().objects, [" {", "a false 0", "b false 0", "}"]);
}

#[test]
fn an_archive_is_written_as_it_was_read() {
    let file = archive(&[b"(", b"type", b"regular", b"executable", b"", b"contents", b"hello", b")"]);
    let link = archive(&[b"(", b"type", b"symlink", b"target", b"/x", b")"]);
    for whole in [file, link, directory_of(&[]), directory_of(&[b"a", b"b"])] {
        assert_eq!(rewritten(&whole).unwrap(), whole);
    }
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    for name in [b"".as_slice(), b".", b"..", b"/", b"a/b", b"../a", b"a\0", &[b'a'; 256]] {
        refused(&directory_of(&[name]));
    }
    assert!(read(&directory_of(&[&[b'a'; 255]])).is_ok());
    assert!(read(&directory_of(&[b"...", b"\xff\xfe"])).is_ok());
}

#[test]
fn names_must_ascend_by_bytes() {
    for names in [[b"a".as_slice(), b"a"], [b"b", b"a"], [b"a", b"B"], [b"a-", b"a"]] {
        assert_eq!(refused(&directory_of(&names)), "names that are not in ascending order");
    }
}

#[test]
fn a_link_needs_a_target() {
    for target in [b"".as_slice(), b"a\0b", &[b'a'; 4096]] {
        refused(&archive(&[b"(", b"type", b"symlink", b"target", target, b")"]));
    }
}

#[test]
fn what_does_not_belong_is_refused() {
    let file: &[&[u8]] = &[b"(", b"type", b"regular", b"contents", b"hello", b")"];
    let mut trailing = archive(file);
    trailing.push(0);
    assert_eq!(refused(&trailing), "bytes after its end");
    let mut padded = archive(file);
    let position = padded.windows(5).position(|window| window == b"hello").unwrap() + 5;
    padded[position] = 1;
    assert_eq!(refused(&padded), "padding that is not zero");
    for words in [
        &[b"(".as_slice(), b"type", b"regular", b")"][..],
        &[b"(", b"type", b"fifo", b")"],
        &[b"(", b"type", b"regular", b"executable", b"yes", b"contents", b"", b")"],
        &[b"(", b"type", b"regular", b"contents", b"", b"contents", b"", b")"],
        &[b"(", b"type", b"directory", b"entry", b"(", b"node", b"(", b")", b")", b")"],
        &[b"type", b"regular"],
    ] {
        refused(&archive(words));
    }
    refused(b"nix-archive-1");
    refused(b"");
}

#[test]
fn a_huge_length_word_allocates_nothing() {
    for length in [u64::MAX, 1 << 62, 17] {
        let mut bytes = archive(&[b"("]);
        bytes.extend(length.to_le_bytes());
        bytes.extend([b'x'; 64]);
        refused(&bytes);
    }
    let mut file = archive(&[b"(", b"type", b"regular", b"contents"]);
    file.extend(u64::MAX.to_le_bytes());
    file.extend(b"some");
    assert_eq!(refused(&file), "the end in the middle of a file");
}

#[test]
fn every_prefix_of_an_archive_is_refused() {
    let whole = directory_of(&[b"a", b"b"]);
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn nesting_ends_at_the_bound() {
    let nested = |depth: usize| {
        let mut words: Vec<&[u8]> = Vec::new();
        for _ in 1..depth {
            words.extend([b"(".as_slice(), b"type", b"directory", b"entry", b"(", b"name", b"a", b"node"]);
        }
        words.extend([b"(".as_slice(), b"type", b"directory", b")"]);
        words.extend(std::iter::repeat_n(b")".as_slice(), 2 * (depth - 1)));
        archive(&words)
    };
    assert_eq!(read(&nested(MAX_DEPTH)).unwrap().objects.len(), 2 * MAX_DEPTH);
    assert_eq!(refused(&nested(MAX_DEPTH + 1)), "directories nested too deep");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_refused_or_written_again_as_they_are(bytes: Vec<u8>, from in 0usize..400) {
        let _ = read(&bytes);
        let mut damaged = directory_of(&[b"a", b"b"]);
        let from = from.min(damaged.len());
        damaged.truncate(from);
        damaged.extend(bytes);
        if let Ok(again) = rewritten(&damaged) {
            prop_assert_eq!(again, damaged);
        }
    }

    #[test]
    fn what_is_read_is_the_only_archive_of_it(position in 0usize..600, byte: u8) {
        let whole = directory_of(&[b"a", b"b"]);
        let mut damaged = whole.clone();
        let position = position % damaged.len();
        damaged[position] = byte;
        if let Ok(record) = read(&damaged) {
            prop_assert_eq!(record == read(&whole).unwrap(), damaged == whole);
        }
    }
}
