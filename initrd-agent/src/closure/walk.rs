//! Finds all paths of a closure: what is registered is read from the database, the rest asked of the
//! caches, many requests at a time.

use super::{
    cache::{Bundle, Caches, Found},
    database::Database,
    store::Store,
};
use protocol::{Code, Failure, failure::Result, names::StorePath};
use std::{collections::HashSet, sync::Arc};
use tokio::task::JoinSet;

/// Requests under way at the same time.
const CONCURRENCY: usize = 32;
/// No closure has more paths. Every one of them is signed, so this bounds mistakes rather than attacks.
const MAX_PATHS: usize = 200_000;

/// What a closure consists of.
#[derive(Debug)]
pub struct Closure {
    /// To be fetched.
    pub missing: Vec<Found>,
    /// How many are registered and there.
    pub present: u64,
}

impl Closure {
    /// All NAR bytes that are to be fetched.
    pub fn nar_bytes(&self) -> u64 {
        self.missing.iter().fold(0, |sum, found| sum.saturating_add(found.info.nar_size))
    }
}

/// Walks from `toplevels` along the references; what is `damaged` counts as missing.
///
/// # Errors
/// `E-CLOSURE-*`, `E-CACHE-UNREACHABLE`, `E-DISK-IO`; nothing has been written then.
pub async fn walk(
    toplevels: &[StorePath],
    caches: &Arc<Caches>,
    store: &Store,
    database: &mut Database,
    damaged: &HashSet<StorePath>,
) -> Result<Closure> {
    let mut seen: HashSet<StorePath> = toplevels.iter().cloned().collect();
    let mut waiting: Vec<StorePath> = seen.iter().cloned().collect();
    let mut closure = Closure { missing: Vec::new(), present: 0 };
    let mut requests: JoinSet<Result<Found>> = JoinSet::new();
    let mut bundles = bundles(toplevels, caches, store, database).await?;
    loop {
        while requests.len() < CONCURRENCY {
            let Some(path) = waiting.pop() else { break };
            // A registered path whose files are gone or damaged is fetched again.
            if let Some(references) =
                database.references(&path)?.filter(|_| store.holds(&path) && !damaged.contains(&path))
            {
                closure.present += 1;
                waiting.extend(references.into_iter().filter(|path| seen.insert(path.clone())));
            } else if let Some(found) = bundles.iter_mut().find_map(|bundle| bundle.take(&path)) {
                waiting.extend(found.info.references.iter().filter(|path| seen.insert((*path).clone())).cloned());
                closure.missing.push(found);
            } else {
                let caches = caches.clone();
                requests.spawn(async move { caches.lookup(&path, &[]).await.map_err(|fault| fault.failure) });
            }
        }
        let Some(result) = requests.join_next().await else { return Ok(closure) };
        let found = result.map_err(|error| Failure::from_error(Code::Internal, "asking for a narinfo", &error))??;
        waiting.extend(found.info.references.iter().filter(|path| seen.insert((*path).clone())).cloned());
        closure.missing.push(found);
        if seen.len() > MAX_PATHS {
            return Err(Failure::new(Code::ClosureCorrupt, format!("the closure has more than {MAX_PATHS} paths")));
        }
    }
}

/// What can be had in one request for each of the toplevels that is not there yet.
async fn bundles(
    toplevels: &[StorePath],
    caches: &Caches,
    store: &Store,
    database: &mut Database,
) -> Result<Vec<Bundle>> {
    let mut bundles = Vec::new();
    for path in toplevels {
        if database.references(path)?.is_none() || !store.holds(path) {
            bundles.push(caches.bundle(path).await);
        }
    }
    Ok(bundles)
}
