//! Writes an archive: the same words that the reader takes.

use super::Sink;
use std::io::{self, Write};

const ZEROS: [u8; 8] = [0; 8];

/// The sink that writes the archive of what it is told. The caller keeps to the order of [`Sink`].
pub struct Writer<W> {
    out: W,
    /// Directories that are open.
    depth: usize,
    /// Bytes of the open file.
    size: u64,
}

impl<W: Write> Writer<W> {
    /// An archive that begins here.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, depth: 0, size: 0 };
        writer.words(&[b"nix-archive-1"])?;
        Ok(writer)
    }

    /// What was written to, after the root object is complete.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn words(&mut self, words: &[&[u8]]) -> io::Result<()> {
        for word in words {
            self.out.write_all(&(word.len() as u64).to_le_bytes())?;
            self.out.write_all(word)?;
            self.pad(word.len() as u64)?;
        }
        Ok(())
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        self.out.write_all(&ZEROS[..(8 - length % 8) as usize % 8])
    }

    /// The words before an object: those of the entry that it is, and its own first.
    fn begin(&mut self, name: &[u8], kind: &[u8]) -> io::Result<()> {
        if self.depth > 0 {
            self.words(&[b"entry", b"(", b"name", name, b"node"])?;
        }
        self.words(&[b"(", b"type", kind])
    }

    /// The words after an object.
    fn end(&mut self) -> io::Result<()> {
        let words: &[&[u8]] = if self.depth > 0 { &[b")", b")"] } else { &[b")"] };
        self.words(words)
    }
}

impl<W: Write> Sink for Writer<W> {
    fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        self.begin(name, b"directory")?;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        self.end()
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.begin(name, b"symlink")?;
        self.words(&[b"target", target])?;
        self.end()
    }

    fn open(&mut self, name: &[u8], executable: bool, size: u64) -> io::Result<()> {
        self.begin(name, b"regular")?;
        if executable {
            self.words(&[b"executable", b""])?;
        }
        self.words(&[b"contents"])?;
        self.size = size;
        self.out.write_all(&size.to_le_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    fn close(&mut self) -> io::Result<()> {
        self.pad(self.size)?;
        self.end()
    }
}
