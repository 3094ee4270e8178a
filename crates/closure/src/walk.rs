//! Finds all paths of a closure: what is registered is read from the database, the rest asked of the
//! caches, many requests at a time. What is found is told at once, so that it can be fetched meanwhile.

use super::{
    database::Database,
    progress::Meter,
    store::{Room, Store},
};
use nix_store::cache::{Bundle, Caches, Found};
use protocol::{Code, Failure, failure::Result, names::StorePath};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet};

/// Requests under way at the same time.
const CONCURRENCY: usize = 32;
/// No closure has more paths. Every one of them is signed, so this bounds mistakes rather than attacks.
const MAX_PATHS: usize = 200_000;

/// A path of the closure.
#[derive(Debug)]
pub enum Step {
    /// Registered and there.
    Present(StorePath),
    /// To be fetched.
    Missing(Box<Found>),
}

/// What the walk needs.
pub struct Walk {
    /// Where narinfos come from.
    pub caches: Arc<Caches>,
    /// Where the closure goes.
    pub store: Arc<Store>,
    /// What is registered there.
    pub database: Database,
    /// Registered paths that count as missing.
    pub damaged: HashSet<StorePath>,
    /// Counts what is found.
    pub meter: Arc<Meter>,
}

impl Walk {
    /// Walks from `toplevels` along the references, and tells of each path, or of what failed: `E-CLOSURE-*`,
    /// `E-CACHE-UNREACHABLE`, `E-NO-SPACE`, `E-DISK-IO`. Ends where nobody listens.
    pub async fn run(self, toplevels: &[StorePath], steps: UnboundedSender<Result<Step>>) {
        if let Err(failure) = self.all(toplevels, &steps).await {
            // Who does not listen any more has failed itself.
            drop(steps.send(Err(failure)));
        }
        tracing::debug!("walked");
    }

    async fn all(&self, toplevels: &[StorePath], steps: &UnboundedSender<Result<Step>>) -> Result<()> {
        let mut seen: HashSet<StorePath> = toplevels.iter().cloned().collect();
        let mut waiting: Vec<StorePath> = seen.iter().cloned().collect();
        let mut room = self.store.room()?;
        let mut bundles = self.bundles(toplevels).await?;
        let mut requests: JoinSet<Result<Found>> = JoinSet::new();
        loop {
            let mut found = Vec::new();
            while requests.len() < CONCURRENCY {
                let Some(path) = waiting.pop() else { break };
                if let Some(references) = self.present(&path)? {
                    self.meter.found_present();
                    waiting.extend(references.into_iter().filter(|path| seen.insert(path.clone())));
                    drop(steps.send(Ok(Step::Present(path))));
                } else if let Some(bundled) = bundles.iter_mut().find_map(|bundle| bundle.take(&path)) {
                    waiting.extend(unseen(&bundled, &mut seen));
                    found.push(bundled);
                } else {
                    let caches = self.caches.clone();
                    requests.spawn(async move { caches.lookup(&path, &[]).await.map_err(|fault| fault.failure) });
                }
            }
            let result = requests.join_next().await;
            let is_last = result.is_none();
            if let Some(result) = result {
                let answer =
                    result.map_err(|error| Failure::from_error(Code::Internal, "asking for a narinfo", &error));
                let answer = answer??;
                waiting.extend(unseen(&answer, &mut seen));
                found.push(answer);
            }
            if seen.len() > MAX_PATHS {
                return Err(Failure::new(Code::ClosureCorrupt, format!("the closure has more than {MAX_PATHS} paths")));
            }
            for found in found {
                self.accept(&found, &mut room)?;
                if steps.send(Ok(Step::Missing(Box::new(found)))).is_err() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The references of a path that is registered and there. One whose files are gone or damaged is fetched again.
    fn present(&self, path: &StorePath) -> Result<Option<BTreeSet<StorePath>>> {
        let references = self.database.references(path)?;
        Ok(references.filter(|_| self.store.holds(path) && !self.damaged.contains(path)))
    }

    /// Makes sure that the path fits with all before it, and that nothing stands in its place.
    fn accept(&self, found: &Found, room: &mut Room) -> Result<()> {
        let path = &found.info.path;
        // What an interrupted run left there gives its room back.
        if self.damaged.contains(path) || !self.store.remove_unregistered(path)? {
            room.take(found.info.nar_size)?;
        }
        self.meter.found(found.info.nar_size);
        Ok(())
    }

    /// What can be had in one request for each of the toplevels that is not there yet.
    async fn bundles(&self, toplevels: &[StorePath]) -> Result<Vec<Bundle>> {
        let mut bundles = Vec::new();
        for path in toplevels {
            if self.present(path)?.is_none() {
                bundles.push(self.caches.bundle(path).await);
            }
        }
        Ok(bundles)
    }
}

/// The references of a path that nobody has referred to before.
fn unseen(found: &Found, seen: &mut HashSet<StorePath>) -> Vec<StorePath> {
    found.info.references.iter().filter(|path| seen.insert((*path).clone())).cloned().collect()
}
