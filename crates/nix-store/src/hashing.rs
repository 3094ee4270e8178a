//! SHA-256 of what is read or written, on its way.

use protocol::encoding::Sha256;
use ring::digest::{Context, SHA256};
use std::io::{self, Read, Write};

/// Hashes what passes.
pub struct Hashing<T> {
    inner: T,
    context: Context,
    count: u64,
}

impl<T> Hashing<T> {
    /// From here on.
    pub fn new(inner: T) -> Self {
        Self { inner, context: Context::new(&SHA256), count: 0 }
    }

    /// Hash and number of the bytes.
    pub fn finish(self) -> (Sha256, u64) {
        let (_, hash, count) = self.into_parts();
        (hash, count)
    }

    /// What they passed through, their hash and their number.
    pub fn into_parts(self) -> (T, Sha256, u64) {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.context.finish().as_ref());
        (self.inner, Sha256(hash), self.count)
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.context.update(&bytes[..read]);
        self.count += read as u64;
        Ok(read)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
