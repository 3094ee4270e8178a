//! The body of an answer into a file: never more than announced, and right when it is there.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use sha2::Digest;
use std::{
    io::{self, Write},
    time::Duration,
};

/// A server that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Why there is no whole file.
#[derive(Debug)]
pub enum Broken {
    /// The connection broke, or nothing came any more.
    Connection(Failure),
    /// What came is not what was announced.
    Content(String),
    /// The file cannot be written.
    File(io::Error),
}

/// Writes what is announced with this size and hash. Where that fails, what has been written is of no use.
///
/// # Errors
/// How it [`Broken`].
pub async fn download(
    answer: Response<Incoming>,
    mut to: impl Write,
    size: u64,
    sha256: &Sha256,
) -> std::result::Result<(), Broken> {
    let mut body = answer.into_body();
    let (mut hash, mut received) = (sha2::Sha256::new(), 0u64);
    while let Some(piece) = next(&mut body).await.map_err(Broken::Connection)? {
        received += piece.len() as u64;
        if received > size {
            return Err(Broken::Content(format!("more than the {size} bytes that are listed came")));
        }
        hash.update(&piece);
        to.write_all(&piece).map_err(Broken::File)?;
    }
    if received != size {
        return Err(Broken::Content(format!("{received} of {size} bytes came")));
    }
    let hash = Sha256(hash.finalize().into());
    if hash != *sha256 {
        return Err(Broken::Content(format!("what came has SHA-256 {hash}, not {sha256}")));
    }
    Ok(())
}

/// The next bytes; none at the end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>> {
    loop {
        let silent = |_| {
            let cause = format!("reading the answer: nothing came for {} s", SILENCE.as_secs());
            Failure::new(Code::ServerUnreachable, cause)
        };
        let Some(frame) = tokio::time::timeout(SILENCE, body.frame()).await.map_err(silent)? else { return Ok(None) };
        let frame = frame.or_fail(Code::ServerUnreachable, || "reading the answer")?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
}
