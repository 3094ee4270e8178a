//! A file as the body of a response: read in large pieces, only when the connection can take one.

use crate::netboot::page_cache;
use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
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
    pub fn new(file: Arc<File>, part: Range<u64>) -> Self {
        Self { file, rest: part, reading: None }
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
            let piece = self.rest.start..self.rest.end.min(self.rest.start + PIECE);
            let mut bytes = Vec::new();
            if page_cache::read(&self.file, &piece, &mut bytes) {
                return self.piece(bytes.into());
            }
            let file = self.file.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || {
                bytes.resize((piece.end - piece.start) as usize, 0);
                file.read_exact_at(&mut bytes, piece.start)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn file_of(content: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        Arc::new(file)
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
