//! One NAR on its own thread: decompress, hash, unpack under a temporary name, and only if all is right
//! give it its name.

use super::{progress::Share, store::Store};
use nix_store::{body::Body, content_address::Checking, decompress, fault::Fault, nar, narinfo::NarInfo, tree::Tree};
use protocol::encoding::Sha256;
use sha2::Digest;
use std::{
    ffi::CString,
    io::{self, BufRead, Read},
};

/// Decompressed bytes that are hashed and written at a time.
const BUFFER: usize = 128 << 10;

/// Unpacks the NAR in `body` to the store path of `info`; afterwards it is either whole or not there.
///
/// # Errors
/// A fault; the temporary files are gone then.
pub fn unpack(body: Body, memory: u64, info: &NarInfo, store: &Store, share: &mut Share) -> Result<(), Fault> {
    let on_disk = |error: io::Error| Fault::disk(format!("unpacking {}", info.path), &error);
    // Of an attempt that failed before.
    store.remove_temporary(&info.path).map_err(on_disk)?;
    let result = unpack_temporary(body, memory, info, store, share);
    if result.is_err() {
        if let Err(error) = store.remove_temporary(&info.path) {
            tracing::warn!("removing what was unpacked of {}: {error}", info.path);
        }
        return result;
    }
    store.publish(&info.path).map_err(on_disk)
}

fn unpack_temporary(
    mut body: Body,
    memory: u64,
    info: &NarInfo,
    store: &Store,
    share: &mut Share,
) -> Result<(), Fault> {
    let name = Store::temporary_name(&info.path);
    let activity = || format!("unpacking {}", info.path);
    let read_failed = |error: io::Error| match Fault::from_io(&error) {
        Some(fault) => Fault { failure: fault.failure.clone().context(activity()), ..*fault },
        None => Fault::corrupt(format!("{}: decompressing: {error}", activity())),
    };
    let decompressed = decompress::reader(info.compression, memory, &mut body).map_err(read_failed)?;
    let mut archive = Archive::new(decompressed, info.nar_size, share);
    let mut tree = Checking::new(Tree::new(store.handle(), name.as_bytes()), info);
    nar::unpack(&mut archive, &mut tree).map_err(|error| match error {
        nar::Error::Read(error) => read_failed(error),
        nar::Error::Sink(error) => Fault::disk(activity(), &error),
        nar::Error::Format(what, offset) => {
            Fault::corrupt(format!("{}: the NAR has {what} at byte {offset}", activity()))
        }
    })?;
    archive.check(info).map_err(|what| Fault::corrupt(format!("{}: {what}", activity())))?;
    drop(archive);
    if !tree.holds() {
        return Err(Fault::corrupt(format!("{}: the content is not what its CA says", activity())));
    }
    body.finish().map_err(read_failed)?;
    share_files(store, &name).map_err(|error| Fault::disk(activity(), &error))
}

fn share_files(store: &Store, name: &str) -> io::Result<()> {
    let Some(links) = store.links() else { return Ok(()) };
    links.share_tree(store.handle(), &CString::new(name)?)
}

/// The decompressed bytes, hashed and counted on their way, and never more than announced.
struct Archive<'a, R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    hash: sha2::Sha256,
    size: u64,
    limit: u64,
    share: &'a mut Share,
}

impl<'a, R: Read> Archive<'a, R> {
    fn new(inner: R, limit: u64, share: &'a mut Share) -> Self {
        // A small NAR needs no large buffer; one byte more shows that it is longer than announced.
        let length = usize::try_from(limit + 1).unwrap_or(BUFFER).min(BUFFER);
        let buffer = vec![0; length].into_boxed_slice();
        Self { inner, buffer, start: 0, end: 0, hash: sha2::Sha256::default(), size: 0, limit, share }
    }

    fn check(&mut self, info: &NarInfo) -> Result<(), String> {
        if self.size != info.nar_size {
            return Err(format!("its NarSize is {}, the NAR's is {}", info.nar_size, self.size));
        }
        let hash = Sha256(std::mem::take(&mut self.hash).finalize().into());
        if hash != info.nar_hash {
            return Err(format!("its NarHash is sha256:{}, the NAR's is sha256:{hash}", info.nar_hash));
        }
        Ok(())
    }
}

impl<R: Read> BufRead for Archive<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            let count = loop {
                match self.inner.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result?,
                }
            };
            self.hash.update(&self.buffer[..count]);
            self.size += count as u64;
            if self.size > self.limit {
                return Err(Fault::corrupt(format!("the NAR is longer than its NarSize {}", self.limit)).into_io());
            }
            self.share.add(count as u64);
            (self.start, self.end) = (0, count);
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

impl<R: Read> Read for Archive<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}
