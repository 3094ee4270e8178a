//! All narinfos of a closure in one answer, where a cache offers it. Each counts for no more than one that
//! was asked for alone, and whatever is odd here only means that the rest is asked for one by one.

use super::{Cache, Found, stream::Opened};
use crate::fault::Fault;
use crate::narinfo::{self, NarInfo};
use bytes::{Buf, BytesMut};
use protocol::names::StorePath;
use std::collections::HashMap;

/// Bytes of text that are read, at most.
const MAX_BYTES: u64 = 64 << 20;
/// Paths that are read, at most.
const MAX_PATHS: usize = 200_000;

/// Verified narinfos by their path, and the cache they are from.
#[derive(Default)]
pub struct Bundle {
    infos: HashMap<StorePath, NarInfo>,
    cache: usize,
}

impl Bundle {
    /// Fetches what the cache has of this closure; nothing where it has no index.
    pub async fn fetch(cache: &Cache, index: usize, toplevel: &StorePath) -> Self {
        let mut bundle = Self { infos: HashMap::new(), cache: index };
        let folder = cache.info.as_ref().and_then(|info| info.closure_index.as_deref());
        let Some(folder) = folder else { return bundle };
        let name = format!("{folder}/{}", toplevel.hash_part());
        if let Err(fault) = bundle.read(cache, &name).await {
            let fault = cache.at(&name, fault);
            tracing::debug!("asking for narinfos one by one after {}: {fault}", bundle.infos.len());
        }
        bundle
    }

    /// Takes out what was found of `path`.
    pub fn take(&mut self, path: &StorePath) -> Option<Found> {
        self.infos.remove(path).map(|info| Found { info, cache: self.cache })
    }

    async fn read(&mut self, cache: &Cache, name: &str) -> Result<(), Fault> {
        let Opened { mut stream, encoding, .. } = cache.source.open(name, None, &cache.patience).await?;
        if let Some(encoding) = encoding {
            return Err(Fault::corrupt(format!("it comes with Content-Encoding {encoding:?}")));
        }
        let (mut text, mut received) = (BytesMut::new(), 0);
        while let Some(piece) = stream.next().await? {
            received += piece.len() as u64;
            text.extend_from_slice(&piece);
            while let Some(length) = end(&text) {
                let one = text.split_to(length);
                self.add(cache, &one)?;
                // The empty line.
                text.advance(1);
            }
            if received > MAX_BYTES || text.len() > narinfo::MAX_BYTES || self.infos.len() > MAX_PATHS {
                return Err(Fault::corrupt("longer than a closure can be"));
            }
        }
        if text.is_empty() { Ok(()) } else { self.add(cache, &text) }
    }

    fn add(&mut self, cache: &Cache, text: &[u8]) -> Result<(), Fault> {
        let text = str::from_utf8(text).map_err(|_| Fault::corrupt("not text"))?;
        let info = cache.checked(text)?;
        match self.infos.insert(info.path.clone(), info) {
            None => Ok(()),
            Some(info) => Err(Fault::corrupt(format!("{} comes twice", info.path))),
        }
    }
}

/// Where the first narinfo ends: with the line before the first empty one.
fn end(text: &[u8]) -> Option<usize> {
    text.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 1)
}
