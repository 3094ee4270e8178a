//! Small files of an init folder.

use protocol::{
    Code,
    failure::{OrFail, Result},
};
use std::{
    fs::{DirBuilder, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Reads a text file.
///
/// # Errors
/// `E-CONFIG` with the path.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).or_fail(Code::Config, || format!("reading {}", path.display()))
}

/// Writes a file that must not exist yet, with these rights from its first byte on.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let activity = || format!("writing {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .or_fail(Code::System, activity)?;
    file.write_all(content).or_fail(Code::System, activity)?;
    file.sync_all().or_fail(Code::System, activity)
}

/// Copies a file to one that must not exist yet, as [`write_new`].
///
/// # Errors
/// `E-SYSTEM` with the paths.
pub fn copy_new(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let activity = || format!("copying {} to {}", from.display(), to.display());
    let mut source = std::fs::File::open(from).or_fail(Code::System, activity)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(to).or_fail(Code::System, activity)?;
    std::io::copy(&mut source, &mut file).or_fail(Code::System, activity)?;
    file.sync_all().or_fail(Code::System, activity)
}

/// Replaces a file as a whole.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let activity = || format!("writing {}", path.display());
    let beside = path.with_extension("new");
    std::fs::write(&beside, content).or_fail(Code::System, activity)?;
    std::fs::rename(&beside, path).or_fail(Code::System, activity)
}

/// Makes a folder for its owner alone (0700); it must be new unless `may_exist`.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn make_private(path: &Path, may_exist: bool) -> Result<()> {
    let activity = || format!("making the folder {}", path.display());
    if may_exist && path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).recursive(may_exist).create(path).or_fail(Code::System, activity)
}

/// Has a file, or the names in a folder, survive a power cut.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn sync(path: &Path) -> Result<()> {
    let activity = || format!("syncing {}", path.display());
    File::open(path).or_fail(Code::System, activity)?.sync_all().or_fail(Code::System, activity)
}
