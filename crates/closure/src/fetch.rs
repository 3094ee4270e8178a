//! Fetches many NARs at once: the network on the runtime, decompression and disk on threads, a bounded
//! channel in between, and one budget of memory over all.

use super::{
    Limits,
    order::Schedule,
    progress::{Meter, Share},
    store::Store,
    unpack::unpack,
    walk::Step,
};
use bytes::Bytes;
use nix_store::narinfo::{Compression, NarInfo};
use nix_store::{
    body::{Body, PIECES, Piece, feed},
    cache::{Caches, Found},
    decompress,
    fault::Fault,
    retry::Budget,
};
use protocol::{Code, Failure, failure::Result};
use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Sender},
};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, UnboundedReceiver},
    },
    task::JoinSet,
};

/// The budget of memory is counted in pieces of this size.
const MEMORY_UNIT: u64 = 64 << 10;

/// So many fetches are begun of paths whose references are not known or not under way, for want of better.
const EARLY: usize = 8;

/// What all fetches share.
pub struct Fetcher {
    caches: Arc<Caches>,
    store: Arc<Store>,
    limits: Limits,
    meter: Arc<Meter>,
    /// Threads that unpack. A thread keeps its permit to its end, also when its fetch has been given up.
    threads: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_units: u32,
}

impl Fetcher {
    /// A fetcher that keeps to `limits`.
    pub fn new(caches: Arc<Caches>, store: Arc<Store>, limits: Limits, meter: Arc<Meter>) -> Self {
        let memory_units = u32::try_from(limits.memory as u64 / MEMORY_UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            caches,
            store,
            meter,
            threads: Arc::new(Semaphore::new(limits.parallelism.max(1))),
            memory: Arc::new(Semaphore::new(memory_units as usize)),
            memory_units,
            limits,
        }
    }

    /// Fetches all that the walk tells of, and tells `unpacked` of each that is there. When this returns, also with an
    /// error, no thread writes any more.
    ///
    /// # Errors
    /// The walk's, or that of the first path that cannot be had.
    pub async fn run(
        self: Arc<Self>,
        steps: UnboundedReceiver<Result<Step>>,
        unpacked: Sender<Arc<NarInfo>>,
    ) -> Result<()> {
        let result = self.clone().run_all(steps, &unpacked).await;
        let threads = u32::try_from(self.limits.parallelism.max(1)).unwrap_or(u32::MAX);
        let ended = self.threads.acquire_many(threads).await;
        drop(ended);
        result
    }

    async fn run_all(
        self: Arc<Self>,
        mut steps: UnboundedReceiver<Result<Step>>,
        unpacked: &Sender<Arc<NarInfo>>,
    ) -> Result<()> {
        let mut fetches: JoinSet<Result<Arc<NarInfo>>> = JoinSet::new();
        let (mut schedule, mut found, mut walking) = (Schedule::default(), HashMap::new(), true);
        loop {
            while fetches.len() < self.limits.downloads.max(1) {
                let early = fetches.len() < EARLY || !walking;
                let Some(next) = schedule.take(early).and_then(|path| found.remove(&path)) else { break };
                let fetcher = self.clone();
                fetches.spawn(async move { fetcher.fetch(next).await });
            }
            tokio::select! {
                // First all that is known, then what to fetch of it.
                biased;
                step = steps.recv(), if walking => match step.transpose()? {
                    None => walking = false,
                    Some(Step::Present(path)) => schedule.settle(&path),
                    Some(Step::Missing(missing)) => {
                        schedule.add(&missing.info);
                        found.insert(missing.info.path.clone(), *missing);
                    }
                },
                Some(ended) = fetches.join_next() => {
                    let info = ended.map_err(|error| Failure::from_error(Code::Internal, "fetching a NAR", &error))??;
                    // Who registers has failed where nobody listens, and says why itself.
                    if unpacked.send(info).is_err() {
                        return Ok(());
                    }
                }
                else => return Ok(()),
            }
        }
    }

    /// Fetches one path, from another cache where one fails.
    async fn fetch(&self, mut found: Found) -> Result<Arc<NarInfo>> {
        let wanted = Arc::new(found.info.clone());
        let mut tried = Vec::new();
        let mut worst: Option<Fault> = None;
        loop {
            let cache = self.caches.get(found.cache);
            let result = self.fetch_from(&found).await;
            cache.judge(result.as_ref().err());
            let Err(fault) = result else { return Ok(wanted) };
            if !fault.other_cache_may_help() {
                return Err(fault.failure);
            }
            tracing::warn!("{fault}");
            let fault = worst.take().map_or(fault.clone(), |worst| worst.or_worse(fault));
            tried.push(found.cache);
            // The walk was made with these references, and their hash is what was signed.
            match self.next_source(&wanted, &mut tried).await {
                Some(next) => found = next,
                None => return Err(fault.failure),
            }
            worst = Some(fault);
        }
    }

    async fn next_source(&self, wanted: &NarInfo, tried: &mut Vec<usize>) -> Option<Found> {
        loop {
            let found = self.caches.lookup(&wanted.path, tried).await.ok()?;
            if found.info.nar_hash == wanted.nar_hash && found.info.references == wanted.references {
                return Some(found);
            }
            tried.push(found.cache);
        }
    }

    /// Fetches one path from the cache that it was found in, from the beginning as often as patience lasts.
    async fn fetch_from(&self, found: &Found) -> Result<(), Fault> {
        let mut budget = Budget::new(&self.limits.patience, self.limits.patience.attempts);
        loop {
            match self.attempt(found, &mut budget).await {
                Ok(()) => return Ok(()),
                Err(fault) => budget.spend(fault).await?,
            }
        }
    }

    /// One transfer: the first bytes say how much memory it takes, then both sides run until the end.
    async fn attempt(&self, found: &Found, budget: &mut Budget) -> Result<(), Fault> {
        let (info, cache) = (&found.info, self.caches.get(found.cache));
        let mut transfer = cache.get(&info.url, announced_size(info), budget).await?;
        let first = transfer.next().await?.unwrap_or_default();
        let memory = decompress::memory_needed(info.compression, &first);
        let units = self.memory_units_of(memory, &transfer.url)?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let ended = first.is_empty();
        let feeding = feed(&mut transfer, sender, ended);
        let unpacking = self.unpack(found, first, receiver, memory, units);
        let ((), result) = tokio::join!(feeding, unpacking);
        result.map_err(|fault| {
            let again = fault.again || transfer.was_resumed() && fault.failure.code == Code::ClosureCorrupt;
            let named = fault.failure.cause.contains(&transfer.url);
            let failure = if named { fault.failure } else { fault.failure.context(&transfer.url) };
            Fault { failure, again }
        })
    }

    async fn unpack(
        &self,
        found: &Found,
        first: Bytes,
        pieces: mpsc::Receiver<Piece>,
        memory: u64,
        units: u32,
    ) -> Result<(), Fault> {
        let gone = |_| Fault::from(Failure::new(Code::Internal, "fetching a NAR: the budget is closed"));
        let thread = self.threads.clone().acquire_owned().await.map_err(gone)?;
        let budget = self.memory.clone().acquire_many_owned(units).await.map_err(gone)?;
        let (store, info, mut share) = (self.store.clone(), found.info.clone(), Share::new(self.meter.clone()));
        let work = tokio::task::spawn_blocking(move || {
            let _held = (thread, budget);
            let body = Body::new(first, pieces, announced_size(&info));
            let body =
                body.map_err(|error| Fault::from_io(&error).cloned().unwrap_or(Fault::disk("reading", &error)))?;
            unpack(body, memory, &info, &store, &mut share)?;
            share.keep();
            Ok(())
        });
        let result = work.await;
        result.map_err(|error| Failure::from_error(Code::Internal, format!("unpacking {}", found.info.path), &error))?
    }

    fn memory_units_of(&self, memory: u64, url: &str) -> Result<u32, Fault> {
        let units = u32::try_from(memory.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
        if units <= self.memory_units || memory <= self.limits.memory_alone {
            // Whoever takes all of the budget is alone with it.
            return Ok(units.min(self.memory_units));
        }
        let needed = memory.div_ceil(1 << 20);
        let limit = self.limits.memory_alone.max(self.limits.memory as u64) >> 20;
        let fault =
            Fault::corrupt(format!("{url}: decompressing takes {needed} MiB of memory, {limit} MiB are granted"));
        Err(fault.with_remedy(format!(
            "push the closure again with a lower compression level, or grant closure install --memory {needed}"
        )))
    }
}

/// The size of the file that is transferred. What is not compressed is the NAR itself.
fn announced_size(info: &NarInfo) -> Option<u64> {
    info.file_size.or((info.compression == Compression::None).then_some(info.nar_size))
}
