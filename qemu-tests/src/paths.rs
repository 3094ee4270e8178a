//! Where the binaries, the caches and the sources of this crate are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// `$CARGO_TARGET_DIR`, or `target` of the workspace.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// What is dear to make and good for many runs: `$CENTRA_CACHE`, or `target/qemu-cache`.
///
/// # Errors
/// The folder cannot be made.
pub fn cache() -> Result<PathBuf> {
    let dir = std::env::var_os("CENTRA_CACHE").map_or_else(|| target().join("qemu-cache"), PathBuf::from);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    dir.canonicalize().with_context(|| format!("resolving {}", dir.display()))
}

/// A binary of this workspace, from `$CENTRA_BIN_DIR` or the build that the calling program is of.
///
/// # Errors
/// It is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let dir = std::env::var_os("CENTRA_BIN_DIR").map_or_else(of_this_build, |dir| Ok(PathBuf::from(dir)))?;
    let path = dir.join(name);
    if !path.is_file() {
        bail!("{} is not there: build the workspace with the same profile, or set CENTRA_BIN_DIR", path.display());
    }
    path.canonicalize().with_context(|| format!("resolving {}", path.display()))
}

/// Programs lie in the folder of their profile, tests in `deps` of it.
fn of_this_build() -> Result<PathBuf> {
    let own = std::env::current_exe().context("asking for this program's own path")?;
    let dir = own.parent().context("a program lies in a folder")?;
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir }.to_owned())
}
