//! A transfer as the blocking side reads it: pieces come over a bounded channel from the network task.

use super::fault::Fault;
use bytes::{Buf, Bytes};
use protocol::encoding::Sha256;
use sha2::Digest;
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// Pieces between the network and the unpacking thread, at most; see [`crate::http`] for their size.
pub const PIECES: usize = 4;

/// What the network task sends: a piece, or why there are no more. `Ok` of no bytes is the end.
pub type Piece = Result<Bytes, Fault>;

/// What the narinfo says of the file that is transferred.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Its SHA-256, if it is to be checked.
    pub hash: Option<Sha256>,
    /// Its size, if known.
    pub size: Option<u64>,
}

/// Reads the transfer, checking it against the narinfo as it goes.
pub struct Body {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    expected: Expected,
    hash: sha2::Sha256,
    received: u64,
    ended: bool,
}

impl Body {
    /// A body that begins with `first`.
    pub fn new(first: Bytes, pieces: mpsc::Receiver<Piece>, expected: Expected) -> io::Result<Self> {
        let hash = sha2::Sha256::default();
        let mut body = Self { pieces, current: Bytes::new(), expected, hash, received: 0, ended: false };
        body.accept(first)?;
        Ok(body)
    }

    /// Checks that the whole file came, and was what the narinfo says.
    ///
    /// # Errors
    /// The [`Fault`], in an [`io::Error`].
    pub fn finish(mut self) -> io::Result<()> {
        if !self.fill_buf()?.is_empty() {
            return Err(Fault::corrupt("bytes after the end of the compressed NAR").into_io());
        }
        let hash = Sha256(self.hash.finalize().into());
        match self.expected.hash {
            Some(expected) if expected != hash => {
                Err(Fault::corrupt(format!("its FileHash is sha256:{expected}, the file's is sha256:{hash}")).into_io())
            }
            _ => Ok(()),
        }
    }

    fn accept(&mut self, piece: Bytes) -> io::Result<()> {
        self.received += piece.len() as u64;
        if self.expected.hash.is_some() {
            self.hash.update(&piece);
        }
        let known = self.expected.size;
        if piece.is_empty() {
            self.ended = true;
            if known.is_some_and(|size| self.received < size) {
                let cause = format!("the file ended after {} of {} bytes", self.received, known.unwrap_or(0));
                return Err(Fault::unreachable(cause).into_io());
            }
        } else if known.is_some_and(|size| self.received > size) {
            return Err(Fault::corrupt(format!("the file is longer than its {} bytes", known.unwrap_or(0))).into_io());
        }
        self.current = piece;
        Ok(())
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.accept(piece)?,
                Some(Err(fault)) => return Err(fault.into_io()),
                None => return Err(Fault::unreachable("the transfer was given up").into_io()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Code;

    /// Reads a body made of these pieces to its end.
    fn read(pieces: &[&'static [u8]], expected: Expected) -> Result<Vec<u8>, Fault> {
        let (sender, receiver) = mpsc::channel(8);
        for piece in &pieces[1..] {
            sender.try_send(Ok(Bytes::from_static(piece))).unwrap();
        }
        drop(sender);
        let all = || {
            let mut body = Body::new(Bytes::from_static(pieces[0]), receiver, expected)?;
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)?;
            body.finish().map(|()| bytes)
        };
        all().map_err(|error: io::Error| Fault::from_io(&error).unwrap().clone())
    }

    #[test]
    fn the_whole_file_passes_and_another_does_not() {
        let hash = Some(Sha256::of(b"abcd"));
        assert_eq!(read(&[b"ab", b"cd", b""], Expected { hash, size: Some(4) }).unwrap(), b"abcd");
        let fault = read(&[b"ab", b"ce", b""], Expected { hash, size: Some(4) }).unwrap_err();
        assert_eq!(fault.failure.code, Code::ClosureCorrupt);
    }

    #[test]
    fn a_file_that_ends_early_is_worth_another_try_and_one_that_goes_on_is_not() {
        let expected = Expected { hash: None, size: Some(4) };
        assert!(read(&[b"ab", b""], expected).unwrap_err().again);
        assert!(!read(&[b"abc", b"de", b""], expected).unwrap_err().again);
    }

    #[test]
    fn a_transfer_without_its_end_is_never_whole() {
        let fault = read(&[b"ab"], Expected { hash: None, size: None }).unwrap_err();
        assert!(fault.again);
    }
}
