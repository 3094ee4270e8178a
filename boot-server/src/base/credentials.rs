//! Credentials that systemd gives the unit (systemd.exec(5), "CREDENTIALS").

use std::{
    env,
    path::{Path, PathBuf},
};

fn folder() -> Option<PathBuf> {
    env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// The file of the credential of this name, where the unit was given it. One that cannot be looked at is there: whoever reads it says
/// why it cannot be.
pub fn credential(name: &str) -> Option<PathBuf> {
    folder().map(|folder| folder.join(name)).filter(|path| path.try_exists().unwrap_or(true))
}

/// Whether the file is a credential, which whoever gives it changes.
pub fn is_credential(path: &Path) -> bool {
    folder().is_some_and(|folder| path.starts_with(folder))
}
