//! The closure engine: pulls a Nix closure into a root, verified, in bounded memory (docs/design.md section 7).

mod check;
mod commit;
mod database;
mod fetch;
mod optimise;
mod order;
mod profile;
mod progress;
mod store;
mod unpack;
mod walk;

pub use nix_store::{cache::Netrc, retry::Patience};
pub use profile::set_system_profile;

use database::Database;
use fetch::Fetcher;
use host::http;
use nix_store::{cache::Caches, decompress::MOST_MEMORY, signature::PublicKey};
use optimise::Links;
use progress::Meter;
use protocol::{Code, Failure, failure::Result, names::StorePath, telemetry::Progress};
use std::{
    collections::HashSet,
    path::Path,
    pin::pin,
    sync::{Arc, mpsc},
};
use store::Store;
use tokio::sync::{mpsc::unbounded_channel, watch};
use walk::Walk;

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

/// How much of the machine is used, and how patiently.
#[derive(Debug, Clone)]
pub struct Limits {
    /// NARs that are unpacked at the same time.
    pub parallelism: usize,
    /// NARs whose transfer is under way at the same time.
    pub downloads: usize,
    /// Bytes for decompression windows and transfer buffers together.
    pub memory: usize,
    /// Bytes that one NAR may take while no other one is unpacked.
    pub memory_alone: u64,
    /// With the caches.
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            parallelism: (cores + 1).clamp(2, 8),
            downloads: 32,
            memory: 32 << 20,
            memory_alone: MOST_MEMORY,
            patience: Patience::default(),
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
    let caches = Arc::new(Caches::open(request.substituters, http, netrc, &limits.patience, &trusted).await?);
    let store = Arc::new(Store::open(request.root, request.optimise).await?);
    let database = Database::open(store.database())?;
    store.remove_temporaries()?;
    let damaged = match request.check {
        true => check::damaged(request.toplevels, &store, &database, request.limits.parallelism)?,
        false => HashSet::new(),
    };
    let (meter, paths_damaged) = (Arc::new(Meter::default()), damaged.len() as u64);
    let walk = Walk { caches: caches.clone(), store: store.clone(), database, damaged, meter: meter.clone() };
    let fetcher = Arc::new(Fetcher::new(caches, store.clone(), request.limits, meter.clone()));
    let work = walk_fetch_and_register(walk, request.toplevels, fetcher, store.clone(), meter.clone());
    let result = tokio::select! {
        result = work => result,
        () = meter.publish(progress) => Ok(()),
    };
    let (done, paths_present) = (meter.read(), meter.present());
    progress.send_replace(done);
    result.map(|()| Summary {
        paths_fetched: done.total_paths - paths_present,
        paths_present,
        paths_damaged,
        nar_bytes: done.total_bytes,
        paths_total: done.total_paths,
        bytes_shared: store.links().map_or(0, Links::saved),
    })
}

/// Walking, fetching and registering run beside each other; what was unpacked is registered even if a later path fails.
async fn walk_fetch_and_register(
    walk: Walk,
    toplevels: &[StorePath],
    fetcher: Arc<Fetcher>,
    store: Arc<Store>,
    meter: Arc<Meter>,
) -> Result<()> {
    let writer = Database::open(store.database())?;
    let (found, steps) = unbounded_channel();
    let (unpacked, unregistered) = mpsc::channel();
    let registering = tokio::task::spawn_blocking(move || commit::run(&unregistered, writer, &store, &meter));
    let fetched = {
        let (mut walking, mut fetching) = (pin!(walk.run(toplevels, found)), pin!(fetcher.run(steps, unpacked)));
        let mut walked = false;
        loop {
            tokio::select! {
                () = &mut walking, if !walked => walked = true,
                fetched = &mut fetching => break fetched,
            }
        }
    };
    tracing::debug!("fetched");
    let register = registering.await.map_err(|error| Failure::from_error(Code::Internal, "registering", &error))?;
    // A full disk stops both; the fetch says which path was the last straw.
    fetched?;
    commit::check_complete(&register?)
}
