//! Where a cache's files come from: the network or a folder. Opening a file says what is known of it, and
//! its bytes come in bounded pieces that must not be too slow.

use super::{folder, web::Web};
use crate::closure::{Limits, fault::Fault, retry::Rate};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{body::Incoming, header::HeaderValue};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Where files come from.
pub enum Source {
    /// http or https.
    Web(Box<Web>),
    /// A folder.
    Folder(PathBuf),
}

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

impl Source {
    /// Begins to get the file `name`, which is relative to the cache, or to its origin after a slash.
    ///
    /// # Errors
    /// A fault that says whether another try can help.
    pub async fn open(&self, name: &str, from: Option<&From>, limits: &Limits) -> Result<Opened, Fault> {
        match self {
            Self::Web(web) => web.open(name, from, limits).await,
            Self::Folder(root) => folder::open(root.join(name), from.map_or(0, |from| from.position), limits).await,
        }
    }

    /// The file as it may be printed.
    pub fn place(&self, name: &str) -> String {
        match self {
            Self::Web(web) => web.place(name),
            Self::Folder(root) => root.join(name).display().to_string(),
        }
    }
}

/// What pieces are read from.
pub enum Reader {
    /// An answer's body.
    Body(Incoming),
    /// A file.
    File(Arc<std::fs::File>),
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
    /// The bytes of `reader`, which must keep up as `limits` say; `place` names it in faults.
    pub fn new(place: String, reader: Reader, limits: &Limits) -> Self {
        Self { place, reader, rate: Rate::new(limits.stall, limits.min_rate), stall: limits.stall, too_slow: false }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// A fault where the source broke off, or is too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let body = match &mut self.reader {
            Reader::File(file) => return folder::piece(file.clone(), &self.place).await,
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
