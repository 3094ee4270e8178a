//! A cache in a folder, as `nix copy --to file://` makes it. Names cannot lead out: those from a narinfo have
//! been checked by its parser.

use super::stream::{Opened, Reader, Stream, blocking};
use crate::{fault::Fault, retry::Patience};
use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Opens a file at `position`.
///
/// # Errors
/// As those of a request: missing, or worth another try.
pub async fn open(path: PathBuf, position: u64, patience: &Patience) -> Result<Opened, Fault> {
    let place = path.display().to_string();
    let opened = blocking(move || open_now(&path, position)).await?;
    let (file, size) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::missing(format!("opening {place}: {error}")),
        _ => Fault::unreachable(format!("opening {place}: {error}")),
    })?;
    let stream = Stream::new(place, Reader::File(Arc::new(file)), patience);
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
