//! A transfer as the blocking side reads it: pieces come over a bounded channel from the network task.

use crate::{cache::Transfer, fault::Fault};
use bytes::{Buf, Bytes};
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// Pieces between the network and the unpacking thread, at most; see [`host::http`] for their size.
pub const PIECES: usize = 4;

/// What the network task sends: a piece, or why there are no more. `Ok` of no bytes is the end.
pub type Piece = Result<Bytes, Fault>;

/// Reads the transfer, and holds it to the size that the narinfo announces. Its FileHash is not checked: nobody
/// signed it, it is known too late to keep anything from the decompressor, and the NarHash covers every byte that is
/// written. It would cost a quarter of all hashing.
pub struct Body {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    size: Option<u64>,
    received: u64,
    ended: bool,
}

impl Body {
    /// A body that begins with `first` and has `size` bytes, where that is known.
    pub fn new(first: Bytes, pieces: mpsc::Receiver<Piece>, size: Option<u64>) -> io::Result<Self> {
        let mut body = Self { pieces, current: Bytes::new(), size, received: 0, ended: false };
        body.accept(first)?;
        Ok(body)
    }

    /// Checks that the whole file came and was read.
    ///
    /// # Errors
    /// The [`Fault`], in an [`io::Error`].
    pub fn finish(mut self) -> io::Result<()> {
        match self.fill_buf()?.is_empty() {
            true => Ok(()),
            false => Err(Fault::corrupt("bytes after the end of the compressed NAR").into_io()),
        }
    }

    fn accept(&mut self, piece: Bytes) -> io::Result<()> {
        self.received += piece.len() as u64;
        self.ended = piece.is_empty();
        match self.size {
            Some(size) if self.ended && self.received < size => {
                let cause = format!("the file ended after {} of {size} bytes", self.received);
                return Err(Fault::unreachable(cause).into_io());
            }
            Some(size) if self.received > size => {
                return Err(Fault::corrupt(format!("the file is longer than its {size} bytes")).into_io());
            }
            _ => {}
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

/// Passes on what the network gives, until the end, a fault, or the other side has seen enough. `ended`: the first piece,
/// which was taken before, was the last.
pub async fn feed(transfer: &mut Transfer<'_>, pieces: mpsc::Sender<Piece>, ended: bool) {
    let mut more = !ended;
    while more {
        let piece = transfer.next().await;
        more = matches!(piece, Ok(Some(_)));
        if pieces.send(piece.map(Option::unwrap_or_default)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Code;

    /// Reads a body made of these pieces to its end.
    fn read(pieces: &[&'static [u8]], size: Option<u64>) -> Result<Vec<u8>, Fault> {
        let (sender, receiver) = mpsc::channel(8);
        for piece in &pieces[1..] {
            sender.try_send(Ok(Bytes::from_static(piece))).unwrap();
        }
        drop(sender);
        let all = || {
            let mut body = Body::new(Bytes::from_static(pieces[0]), receiver, size)?;
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)?;
            body.finish().map(|()| bytes)
        };
        all().map_err(|error: io::Error| Fault::from_io(&error).unwrap().clone())
    }

    #[test]
    fn the_whole_file_passes() {
        for size in [Some(4), None] {
            assert_eq!(read(&[b"ab", b"cd", b""], size).unwrap(), b"abcd");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_worth_another_try_and_one_that_goes_on_is_not() {
        assert!(read(&[b"ab", b""], Some(4)).unwrap_err().again);
        let fault = read(&[b"abc", b"de", b""], Some(4)).unwrap_err();
        assert_eq!((fault.again, fault.failure.code), (false, Code::ClosureCorrupt));
    }

    #[test]
    fn a_transfer_without_its_end_is_never_whole() {
        assert!(read(&[b"ab"], None).unwrap_err().again);
    }
}
