//! The Nix binary cache: static files in one folder, as `nix copy --to file://DIR` makes them too.
//!
//! A narinfo appears only when its NAR unpacks and everything that it refers to is here, so a closure that is served is
//! whole. Nothing that is half written has a name of the cache: uploads go to [`disk::INCOMING`], then by rename.

pub mod check;
mod collect;
mod disk;
mod graph;
mod index;
mod info;
mod member;
mod scan;
mod upkeep;
mod upload;

pub use disk::Folder;
pub use graph::{Entry, Graph};
pub use info::Info;
pub use member::{Member, is_hash};
pub use upkeep::{Progress, Roots};

use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{num::NonZero, path::PathBuf, sync::Arc};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

/// NARs that may arrive at once; who comes later waits.
const UPLOADS: usize = 16;

/// The cache of this server.
pub struct Cache {
    folder: Folder,
    /// Largest NAR file that is taken in, bytes.
    max_upload: u64,
    uploads: Semaphore,
    /// Each costs a core and up to [`nix_store::decompress::MOST_MEMORY`] of memory.
    checks: Semaphore,
    /// Held by whoever makes a narinfo appear or vanish: what was decided from the others must stay true meanwhile.
    changing: Arc<Mutex<()>>,
    indexes: Mutex<index::Indexes>,
}

impl Cache {
    /// The cache in this folder; what an interrupted upload left behind is removed.
    pub fn open(folder: PathBuf, max_upload: u64) -> Arc<Self> {
        let folder = Folder::new(folder);
        if let Err(failure) = folder.prepare() {
            // It may be a read-only copy: that can be served all the same.
            tracing::warn!(%failure, "this cache takes no uploads");
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Arc::new(Self {
            folder,
            max_upload,
            uploads: Semaphore::new(UPLOADS),
            checks: Semaphore::new(cores),
            changing: Arc::default(),
            indexes: Mutex::default(),
        })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// While this is held nothing appears and nothing is collected. It goes along with the work on the disk, which goes
    /// on where a caller has gone.
    pub async fn settled(&self) -> OwnedMutexGuard<()> {
        self.changing.clone().lock_owned().await
    }

    /// `nix-cache-info` as it is served.
    pub async fn info(&self) -> Result<Info> {
        self.on_disk(Info::read).await
    }

    /// Does something with the files away from the event loop.
    async fn on_disk<T: Send + 'static>(&self, act: impl FnOnce(&Folder) -> Result<T> + Send + 'static) -> Result<T> {
        let folder = self.folder.clone();
        let done = tokio::task::spawn_blocking(move || act(&folder)).await;
        done.or_fail(Code::Internal, || "working on the cache")?
    }
}
