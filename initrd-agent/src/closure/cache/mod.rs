//! Binary caches: where narinfos and NARs come from.

mod bundle;
mod folder;
mod info;
mod list;
mod netrc;
mod redirect;
mod source;
mod transfer;
mod url;
mod web;

pub use bundle::Bundle;
pub use list::{Caches, Found};
pub use netrc::Netrc;
pub use transfer::Transfer;

use super::{
    Limits, content_address, decompress,
    fault::Fault,
    retry::{Budget, retry},
    signature::{self, PublicKey},
};
use crate::http;
use bytes::{Bytes, BytesMut};
use info::CacheInfo;
use protocol::{
    Code,
    failure::Result,
    names::StorePath,
    narinfo::{self, Compression, NarInfo},
};
use source::{Opened, Source};
use std::{
    io::Read,
    sync::atomic::{AtomicBool, Ordering},
};
use url::{CacheUrl, Location};
use web::Web;

/// One binary cache.
pub struct Cache {
    source: Source,
    limits: Limits,
    /// Whose signatures count for paths of this cache.
    trusted: Vec<PublicKey>,
    priority: Option<u32>,
    info: Option<CacheInfo>,
    /// The last request failed after all attempts: others first, and no patience, until one succeeds.
    suspect: AtomicBool,
}

impl Cache {
    fn new(url: CacheUrl, http: &http::Client, netrc: &Netrc, limits: &Limits, trusted: &[PublicKey]) -> Self {
        let source = match url.location {
            Location::Folder(root) => Source::Folder(root),
            Location::Web(base, credentials) => Source::Web(Box::new(Web::new(base, credentials, netrc, http.clone()))),
        };
        let trusted = if url.keys.is_empty() { trusted.to_vec() } else { url.keys };
        let (limits, suspect) = (limits.clone(), AtomicBool::new(false));
        Self { source, limits, trusted, priority: url.priority, info: None, suspect }
    }

    /// Asks the cache what it says of itself. One that may come back is kept for later.
    async fn check(&mut self) -> Result<(), Fault> {
        const NAME: &str = "nix-cache-info";
        let text = self.text(NAME, info::MAX_BYTES, false).await;
        let read = text.and_then(|text| info::parse(&text).map_err(|fault| self.at(NAME, fault)));
        self.info = Some(read.inspect_err(|fault| self.suspect.store(fault.may_pass(), Ordering::Relaxed))?);
        Ok(())
    }

    /// Lower comes first.
    fn priority(&self) -> u32 {
        let own = self.info.as_ref().map(|info| info.priority);
        self.priority.or(own).unwrap_or(info::USUAL_PRIORITY)
    }

    fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// What the cache says of `path`, its signature checked.
    async fn narinfo(&self, path: &StorePath, there_are_others: bool) -> Result<NarInfo, Fault> {
        let name = format!("{}.narinfo", path.hash_part());
        let text = self.text(&name, narinfo::MAX_BYTES, there_are_others).await?;
        let info = self.checked(&text).map_err(|fault| self.at(&name, fault))?;
        if info.path != *path {
            return Err(self.at(&name, Fault::corrupt(format!("describes {}, not {path}", info.path))));
        }
        Ok(info)
    }

    /// A narinfo whose signature is good, and whose claim of a content address is true.
    fn checked(&self, text: &str) -> Result<NarInfo, Fault> {
        let mut info = narinfo::parse(text)?;
        signature::verify(&info, &self.trusted)?;
        info.ca = content_address::checked(&info)?;
        Ok(info)
    }

    fn at(&self, name: &str, fault: Fault) -> Fault {
        Fault { failure: fault.failure.context(self.source.place(name)), ..fault }
    }

    /// Gets a small text, trying again as often as is useful.
    async fn text(&self, name: &str, limit: usize, there_are_others: bool) -> Result<String, Fault> {
        let attempts = if there_are_others && self.is_suspect() { 1 } else { self.limits.attempts };
        let result = retry(&self.limits, attempts, || self.small(name, limit)).await;
        self.judge(result.as_ref().err());
        let text = String::from_utf8(result?.into());
        text.map_err(|_| self.at(name, Fault::corrupt("not text")))
    }

    async fn small(&self, name: &str, limit: usize) -> Result<Bytes, Fault> {
        let Opened { mut stream, size, encoding, .. } = self.source.open(name, None, &self.limits).await?;
        let too_long = || self.at(name, Fault::corrupt(format!("longer than {limit} bytes")));
        if size.is_some_and(|size| size > limit as u64) {
            return Err(too_long());
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = stream.next().await? {
            if bytes.len() + piece.len() > limit {
                return Err(too_long());
            }
            bytes.extend_from_slice(&piece);
        }
        match encoding {
            None => Ok(bytes.freeze()),
            Some(encoding) => decoded(&encoding, &bytes, limit).map_err(|fault| self.at(name, fault)),
        }
    }

    /// Remembers whether the cache answers.
    pub fn judge(&self, fault: Option<&Fault>) {
        let down = fault.is_some_and(|fault| fault.failure.code == Code::CacheUnreachable);
        self.suspect.store(down, Ordering::Relaxed);
    }

    /// Begins to get a NAR's file, announced with this size. Breaks are paid from `budget`.
    ///
    /// # Errors
    /// A fault that says whether another try can help.
    pub async fn get<'a>(
        &'a self,
        name: &'a str,
        announced: Option<u64>,
        budget: &'a mut Budget,
    ) -> Result<Transfer<'a>, Fault> {
        Transfer::open(&self.source, name, announced, &self.limits, budget).await
    }
}

/// A small text as it was before its `Content-Encoding`: Nix can push narinfos with one to S3, where it comes
/// whether asked for or not.
fn decoded(encoding: &str, bytes: &[u8], limit: usize) -> Result<Bytes, Fault> {
    let name = match encoding {
        "x-gzip" => "gzip",
        name => name,
    };
    let known = Compression::ALL.iter().find(|(_, ending_name, _)| *ending_name == name);
    let (compression, ..) = known.ok_or_else(|| {
        let fault = Fault::corrupt(format!("Content-Encoding {encoding:?} is not supported"));
        fault.with_remedy("switch off compression by the web server for the cache's files")
    })?;
    let wrong = |error| Fault::corrupt(format!("decoding {encoding}: {error}"));
    let memory = decompress::memory_needed(*compression, bytes).min(decompress::USUAL_MEMORY);
    let (mut body, mut text) = (bytes, Vec::new());
    let reader = decompress::reader(*compression, memory, &mut body).map_err(wrong)?;
    reader.take(limit as u64 + 1).read_to_end(&mut text).map_err(wrong)?;
    if text.len() > limit {
        return Err(Fault::corrupt(format!("longer than {limit} bytes")));
    }
    Ok(text.into())
}
