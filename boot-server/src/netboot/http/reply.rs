//! Responses: files, and failures as JSON.

use super::{
    body::FileBody,
    conditions::{Outcome, outcome},
};
use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{Code, Failure};
use std::{
    fs::{File, Metadata},
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    sync::Arc,
    time::Duration,
};

/// A failure, the status it goes out with, and when to ask again.
pub struct Refusal(StatusCode, Failure, Option<Duration>);

impl Refusal {
    /// 404.
    pub fn not_found(failure: Failure) -> Self {
        Self(StatusCode::NOT_FOUND, failure, None)
    }

    /// 503 for a source that asks too much.
    pub fn busy(after: Duration) -> Self {
        let failure = Failure::new(Code::Busy, "answering a request: too many come from this address");
        Self(StatusCode::SERVICE_UNAVAILABLE, failure, Some(after))
    }

    /// 500, and a line in the log: the operator has to do something.
    pub fn internal(failure: Failure) -> Self {
        tracing::error!("{failure}");
        Self(StatusCode::INTERNAL_SERVER_ERROR, failure, None)
    }

    /// 404 where the file is not there, else 500. `what` is what the client named.
    pub fn from_open(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::not_found(Failure::new(Code::NotFound, format!("there is no {what} here")));
        }
        Self::internal(Failure::from_error(Code::System, format!("opening {what}"), error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(self.1)).into_response();
        if let Some(after) = self.2 {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        response
    }
}

/// A tag that changes whenever the file is replaced or written.
pub fn tag_of(metadata: &Metadata) -> String {
    format!("\"{:x}-{:x}-{:x}.{:x}\"", metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

/// The body of a response, an extension of it until the connection knows how to send it.
#[derive(Debug, Clone)]
pub struct FilePart {
    /// Open for reading.
    pub file: Arc<File>,
    /// The bytes to send.
    pub part: Range<u64>,
}

/// Puts the [`FilePart`] of a response into its body, to be read piece by piece.
pub fn streamed(mut response: Response) -> Response {
    if let Some(FilePart { file, part }) = response.extensions_mut().remove() {
        *response.body_mut() = Body::new(FileBody::new(file, part));
    }
    response
}

/// The file, or the part that the client asks for, as a [`FilePart`].
pub fn file(request: &HeaderMap, file: File, size: u64, etag: &str, kind: &'static str) -> Response {
    let (mut response, part) = head(request, size, etag, kind);
    response.extensions_mut().insert(FilePart { file: Arc::new(file), part });
    response
}

/// As [`file()`], from memory.
pub fn bytes(request: &HeaderMap, bytes: &Bytes, etag: &str, kind: &'static str) -> Response {
    let (mut response, part) = head(request, bytes.len() as u64, etag, kind);
    *response.body_mut() = bytes.slice(part.start as usize..part.end as usize).into();
    response
}

/// Status and headers, and the bytes to send.
fn head(request: &HeaderMap, size: u64, etag: &str, kind: &'static str) -> (Response, Range<u64>) {
    let outcome = outcome(request, etag, size);
    let (status, part) = match &outcome {
        Outcome::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
        Outcome::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
        Outcome::Whole => (StatusCode::OK, 0..size),
        Outcome::Part(part) => (StatusCode::PARTIAL_CONTENT, part.clone()),
    };
    let range = match outcome {
        Outcome::Part(part) => Some(format!("bytes {}-{}/{size}", part.start, part.end - 1)),
        Outcome::Unsatisfiable => Some(format!("bytes */{size}")),
        Outcome::Whole | Outcome::NotModified => None,
    };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::ACCEPT_RANGES, "bytes");
    put(header::ETAG, etag);
    put(header::CONTENT_TYPE, kind);
    if let Some(range) = range {
        put(header::CONTENT_RANGE, &range);
    }
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    }
    (response, part)
}
