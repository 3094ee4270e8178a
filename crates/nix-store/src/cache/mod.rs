//! Binary caches: where narinfos and NARs come from.

mod bundle;
mod folder;
mod info;
mod list;
mod netrc;
mod redirect;
mod source;
mod stream;
mod transfer;
mod url;
mod web;

pub use bundle::Bundle;
pub use list::Caches;
pub use netrc::Netrc;
pub use transfer::Transfer;

use crate::{
    content_address, decompress,
    fault::Fault,
    narinfo::{self, Compression, NarInfo},
    retry::{Budget, Patience, retry},
    signature::{self, PublicKey},
};
use bytes::{Bytes, BytesMut};
use host::http;
use info::CacheInfo;
use protocol::{Code, failure::Result, names::StorePath};
use source::Source;
use std::{
    io::Read,
    sync::atomic::{AtomicBool, Ordering},
};
use stream::Opened;
use url::{CacheUrl, Location};
use web::Web;

/// A narinfo whose signature is good, and the cache it is from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The narinfo.
    pub info: NarInfo,
    /// Which cache.
    pub cache: usize,
}

/// One binary cache.
pub struct Cache {
    source: Source,
    patience: Patience,
    /// Whose signatures count for paths of this cache.
    trusted: Vec<PublicKey>,
    priority: Option<u32>,
    info: Option<CacheInfo>,
    /// The last request failed after all attempts: others first, and no patience, until one succeeds.
    suspect: AtomicBool,
}

impl Cache {
    fn new(url: CacheUrl, http: &http::Client, netrc: &Netrc, patience: &Patience, trusted: &[PublicKey]) -> Self {
        let source = match url.location {
            Location::Folder(root) => Source::Folder(root),
            Location::Web(base, credentials) => Source::Web(Box::new(Web::new(base, credentials, netrc, http.clone()))),
        };
        let trusted = if url.keys.is_empty() { trusted.to_vec() } else { url.keys };
        let (patience, suspect) = (patience.clone(), AtomicBool::new(false));
        Self { source, patience, trusted, priority: url.priority, info: None, suspect }
    }

    /// The cache at a URL, to be copied from: it has not been asked yet, and no key is trusted for it but those of the URL.
    ///
    /// # Errors
    /// `E-CONFIG` for a URL that cannot be read.
    pub fn to_copy_from(url: &str, http: &http::Client, netrc: &Netrc, patience: &Patience) -> Result<Self> {
        Ok(Self::new(CacheUrl::parse(url)?, http, netrc, patience, &[]))
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
        let name = narinfo_name(path);
        let text = self.text(&name, narinfo::MAX_BYTES, there_are_others).await?;
        let info = self.checked(&text).map_err(|fault| self.at(&name, fault))?;
        self.about(path, info)
    }

    /// What the cache says of `path`, for whoever passes it on as it is: nothing of it has been checked.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING`, `E-CLOSURE-CORRUPT`, `E-CACHE-UNREACHABLE`.
    pub async fn unchecked_narinfo(&self, path: &StorePath) -> Result<NarInfo, Fault> {
        let name = narinfo_name(path);
        let text = self.text(&name, narinfo::MAX_BYTES, false).await?;
        let info = narinfo::parse(&text).map_err(|bad| self.at(&name, bad.into()))?;
        self.about(path, info)
    }

    fn about(&self, path: &StorePath, info: NarInfo) -> Result<NarInfo, Fault> {
        if info.path == *path {
            return Ok(info);
        }
        Err(self.at(&narinfo_name(path), Fault::corrupt(format!("describes {}, not {path}", info.path))))
    }

    /// A narinfo whose signature is good or not needed, and whose claim of a content address leads to its name.
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
        let attempts = if there_are_others && self.is_suspect() { 1 } else { self.patience.attempts };
        let result = retry(&self.patience, attempts, || self.small(name, limit)).await;
        self.judge(result.as_ref().err());
        let text = String::from_utf8(result?.into());
        text.map_err(|_| self.at(name, Fault::corrupt("not text")))
    }

    async fn small(&self, name: &str, limit: usize) -> Result<Bytes, Fault> {
        let Opened { mut stream, size, encoding, .. } = self.source.open(name, None, &self.patience).await?;
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
        Transfer::open(&self.source, name, announced, &self.patience, budget).await
    }
}

fn narinfo_name(path: &StorePath) -> String {
    format!("{}.narinfo", path.hash_part())
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
