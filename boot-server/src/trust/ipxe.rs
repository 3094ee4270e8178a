//! A root of RSA beside the CA, and the server's key under it: for an iPXE that fetches over HTTPS and reads RSA alone. Nobody else
//! is shown it, and nothing else is issued under it.

use super::{
    ca::{Authority, ServerIdentity, make},
    folder::{self, ROOT, ROOT_KEY, Set},
};
use host::file;
use protocol::{
    Code, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rcgen::KeyPair;
use std::path::{Path, PathBuf};

/// Where it is, in the folder of the server.
pub const FOLDER: &str = "ipxe-trust";
/// The server's key.
const SERVER_KEY: &str = "server.key";

/// What there may be of it, below the server's folder.
pub fn files() -> [String; 3] {
    [ROOT, ROOT_KEY, SERVER_KEY].map(|name| format!("{FOLDER}/{name}"))
}

/// What of it is secret.
pub fn keys() -> [String; 2] {
    [ROOT_KEY, SERVER_KEY].map(|name| format!("{FOLDER}/{name}"))
}

/// The root's certificate, which iPXE is built with.
pub fn root(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join(ROOT)
}

/// Which one there is.
pub fn mark(dir: &Path) -> Option<Sha256> {
    std::fs::read(root(dir)).ok().map(|text| Sha256::of(&text))
}

/// Makes it where there is none; whether it did.
///
/// # Errors
/// `E-WRONG-STATE` where another command changes the folder; `E-INTERNAL`, `E-SYSTEM`.
pub fn make(dir: &Path, now: Timestamp) -> Result<bool> {
    let _lock = folder::lock(dir)?;
    if dir.join(FOLDER).exists() {
        return Ok(false);
    }
    let (root, root_key) = make::rsa_root(now)?;
    let set = Set::default().with(ROOT, root).with(ROOT_KEY, root_key);
    set.with(SERVER_KEY, make::rsa_key()?.serialize_pem()).write(dir, FOLDER)?;
    Ok(true)
}

/// Removes it: who was built with it finds nothing that it trusts. Whether there was one.
///
/// # Errors
/// As [`make`].
pub fn remove(dir: &Path) -> Result<bool> {
    let _lock = folder::lock(dir)?;
    let was = dir.join(FOLDER).exists();
    folder::remove(dir, FOLDER)?;
    Ok(was)
}

/// What the server shows, where there is such a root: a new certificate for its key.
///
/// # Errors
/// `E-CONFIG` where the files cannot be read or do not fit; `E-INTERNAL`.
pub fn identity(dir: &Path, names: &[String], now: Timestamp) -> Result<Option<ServerIdentity>> {
    let folder = dir.join(FOLDER);
    if !folder.exists() {
        return Ok(None);
    }
    let path = folder.join(SERVER_KEY);
    let key =
        KeyPair::from_pem(&file::read_text(&path)?).or_fail(Code::Config, || format!("reading {}", path.display()))?;
    Authority::read(&folder)?.server_identity_of(&key, names, now).map(Some)
}
