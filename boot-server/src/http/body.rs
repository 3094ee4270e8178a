//! A file as the body of a response: read in large pieces, only when the connection can take one.

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    fs::File,
    io,
    ops::Range,
    os::{fd::AsRawFd, unix::fs::FileExt},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::JoinHandle;

/// Memory of one connection: this once in hand and once on its way.
const PIECE: u64 = 256 << 10;

/// A part of a file.
pub struct FileBody {
    file: Arc<File>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// These bytes of the file.
    pub fn new(file: File, part: Range<u64>) -> Self {
        Self { file: Arc::new(file), rest: part, reading: None }
    }

    fn piece(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.rest.start += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            let (offset, length) = (self.rest.start, (self.rest.end - self.rest.start).min(PIECE) as usize);
            if let Some(bytes) = read_cached(&self.file, offset, length) {
                return self.piece(bytes);
            }
            let file = self.file.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes.into())
            }));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => self.piece(bytes),
            // A file that has shrunk: the connection must break, or the client takes it for whole.
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end.saturating_sub(self.rest.start))
    }
}

/// What the page cache has, without waiting for a disk; none where it has nothing, or the file
/// system cannot say.
fn read_cached(file: &File, offset: u64, length: usize) -> Option<Bytes> {
    let mut bytes: Vec<u8> = Vec::with_capacity(length);
    let part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let offset = libc::off64_t::try_from(offset).ok()?;
    // SAFETY: the one iovec names `length` bytes of capacity that `bytes` owns, and the descriptor is
    // open for as long as `file` is borrowed.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) };
    let read = usize::try_from(read).ok().filter(|read| *read > 0)?;
    // SAFETY: the kernel has written the first `read` bytes, and `read <= length <= capacity`.
    unsafe { bytes.set_len(read) };
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn file_of(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    #[tokio::test]
    async fn a_part_of_a_large_file_arrives_whole_and_in_order() {
        let content: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let body = FileBody::new(file_of(&content), 17..3_999_001);
        assert_eq!(body.size_hint().exact(), Some(3_998_984));
        assert_eq!(body.collect().await.unwrap().to_bytes(), content[17..3_999_001]);
    }

    #[tokio::test]
    async fn a_file_that_has_shrunk_breaks_the_response() {
        assert!(FileBody::new(file_of(b"short"), 0..10).collect().await.is_err());
    }
}
