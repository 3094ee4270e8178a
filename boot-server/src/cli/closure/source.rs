//! The cache that is copied from: a folder, or HTTP.

use host::http::{Client, Proxies, Trust};
use nix_store::{
    body::{Body, PIECES, feed},
    cache::{Cache, Netrc},
    fault::Fault,
    narinfo::NarInfo,
    retry::{Budget, Patience},
};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::StorePath,
};
use std::{io::Read, path::Path, sync::Arc, time::SystemTime};
use tokio::sync::mpsc;

/// A binary cache.
pub struct Source {
    cache: Arc<Cache>,
    patience: Patience,
}

impl Source {
    /// Reads what the operator wrote: a folder or a URL.
    ///
    /// # Errors
    /// `E-CONFIG` where it is neither.
    pub fn open(text: &str, netrc: &Netrc) -> Result<Self> {
        let patience = Patience::default();
        let http = Client::through(Proxies::from_environment(None)?, &Trust::System, None, SystemTime::UNIX_EPOCH)?;
        let cache = Arc::new(Cache::to_copy_from(&url(text)?, &http, netrc, &patience)?);
        Ok(Self { cache, patience })
    }

    /// The narinfo of a path, as the source has it.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING`, `E-CLOSURE-CORRUPT`, `E-CACHE-UNREACHABLE`.
    pub async fn narinfo(&self, path: &StorePath) -> Result<NarInfo> {
        self.cache.unchecked_narinfo(path).await.map_err(|fault| not_had(path, fault))
    }

    /// The bytes of a NAR as the source has them; a transfer that breaks goes on where it broke. Reading blocks.
    ///
    /// # Errors
    /// As [`Source::narinfo`].
    pub async fn nar(&self, info: &NarInfo) -> Result<Box<dyn Read + Send>> {
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let (cache, patience, wanted) = (self.cache.clone(), self.patience.clone(), info.clone());
        tokio::spawn(async move {
            let mut budget = Budget::new(&patience, patience.attempts);
            match cache.get(&wanted.url, wanted.file_size, &mut budget).await {
                Ok(mut transfer) => feed(&mut transfer, sender, false).await,
                // Whoever wanted the NAR may have gone.
                Err(fault) => drop(sender.send(Err(fault)).await),
            }
        });
        let broken = || Fault::unreachable(format!("importing {}: the transfer was given up", info.path));
        let first = pieces.recv().await.unwrap_or_else(|| Err(broken())).map_err(|fault| not_had(&info.path, fault))?;
        let body = Body::new(first, pieces, info.file_size);
        Ok(Box::new(body.or_fail(Code::ClosureCorrupt, || format!("importing {}", info.path))?))
    }
}

/// A folder is a URL, too.
fn url(text: &str) -> Result<String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    let folder = Path::new(text.strip_prefix("file://").unwrap_or(text));
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir()).ok_or_else(|| {
        Failure::new(Code::Config, format!("opening the cache {text}: it is no folder"))
            .with_remedy("--from a folder, file://DIR, http:// or https://")
    })?;
    Ok(format!("file://{}", folder.to_string_lossy().replace('%', "%25").replace('?', "%3F")))
}

fn not_had(path: &StorePath, fault: Fault) -> Failure {
    let failure = fault.failure.context(format!("importing {path}"));
    match failure.code {
        Code::ClosureMissing => failure.with_remedy("check --from; the source must have the whole closure"),
        _ => failure,
    }
}
