//! The closure engine: pulls a Nix closure into a root, verified, in bounded memory (DESIGN.md section 7).

mod body;
mod cache;
mod check;
pub mod cli;
mod commit;
mod content_address;
mod database;
mod decompress;
mod fault;
mod fetch;
mod optimise;
mod order;
mod pack;
mod profile;
mod progress;
mod retry;
mod signature;
mod store;
mod tree;
mod unpack;
mod walk;

pub use cache::Netrc;
pub use profile::set_system_profile;

use crate::http;
use cache::Caches;
use database::Database;
use fetch::Fetcher;
use optimise::Links;
use order::Register;
use progress::Meter;
use protocol::{Code, Failure, failure::Result, names::StorePath, narinfo::NarInfo, telemetry::Progress};
use signature::PublicKey;
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};
use store::Store;
use tokio::sync::watch;
use walk::{Closure, walk};

/// What to install, from where, and how much of the machine to take for it.
pub struct Request<'a> {
    /// The paths that are wanted with all they reference.
    pub toplevels: &'a [StorePath],
    /// URLs of binary caches, as `closure install --help` describes them.
    pub substituters: &'a [String],
    /// `NAME:BASE64` of Ed25519; every path must be signed by one of them, unless its cache
    /// has keys of its own.
    pub trusted_public_keys: &'a [String],
    /// The folder that becomes `/` of the installed system.
    pub root: &'a Path,
    /// Read what is registered already, and fetch again what is damaged.
    pub check: bool,
    /// Make equal files one, by hard links.
    pub optimise: bool,
    /// The client for all requests.
    pub http: http::Client,
    /// User names and passwords of caches.
    pub netrc: Netrc,
    /// Bounds.
    pub limits: Limits,
}

/// How much of the machine and of the network's patience is used.
#[derive(Debug, Clone)]
pub struct Limits {
    /// NARs that are unpacked at the same time.
    pub parallelism: usize,
    /// NARs whose transfer is under way at the same time.
    pub downloads: usize,
    /// Bytes for decompression windows and transfer buffers together.
    pub memory: usize,
    /// How long a cache may be silent before the transfer counts as stalled.
    pub stall: Duration,
    /// A cache that gives less for as long as `stall`, in bytes per second, counts as stalled as well.
    pub min_rate: u64,
    /// How often in a row a request may fail at one cache.
    pub attempts: u32,
    /// The wait after the first failed attempt; it doubles each time.
    pub backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            parallelism: (cores + 1).clamp(2, 8),
            downloads: 16,
            memory: 32 << 20,
            stall: Duration::from_secs(30),
            min_rate: 1024,
            attempts: 5,
            backoff: Duration::from_millis(500),
        }
    }
}

/// What an installation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Paths that were fetched, verified and registered now.
    pub paths_fetched: u64,
    /// Paths of the closure that were registered before.
    pub paths_present: u64,
    /// Paths that were registered, and fetched again because they were damaged.
    pub paths_damaged: u64,
    /// NAR bytes of the fetched paths.
    pub nar_bytes: u64,
    /// All paths of the closure.
    pub paths_total: u64,
    /// Bytes of files that became links to equal ones.
    pub bytes_shared: u64,
}

/// Installs the closure of `request.toplevels` under `request.root`; `progress` says how far it is.
///
/// # Errors
/// `E-CLOSURE-*`, `E-CACHE-UNREACHABLE`, `E-NO-SPACE`, `E-DISK-IO`. What was registered before stays
/// whole, and is not fetched again by the next call.
pub async fn install(request: Request<'_>, progress: &watch::Sender<Progress>) -> Result<Summary> {
    let trusted: Vec<_> =
        request.trusted_public_keys.iter().map(|text| PublicKey::parse(text)).collect::<Result<_>>()?;
    let (http, netrc, limits) = (&request.http, &request.netrc, &request.limits);
    let caches = Arc::new(Caches::open(request.substituters, http, netrc, limits, &trusted).await?);
    let store = Arc::new(Store::open(request.root, request.optimise).await?);
    let mut database = Database::open(store.database())?;
    tracing::debug!("walking the closure");
    store.remove_temporaries()?;
    let damaged = match request.check {
        true => check::damaged(request.toplevels, &store, &database, request.limits.parallelism)?,
        false => HashSet::new(),
    };
    let closure = walk(request.toplevels, &caches, &store, &mut database, &damaged).await?;
    for found in closure.missing.iter().filter(|found| !damaged.contains(&found.info.path)) {
        store.remove_unregistered(&found.info.path)?;
    }
    store.check_room(closure.nar_bytes())?;
    tracing::debug!(missing = closure.missing.len(), present = closure.present, "fetching");

    let summary = Summary {
        paths_fetched: closure.missing.len() as u64,
        paths_present: closure.present,
        paths_damaged: damaged.len() as u64,
        nar_bytes: closure.nar_bytes(),
        paths_total: closure.present + closure.missing.len() as u64,
        bytes_shared: 0,
    };
    let total = Progress { total_bytes: summary.nar_bytes, total_paths: summary.paths_total, ..Progress::default() };
    let meter = Arc::new(Meter::default());
    meter.add_paths(summary.paths_present);
    let work = fetch_and_register(closure, caches, store.clone(), database, request.limits, meter.clone());
    let result = tokio::select! {
        result = work => result,
        () = meter.publish(total, progress) => Ok(()),
    };
    meter.publish_once(total, progress);
    result.map(|()| Summary { bytes_shared: store.links().map_or(0, Links::saved), ..summary })
}

/// Fetching and registering run beside each other; what was unpacked is registered even if a later path fails.
async fn fetch_and_register(
    closure: Closure,
    caches: Arc<Caches>,
    store: Arc<Store>,
    database: Database,
    limits: Limits,
    meter: Arc<Meter>,
) -> Result<()> {
    let missing = Arc::new(closure.missing);
    let infos: Vec<&NarInfo> = missing.iter().map(|found| &found.info).collect();
    let references = order::references(&infos);
    let sizes: Vec<u64> = infos.iter().map(|info| info.nar_size).collect();
    let fetch_order = order::fetch_order(&references, &sizes);
    let (sender, receiver) = mpsc::channel();
    let registering = tokio::task::spawn_blocking({
        let (missing, store, meter) = (missing.clone(), store.clone(), meter.clone());
        move || {
            let infos: Vec<&NarInfo> = missing.iter().map(|found| &found.info).collect();
            commit::run(&receiver, &infos, Register::new(references), database, &store, &meter)
        }
    });
    let fetcher = Arc::new(Fetcher::new(caches, store, limits, meter));
    let fetched = fetcher.run(&missing, &fetch_order, sender).await;
    tracing::debug!("fetched");
    let registered = registering.await;
    let register = registered.map_err(|error| Failure::from_error(Code::Internal, "registering", &error))?;
    // A full disk stops both; the fetch says which path was the last straw.
    fetched?;
    commit::check_complete(&register?)
}
