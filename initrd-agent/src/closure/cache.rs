//! Binary caches: asking for what they say of a path, in order, with fail-over.

use super::{
    Limits, content_address,
    fault::Fault,
    retry::{Rate, retry},
    signature::{self, PublicKey},
};
use crate::http;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Incoming};
use protocol::{
    Code, Failure,
    failure::Result,
    names::StorePath,
    narinfo::{self, NarInfo},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// A `nix-cache-info` is never larger.
const MAX_CACHE_INFO: usize = 64 << 10;

/// One binary cache.
pub struct Cache {
    base: String,
    http: http::Client,
    limits: Limits,
    /// The last request failed after all attempts: others first, and no patience, until one succeeds.
    suspect: AtomicBool,
}

/// All caches, the preferred one first, and whom to believe.
pub struct Caches {
    caches: Vec<Cache>,
    trusted: Vec<PublicKey>,
}

/// A narinfo whose signature is good, and the cache it is from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The narinfo.
    pub info: NarInfo,
    /// Which cache.
    pub cache: usize,
}

impl Caches {
    /// Checks that at least one of the caches answers, and is one of `/nix/store`.
    ///
    /// # Errors
    /// `E-CONFIG`, `E-CACHE-UNREACHABLE`, `E-CLOSURE-MISSING`.
    pub async fn open(urls: &[String], http: &http::Client, limits: &Limits, trusted: Vec<PublicKey>) -> Result<Self> {
        let mut caches = Vec::new();
        let mut worst: Option<Fault> = None;
        let mut usable = false;
        for url in urls {
            let cache = Cache::new(url, http.clone(), limits.clone())?;
            match cache.check().await {
                Ok(()) => usable = true,
                Err(fault) => {
                    tracing::warn!("cache {url}: {fault}");
                    let comes_back = fault.again;
                    worst = Some(worst.map_or(fault.clone(), |worst| worst.or_worse(fault)));
                    if !comes_back {
                        continue;
                    }
                    cache.suspect.store(true, Ordering::Relaxed);
                }
            }
            caches.push(cache);
        }
        match worst {
            _ if usable => Ok(Self { caches, trusted }),
            Some(fault) => Err(fault.failure),
            None => Err(Failure::new(Code::Config, "no binary cache is configured")),
        }
    }

    /// What the first cache that can says of `path`, its signature checked. `except` are caches that have
    /// been found wanting.
    ///
    /// # Errors
    /// The most telling fault of the caches.
    pub async fn lookup(&self, path: &StorePath, except: &[usize]) -> Result<Found, Fault> {
        let mut worst: Option<Fault> = None;
        for index in self.order(except) {
            match self.lookup_at(index, path).await {
                Ok(info) => return Ok(Found { info, cache: index }),
                Err(fault) => worst = Some(worst.map_or(fault.clone(), |worst| worst.or_worse(fault))),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::missing(format!("{path} is in no cache that is left"))))
    }

    /// The cache of a [`Found`].
    pub fn get(&self, index: usize) -> &Cache {
        &self.caches[index]
    }

    fn order(&self, except: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.caches.len()).filter(|index| !except.contains(index)).collect();
        order.sort_by_key(|index| self.caches[*index].suspect.load(Ordering::Relaxed));
        order
    }

    async fn lookup_at(&self, index: usize, path: &StorePath) -> Result<NarInfo, Fault> {
        let cache = &self.caches[index];
        let name = format!("{}.narinfo", path.hash_part());
        let bytes = cache.small(&name, narinfo::MAX_BYTES, self.caches.len() > 1).await?;
        let place = || format!("{}/{name}", cache.base);
        let text = str::from_utf8(&bytes).map_err(|_| Fault::corrupt(format!("{}: not text", place())))?;
        let put = |fault: Fault| Fault { failure: fault.failure.context(place()), ..fault };
        let mut info = narinfo::parse(text).map_err(|bad| put(bad.into()))?;
        if info.path != *path {
            return Err(put(Fault::corrupt(format!("describes {}, not {path}", info.path))));
        }
        signature::verify(&info, &self.trusted).map_err(put)?;
        info.ca = content_address::checked(&info).map_err(put)?;
        Ok(info)
    }
}

impl Cache {
    fn new(url: &str, http: http::Client, limits: Limits) -> Result<Self> {
        let base = url.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
        let known = base.starts_with("http://") || base.starts_with("https://");
        if !known || base.parse::<hyper::Uri>().is_err() {
            return Err(Failure::new(Code::Config, format!("binary cache {url:?}: not an http or https URL")));
        }
        Ok(Self { base, http, limits, suspect: AtomicBool::new(false) })
    }

    async fn check(&self) -> Result<(), Fault> {
        let bytes = self.small("nix-cache-info", MAX_CACHE_INFO, false).await?;
        let text = String::from_utf8_lossy(&bytes);
        let folder = text.lines().find_map(|line| line.strip_prefix("StoreDir:")).map(str::trim);
        match folder {
            Some(StorePath::DIR) => Ok(()),
            other => {
                let cause = format!("{}/nix-cache-info: StoreDir is {other:?}, not {}", self.base, StorePath::DIR);
                Err(Failure::new(Code::Config, cause).into())
            }
        }
    }

    /// Gets a small file, trying again as often as is useful.
    async fn small(&self, name: &str, limit: usize, there_are_others: bool) -> Result<Bytes, Fault> {
        let hopeless = there_are_others && self.suspect.load(Ordering::Relaxed);
        let attempts = if hopeless { 1 } else { self.limits.attempts };
        let result = retry(&self.limits, attempts, || self.small_once(name, limit)).await;
        self.judge(result.as_ref().err());
        result
    }

    async fn small_once(&self, name: &str, limit: usize) -> Result<Bytes, Fault> {
        let mut transfer = self.get(name).await?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = transfer.next().await? {
            if bytes.len() + piece.len() > limit {
                return Err(Fault::corrupt(format!("{}: longer than {limit} bytes", transfer.url)));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Remembers whether the cache answers.
    pub fn judge(&self, fault: Option<&Fault>) {
        let down = fault.is_some_and(|fault| fault.failure.code == Code::CacheUnreachable);
        self.suspect.store(down, Ordering::Relaxed);
    }

    /// Begins to get a file.
    ///
    /// # Errors
    /// A fault that says whether another try can help.
    pub async fn get(&self, name: &str) -> Result<Transfer, Fault> {
        let url = format!("{}/{name}", self.base);
        let request = Request::get(&url).body(Full::new(Bytes::new()));
        let request = request.map_err(|error| Fault::corrupt(format!("{url}: {error}")))?;
        let answer = tokio::time::timeout(self.limits.stall, self.http.send(request)).await;
        let answer = answer.map_err(|_| Fault::unreachable(format!("GET {url}: no answer in time")))?;
        let answer = answer.map_err(|failure| match failure.code {
            Code::Tls => failure.into(),
            _ => Fault::unreachable(failure.cause),
        })?;
        check_status(answer.status(), &url)?;
        Ok(Transfer { url, body: answer.into_body(), rate: Rate::new(self.limits.stall), limits: self.limits.clone() })
    }
}

fn check_status(status: StatusCode, url: &str) -> Result<(), Fault> {
    let cause = format!("GET {url}: the answer was {status}");
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Err(Fault::missing(cause)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Fault::unreachable(cause)),
        status if status.is_server_error() => Err(Fault::unreachable(cause)),
        _ => Err(Fault { again: false, ..Fault::unreachable(cause) }),
    }
}

/// A file on its way.
pub struct Transfer {
    /// Where it comes from.
    pub url: String,
    body: Incoming,
    rate: Rate,
    limits: Limits,
}

impl Transfer {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// A fault where the connection broke, or is too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let begin = Instant::now();
            let frame = tokio::time::timeout(self.limits.stall, self.body.frame()).await;
            let stalled = || Fault::unreachable(format!("GET {}: the transfer stalled", self.url));
            let Some(frame) = frame.map_err(|_| stalled())? else { return Ok(None) };
            let frame = frame.map_err(|error| {
                Fault::unreachable(format!("GET {}: {}", self.url, protocol::failure::chain(&error)))
            })?;
            // Trailers, and empty frames, which would read as the end.
            let Some(bytes) = frame.into_data().ok().filter(|bytes| !bytes.is_empty()) else { continue };
            if !self.rate.keeps_up(begin.elapsed(), bytes.len()) {
                return Err(Fault::unreachable(format!("GET {}: the transfer is too slow", self.url)));
            }
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_another_try_or_another_cache_can_help() {
        let fault = |status| check_status(StatusCode::from_u16(status).unwrap(), "x").unwrap_err();
        for status in [500, 502, 503, 429] {
            assert!(fault(status).again, "{status}");
        }
        for status in [403, 404, 410] {
            assert_eq!((fault(status).again, fault(status).failure.code), (false, Code::ClosureMissing), "{status}");
        }
        for status in [301, 400, 401] {
            assert_eq!((fault(status).again, fault(status).failure.code), (false, Code::CacheUnreachable), "{status}");
        }
    }
}
