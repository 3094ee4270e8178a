//! Files of the state folder: whole or absent, whatever happens to the power.

use protocol::{Code, failure::OrFail, failure::Result};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

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
