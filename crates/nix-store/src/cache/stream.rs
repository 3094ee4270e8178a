//! A file of a cache that is being read: what is known of it, and its bytes in bounded pieces that must not be too slow.

use crate::{
    fault::Fault,
    retry::{Patience, Rate},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{body::Incoming, header::HeaderValue};
use protocol::{Code, Failure};
use std::{
    fs::File,
    io::Read,
    sync::Arc,
    time::{Duration, Instant},
};

/// Bytes that are read from a file at a time.
const PIECE: usize = 128 << 10;

/// From where to go on.
#[derive(Debug, Clone, Default)]
pub struct From {
    /// The first byte that is wanted.
    pub position: u64,
    /// The file that the bytes before were from.
    pub etag: Option<HeaderValue>,
}

/// A file whose bytes are about to come.
pub struct Opened {
    /// The bytes.
    pub stream: Stream,
    /// Which byte of the file is the stream's first; none where the server made no sense of it.
    pub begins: Option<u64>,
    /// The size of the whole file, where it is known.
    pub size: Option<u64>,
    /// A strong validator of it.
    pub etag: Option<HeaderValue>,
    /// `Content-Encoding`, where it has one.
    pub encoding: Option<String>,
}

/// What pieces are read from.
pub enum Reader {
    /// An answer's body.
    Body(Incoming),
    /// A file.
    File(Arc<File>),
}

/// The bytes of a file, in pieces.
pub struct Stream {
    place: String,
    reader: Reader,
    rate: Rate,
    stall: Duration,
    /// It was given up as too slow, so what came counts for nothing.
    pub too_slow: bool,
}

impl Stream {
    /// The bytes of `reader`, which must keep up as `patience` say; `place` names it in faults.
    pub fn new(place: String, reader: Reader, patience: &Patience) -> Self {
        Self {
            place,
            reader,
            rate: Rate::new(patience.stall, patience.min_rate),
            stall: patience.stall,
            too_slow: false,
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// A fault where the source broke off, or is too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let body = match &mut self.reader {
            Reader::File(file) => return piece(file.clone(), &self.place).await,
            Reader::Body(body) => body,
        };
        loop {
            let begin = Instant::now();
            let frame = tokio::time::timeout(self.stall, body.frame()).await;
            let stalled = || Fault::unreachable(format!("{}: the transfer stalled", self.place));
            let Some(frame) = frame.map_err(|_| stalled())? else { return Ok(None) };
            let frame = frame
                .map_err(|error| Fault::unreachable(format!("{}: {}", self.place, protocol::failure::chain(&error))))?;
            // Trailers, and empty frames, which would read as the end.
            let Some(bytes) = frame.into_data().ok().filter(|bytes| !bytes.is_empty()) else { continue };
            if !self.rate.keeps_up(begin.elapsed(), bytes.len()) {
                self.too_slow = true;
                return Err(Fault::unreachable(format!("{}: the transfer is too slow", self.place)));
            }
            return Ok(Some(bytes));
        }
    }
}

async fn piece(file: Arc<File>, place: &str) -> Result<Option<Bytes>, Fault> {
    let read = blocking(move || {
        let mut bytes = Vec::with_capacity(PIECE);
        (&*file).take(PIECE as u64).read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    });
    let bytes = read.await?.map_err(|error| Fault::unreachable(format!("reading {place}: {error}")))?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Work on a folder's files, which may have to wait for a disk.
///
/// # Errors
/// `E-INTERNAL` where it did not end.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Failure::from_error(Code::Internal, "reading a cache's folder", &error).into())
}
