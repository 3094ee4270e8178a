//! Reads an archive. Nothing is allocated from a length on the wire: names, targets and keywords have fixed bounds, and
//! contents pass through in pieces of the reader's buffer.

use super::{MAX_DEPTH, MAX_NAME, MAX_TARGET, Sink};
use std::io::{self, BufRead};

/// Longest keyword is `nix-archive-1`.
const MAX_KEYWORD: usize = 16;

/// Why an archive was not unpacked.
#[derive(Debug)]
pub enum Error {
    /// The bytes could not be had.
    Read(io::Error),
    /// The bytes are not an archive, from this offset on.
    Format(&'static str, u64),
    /// The sink failed.
    Sink(io::Error),
}

/// Reads one archive to the end of `reader` and hands its objects to `sink`.
///
/// # Errors
/// [`Error`]; what the sink got until then is incomplete.
pub fn unpack<R: BufRead, S: Sink>(reader: R, sink: &mut S) -> Result<(), Error> {
    let mut parser = Parser { reader, offset: 0, bytes: [0; MAX_TARGET + 1] };
    parser.keyword(b"nix-archive-1")?;
    parser.tree(sink)?;
    match parser.reader.fill_buf().map_err(Error::Read)?.is_empty() {
        true => Ok(()),
        false => Err(Error::Format("bytes after its end", parser.offset)),
    }
}

struct Parser<R> {
    reader: R,
    offset: u64,
    /// The string read last, up to its length.
    bytes: [u8; MAX_TARGET + 1],
}

/// An entry's name; kept for each open directory to check the order.
struct Name {
    bytes: [u8; MAX_NAME],
    length: u8,
}

impl Name {
    const EMPTY: Self = Self { bytes: [0; MAX_NAME], length: 0 };

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl<R: BufRead> Parser<R> {
    /// The root object with everything below it: a loop, as the stack must not grow with the input.
    fn tree<S: Sink>(&mut self, sink: &mut S) -> Result<(), Error> {
        // The last name of each directory that is open.
        let mut open: Vec<Name> = Vec::new();
        let mut entered = self.object(sink, b"")?;
        loop {
            if entered {
                if open.len() == MAX_DEPTH {
                    return Err(self.wrong("directories nested too deep"));
                }
                open.push(Name::EMPTY);
            } else if !open.is_empty() {
                // The entry around the object that ended.
                self.keyword(b")")?;
            }
            let Some(last) = open.last_mut() else { return Ok(()) };
            if self.next_entry(last)? {
                entered = self.object(sink, last.as_bytes())?;
            } else {
                open.pop();
                sink.leave().map_err(Error::Sink)?;
                entered = false;
            }
        }
    }

    /// `entry ( name NAME node`, or the end of the directory.
    fn next_entry(&mut self, last: &mut Name) -> Result<bool, Error> {
        match self.string(MAX_KEYWORD)? {
            b")" => return Ok(false),
            b"entry" => {}
            _ => return Err(self.wrong("neither an entry nor the end of a directory")),
        }
        self.keyword(b"(")?;
        self.keyword(b"name")?;
        let name = self.string(MAX_NAME)?;
        if !is_file_name(name) {
            return Err(self.wrong("a name that is no file name"));
        }
        if name <= last.as_bytes() {
            return Err(self.wrong("names that are not in ascending order"));
        }
        last.length = name.len() as u8;
        last.bytes[..name.len()].copy_from_slice(name);
        self.keyword(b"node")?;
        Ok(true)
    }

    /// `( type ...` up to the object's end, or for a directory up to its first entry (true).
    fn object<S: Sink>(&mut self, sink: &mut S, name: &[u8]) -> Result<bool, Error> {
        self.keyword(b"(")?;
        self.keyword(b"type")?;
        match self.string(MAX_KEYWORD)? {
            b"regular" => self.file(sink, name)?,
            b"symlink" => self.symlink(sink, name)?,
            b"directory" => {
                sink.enter(name).map_err(Error::Sink)?;
                return Ok(true);
            }
            _ => return Err(self.wrong("an unknown type of object")),
        }
        self.keyword(b")")?;
        Ok(false)
    }

    fn symlink<S: Sink>(&mut self, sink: &mut S, name: &[u8]) -> Result<(), Error> {
        self.keyword(b"target")?;
        let target = self.string(MAX_TARGET)?;
        if target.is_empty() || target.contains(&0) {
            return Err(self.wrong("a symlink target that is none"));
        }
        sink.symlink(name, target).map_err(Error::Sink)
    }

    fn file<S: Sink>(&mut self, sink: &mut S, name: &[u8]) -> Result<(), Error> {
        let executable = match self.string(MAX_KEYWORD)? {
            b"executable" => {
                self.keyword(b"")?;
                self.keyword(b"contents")?;
                true
            }
            b"contents" => false,
            _ => return Err(self.wrong("a file without contents")),
        };
        let size = self.number()?;
        sink.open(name, executable, size).map_err(Error::Sink)?;
        let mut rest = size;
        while rest > 0 {
            let buffer = self.reader.fill_buf().map_err(Error::Read)?;
            if buffer.is_empty() {
                return Err(self.wrong("the end in the middle of a file"));
            }
            let length = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
            sink.write(&buffer[..length]).map_err(Error::Sink)?;
            self.reader.consume(length);
            self.offset += length as u64;
            rest -= length as u64;
        }
        sink.close().map_err(Error::Sink)?;
        self.padding(size)
    }

    fn keyword(&mut self, expected: &'static [u8]) -> Result<(), Error> {
        match self.string(MAX_KEYWORD)? == expected {
            true => Ok(()),
            false => Err(self.wrong("another word than its grammar has here")),
        }
    }

    /// Length, bytes, zeros up to a multiple of 8.
    fn string(&mut self, limit: usize) -> Result<&[u8], Error> {
        let length = self.number()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= limit);
        let length = length.ok_or_else(|| self.wrong("a string longer than it may be"))?;
        let padded = length.next_multiple_of(8);
        self.fill(padded)?;
        match self.bytes[length..padded].iter().all(|byte| *byte == 0) {
            true => Ok(&self.bytes[..length]),
            false => Err(self.wrong("padding that is not zero")),
        }
    }

    fn padding(&mut self, length: u64) -> Result<(), Error> {
        let count = (8 - length % 8) as usize % 8;
        self.fill(count)?;
        match self.bytes[..count].iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(self.wrong("padding that is not zero")),
        }
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.fill(8)?;
        bytes.copy_from_slice(&self.bytes[..8]);
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads exactly `count` bytes to the front of the string buffer.
    fn fill(&mut self, count: usize) -> Result<(), Error> {
        self.reader.read_exact(&mut self.bytes[..count]).map_err(|error| match error.get_ref() {
            None if error.kind() == io::ErrorKind::UnexpectedEof => Error::Format("an early end", self.offset),
            _ => Error::Read(error),
        })?;
        self.offset += count as u64;
        Ok(())
    }

    fn wrong(&self, what: &'static str) -> Error {
        Error::Format(what, self.offset)
    }
}

/// No name leads out of its directory.
fn is_file_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}
