//! All caches: which is asked first, and which one next where one fails.

use super::{
    Bundle, Cache, Found, Netrc,
    url::{CacheUrl, shown},
};
use crate::{fault::Fault, retry::Patience, signature::PublicKey};
use host::http;
use protocol::{Code, Failure, failure::Result, names::StorePath};
use tokio::task::JoinSet;

/// All caches, the preferred one first.
pub struct Caches {
    caches: Vec<Cache>,
}

impl Caches {
    /// Checks that at least one of the caches answers, and is one of `/nix/store`; orders them by priority,
    /// equal ones as they are given.
    ///
    /// # Errors
    /// `E-CONFIG`, `E-CACHE-UNREACHABLE`, `E-CLOSURE-MISSING`.
    pub async fn open(
        urls: &[String],
        http: &http::Client,
        netrc: &Netrc,
        patience: &Patience,
        trusted: &[PublicKey],
    ) -> Result<Self> {
        let mut checks = JoinSet::new();
        for (index, text) in urls.iter().enumerate() {
            let url = CacheUrl::parse(text)?;
            let mut cache = Cache::new(url, http, netrc, patience, trusted);
            if cache.trusted.is_empty() {
                let cause = format!("binary cache {}: no key is trusted for it", shown(text));
                return Err(Failure::new(Code::Config, cause));
            }
            checks.spawn(async move {
                let checked = cache.check().await;
                (index, cache, checked)
            });
        }
        Self::of(checks.join_all().await)
    }

    fn of(mut checked: Vec<(usize, Cache, Result<(), Fault>)>) -> Result<Self> {
        checked.sort_by_key(|(index, cache, _)| (cache.priority(), *index));
        let (mut caches, mut worst, mut usable): (Vec<Cache>, Option<Fault>, bool) = (Vec::new(), None, false);
        for (_, cache, checked) in checked {
            match checked {
                Ok(()) => usable = true,
                Err(fault) => {
                    tracing::warn!("binary cache: {fault}");
                    let may_pass = fault.may_pass();
                    worst = Some(worst.map_or(fault.clone(), |worst| worst.or_worse(fault)));
                    if !may_pass {
                        continue;
                    }
                }
            }
            caches.push(cache);
        }
        match worst {
            _ if usable => Ok(Self { caches }),
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
            match self.caches[index].narinfo(path, self.caches.len() > 1).await {
                Ok(info) => return Ok(Found { info, cache: index }),
                Err(fault) => worst = Some(worst.map_or(fault.clone(), |worst| worst.or_worse(fault))),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::missing(format!("{path} is in no cache that is left"))))
    }

    /// All that the preferred cache says of the closure of `toplevel` in one go; it may be nothing.
    pub async fn bundle(&self, toplevel: &StorePath) -> Bundle {
        match self.order(&[]).first() {
            Some(&index) => Bundle::fetch(&self.caches[index], index, toplevel).await,
            None => Bundle::default(),
        }
    }

    /// The cache of a [`Found`].
    pub fn get(&self, index: usize) -> &Cache {
        &self.caches[index]
    }

    fn order(&self, except: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.caches.len()).filter(|index| !except.contains(index)).collect();
        order.sort_by_key(|index| self.caches[*index].is_suspect());
        order
    }
}
