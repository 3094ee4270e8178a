//! A cache in a folder, as `nix copy --to file://` makes it. Names cannot lead out: those from a narinfo have
//! been checked by its parser.

use super::source::{Opened, Reader, Stream};
use crate::closure::{Limits, fault::Fault};
use bytes::Bytes;
use protocol::{Code, Failure};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes that are read at a time.
const PIECE: usize = 128 << 10;

/// Opens a file at `position`.
///
/// # Errors
/// As those of a request: missing, or worth another try.
pub async fn open(path: PathBuf, position: u64, limits: &Limits) -> Result<Opened, Fault> {
    let place = path.display().to_string();
    let opened = blocking(move || open_now(&path, position)).await?;
    let (file, size) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::missing(format!("opening {place}: {error}")),
        _ => Fault::unreachable(format!("opening {place}: {error}")),
    })?;
    let stream = Stream::new(place, Reader::File(Arc::new(file)), limits);
    Ok(Opened { stream, begins: Some(position), size: Some(size), etag: None, encoding: None })
}

fn open_now(path: &Path, position: u64) -> io::Result<(File, u64)> {
    // A pipe in the cache must not hold the thread up.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    file.seek(SeekFrom::Start(position))?;
    Ok((file, metadata.len()))
}

/// The next bytes; none at the end.
///
/// # Errors
/// A fault that another try may help against.
pub async fn piece(file: Arc<File>, place: &str) -> Result<Option<Bytes>, Fault> {
    let read = blocking(move || {
        let mut bytes = Vec::with_capacity(PIECE);
        (&*file).take(PIECE as u64).read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    });
    let bytes = read.await?.map_err(|error| Fault::unreachable(format!("reading {place}: {error}")))?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Failure::from_error(Code::Internal, "reading a cache's folder", &error).into())
}
