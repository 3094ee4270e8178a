//! Tool overlays: programs and modules that a layout needs and the image does not carry itself. They come from the
//! boot-server by the hashes that the image lists, so that nothing but this image's own is ever taken.

mod fetch;
mod merge;
#[cfg(test)]
mod tests;

use crate::boot_server::BootServer;
use disk::tools::missing_program;
use hardware::coldplug;
use merge::Merge;
use nix_store::tree;
use protocol::{
    Code, Failure,
    artefact::Artefact,
    failure::{OrFail, Result},
    overlay::{LIST, OverlayList, ToolSet},
};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

/// No list is larger.
const LARGEST_LIST: u64 = 64 << 10;
/// After the first transfer that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What was done for a tool set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Which.
    pub set: ToolSet,
    /// Bytes that were fetched; 0 where the programs were there already.
    pub fetched: u64,
}

/// In the initrd: fetches and merges the overlays of the sets whose programs are not there, and loads the modules of all.
/// Run again after a failure, it goes on with what is missing.
///
/// # Errors
/// `E-TOOLS` where the image offers no overlay of a set, or the server has another; those of the connection;
/// `E-NO-SPACE` where the memory is full; `E-IMAGE` where the image's own list or module index is broken.
pub async fn ensure(server: &BootServer, sets: &BTreeSet<ToolSet>) -> Result<Vec<Loaded>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut loaded = Vec::new();
    for (set, overlay) in wanted(sets, &path, || read_list(Path::new(LIST)))? {
        let mut fetched = 0;
        if let Some(overlay) = overlay {
            obtain(server, set, &overlay, Path::new("/"), PAUSE).await?;
            fetched = overlay.size;
            tracing::info!("the {set} tools were fetched: {fetched} bytes");
        }
        loaded.push(Loaded { set, fetched });
    }
    load_modules(sets)?;
    Ok(loaded)
}

/// The sets, and of those whose programs are not in `path` the overlay. All are known before any is fetched.
fn wanted(
    sets: &BTreeSet<ToolSet>,
    path: &OsStr,
    list: impl FnOnce() -> Result<OverlayList>,
) -> Result<Vec<(ToolSet, Option<Artefact>)>> {
    if sets.iter().all(|set| missing_program(*set, path).is_none()) {
        return Ok(sets.iter().map(|set| (*set, None)).collect());
    }
    let list = list()?;
    let overlay = |set: &ToolSet| match missing_program(*set, path) {
        None => Ok((*set, None)),
        Some(_) => list.get(set).cloned().map(|overlay| (*set, Some(overlay))).ok_or_else(|| not_offered(*set)),
    };
    sets.iter().map(overlay).collect()
}

fn not_offered(set: ToolSet) -> Failure {
    let packages = set.packages();
    Failure::new(Code::Tools, format!("loading the {set} tools: this image has no overlay of them")).with_remedy(format!(
        "build the image on a machine with these tools (Debian: {packages}) for a kernel with the modules, and deploy it"
    ))
}

/// An image from before there were overlays has no list.
fn read_list(path: &Path) -> Result<OverlayList> {
    let read = std::fs::File::open(path).and_then(|file| {
        let mut text = Vec::new();
        file.take(LARGEST_LIST).read_to_end(&mut text)?;
        Ok(text)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(OverlayList::new()),
        read => {
            let text = read.or_fail(Code::Image, || format!("reading {}", path.display()))?;
            protocol::parse::json(&path.display().to_string(), &text)
                .map_err(|failure| Failure { code: Code::Image, ..failure })
        }
    }
}

/// Fetches an overlay, and merges it into `root` once it is whole and right.
async fn obtain(server: &BootServer, set: ToolSet, overlay: &Artefact, root: &Path, pause: Duration) -> Result<()> {
    let staging = Staging::make(root, set)?;
    let blob = staging.0.join("blob");
    let activity = |failure: Failure| failure.context(format!("fetching the {set} tools"));
    fetch::fetch(server, overlay, &blob, pause).await.map_err(activity)?;
    Merge { set, staging: &staging.0, root }.blob(&blob)
}

/// A folder on the file system of the root, so that what is in it can be renamed; it goes with its content.
struct Staging(PathBuf);

impl Staging {
    fn make(root: &Path, set: ToolSet) -> Result<Self> {
        let folder = root.join(format!(".overlay-{set}"));
        // Of a process before this one.
        let made = tree::remove(&folder).and_then(|()| std::fs::create_dir(&folder));
        made.or_fail(Code::System, || format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.0) {
            tracing::warn!("removing {}: {error}", self.0.display());
        }
    }
}

fn load_modules(sets: &BTreeSet<ToolSet>) -> Result<()> {
    let names = |of: fn(ToolSet) -> &'static [&'static str]| -> Vec<String> {
        sets.iter().flat_map(|set| of(*set)).map(|module| (*module).to_owned()).collect()
    };
    let modules = names(ToolSet::modules);
    if modules.is_empty() {
        return Ok(());
    }
    let missing = coldplug::load(&modules)?;
    if let Some((module, cause)) = missing.first() {
        return Err(Failure::new(Code::Tools, format!("loading the module {module}: {cause}")));
    }
    for (module, cause) in coldplug::load(&names(ToolSet::accelerators))? {
        tracing::debug!("not loaded: {module} ({cause})");
    }
    Ok(())
}
