//! The closure engine: pulls a Nix closure into a root, verified, in bounded memory (DESIGN.md section 7).

pub mod cli;
mod profile;

pub use profile::set_system_profile;

use crate::http;
use protocol::{Code, Failure, failure::Result, names::StorePath, telemetry::Progress};
use std::{path::Path, time::Duration};
use tokio::sync::watch;

/// What to install, from where, and how much of the machine to take for it.
pub struct Request<'a> {
    /// The paths that are wanted with all they reference.
    pub toplevels: &'a [StorePath],
    /// Base URLs of binary caches, the preferred one first.
    pub substituters: &'a [String],
    /// `NAME:BASE64` of Ed25519; every path must be signed by one of them.
    pub trusted_public_keys: &'a [String],
    /// The folder that becomes `/` of the installed system.
    pub root: &'a Path,
    /// The client for all requests.
    pub http: http::Client,
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
    /// How often a request is tried at one cache.
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
    /// NAR bytes of the fetched paths.
    pub nar_bytes: u64,
    /// All paths of the closure.
    pub paths_total: u64,
}

/// Installs the closure of `request.toplevels` under `request.root`; `progress` says how far it is.
///
/// # Errors
/// `E-CLOSURE-*`, `E-CACHE-UNREACHABLE`, `E-NO-SPACE`, `E-DISK-IO`. What was registered before stays
/// whole, and is not fetched again by the next call.
pub async fn install(request: Request<'_>, progress: &watch::Sender<Progress>) -> Result<Summary> {
    let _ = (request.substituters, request.trusted_public_keys, request.http, progress);
    let _ = (request.toplevels, request.root, request.limits);
    Err(Failure::new(Code::Internal, "installing a closure: not yet in this build"))
}
