//! Small files: whole or absent, whatever happens to the power.

use protocol::{Code, failure::OrFail, failure::Result};
use std::{
    fs::{self, DirBuilder, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Replaces `path` by `bytes` in one step; what was there stays until the new content is on the disk.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode).or_fail(Code::System, || format!("writing {}", path.display()))
}

/// Removes a file, where it is there.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.or_fail(Code::System, || format!("removing {}", path.display())),
    }
}

/// Reads a text file.
///
/// # Errors
/// `E-CONFIG` with the path.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).or_fail(Code::Config, || format!("reading {}", path.display()))
}

/// Writes a file that must not exist yet, with these rights from its first byte on.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn write_new(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let activity = || format!("writing {}", path.display());
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).or_fail(Code::System, activity)?;
    file.write_all(content).or_fail(Code::System, activity)?;
    file.sync_all().or_fail(Code::System, activity)
}

/// Copies a file to one that must not exist yet, as [`write_new`].
///
/// # Errors
/// `E-SYSTEM` with the paths.
pub fn copy_new(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let activity = || format!("copying {} to {}", from.display(), to.display());
    let mut source = fs::File::open(from).or_fail(Code::System, activity)?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(to).or_fail(Code::System, activity)?;
    std::io::copy(&mut source, &mut file).or_fail(Code::System, activity)?;
    file.sync_all().or_fail(Code::System, activity)
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

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    // A leftover of an interrupted write may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_even_over_the_rest_of_an_interrupted_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state");
        write_atomically(&path, b"one", 0o600).unwrap();
        fs::write(folder.path().join("deep/state.new"), "torn").unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }
}
