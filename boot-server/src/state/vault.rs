//! Secrets of nodes at rest: sealed with a key that is not in the database (ChaCha20-Poly1305, RFC 8439), each for its node,
//! so that none can be put into another node's row.

use crate::base::{
    credentials::{credential, is_credential},
    random,
};
use data_encoding::BASE64;
use host::file;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    names::NodeName,
    spec::FileSpec,
};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

/// The key's file, in the server's folder or among the credentials that systemd gives the unit.
pub const KEY_FILE: &str = "secrets.key";
/// What a sealed text begins with.
const VERSION: &str = "v1:";

/// Seals and opens.
pub struct Vault {
    /// The file that the keys are in.
    path: PathBuf,
    /// The first seals; all of them open: the others are of before a rotation.
    keys: RwLock<Vec<Key>>,
}

/// A key, and the line that it stands in.
struct Key {
    line: String,
    key: LessSafeKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({} keys)", self.read().len())
    }
}

/// Where the key of a server's folder is.
pub fn key_path(dir: &Path) -> PathBuf {
    credential(KEY_FILE).unwrap_or_else(|| dir.join(KEY_FILE))
}

impl Vault {
    /// The vault of a folder; none where it has no key.
    ///
    /// # Errors
    /// `E-CONFIG` for a file that holds no key.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let path = key_path(dir);
        // One that cannot be looked at is not none: what is sealed would be taken for lost.
        if path.try_exists().is_ok_and(|exists| !exists) {
            return Ok(None);
        }
        let wrong = || {
            Failure::new(
                Code::Config,
                format!("reading {}: a line is 32 bytes in base64, and there is one at least", path.display()),
            )
            .with_remedy("bring the file back from a backup")
        };
        let text = file::read_text(&path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<Key>> = lines.map(key).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(wrong)?;
        Ok(Some(Self { path, keys: RwLock::new(keys) }))
    }

    /// Makes a key for a folder that has none.
    ///
    /// # Errors
    /// `E-SYSTEM` where it cannot be written.
    pub fn make(dir: &Path) -> Result<Self> {
        let path = dir.join(KEY_FILE);
        let line = BASE64.encode(&random::bytes::<32>()?);
        file::write_new(&path, 0o600, (line.clone() + "\n").as_bytes())?;
        Ok(Self { path, keys: RwLock::new(key(&line).into_iter().collect()) })
    }

    /// Draws a key that seals from now on; those before it go on opening. It is in the file first.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where the file is a credential; `E-SYSTEM`.
    pub fn begin_anew(&self) -> Result<()> {
        if is_credential(&self.path) {
            let cause = "drawing the next key of the secrets: it is a systemd credential";
            return Err(Failure::new(Code::WrongState, cause).with_remedy(
                "put a new line of 32 bytes in base64 before the old one in the credential and restart the server: what is \
                 applied or set from then on is sealed with it",
            ));
        }
        let line = BASE64.encode(&random::bytes::<32>()?);
        let new = key(&line).ok_or_else(|| Failure::new(Code::Internal, "drawing the next key of the secrets"))?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let lines = std::iter::once(line.as_str()).chain(keys.iter().map(|key| key.line.as_str()));
        self.write(lines)?;
        keys.insert(0, new);
        Ok(())
    }

    /// Forgets every key but the one that seals: nothing is sealed with them any more.
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub fn forget_earlier(&self) -> Result<()> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        self.write(keys.iter().take(1).map(|key| key.line.as_str()))?;
        keys.truncate(1);
        Ok(())
    }

    fn write<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Result<()> {
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        file::write_atomically(&self.path, text.as_bytes(), 0o600)
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secrets of a node, as they are kept; none where it has none.
    ///
    /// # Errors
    /// `E-INTERNAL`, `E-SYSTEM`.
    pub fn seal(&self, node: &NodeName, secrets: &[FileSpec]) -> Result<Option<String>> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let sealing = || format!("sealing the secrets of node {node}");
        let mut text = serde_json::to_vec(secrets).or_fail(Code::Internal, sealing)?;
        let nonce = random::bytes::<NONCE_LEN>()?;
        let unsealed = || Failure::new(Code::Internal, sealing());
        let keys = self.read();
        let Key { key, .. } = keys.first().ok_or_else(unsealed)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(node), &mut text)
            .map_err(|_| unsealed())?;
        Ok(Some(format!("{VERSION}{}", BASE64.encode(&[&nonce[..], &text].concat()))))
    }

    /// What [`Vault::seal`] made.
    ///
    /// # Errors
    /// `E-CONFIG` where no key of the vault opens it.
    pub fn unseal(&self, node: &NodeName, sealed: &str) -> Result<Vec<FileSpec>> {
        let refused = || {
            Failure::new(Code::Config, format!("opening the secrets of node {node}: they were sealed with another key"))
                .with_remedy("bring secrets.key back from the backup of this server")
        };
        let bytes = sealed.strip_prefix(VERSION).and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let bytes = bytes.filter(|bytes| bytes.len() > NONCE_LEN).ok_or_else(refused)?;
        let (nonce, text) = bytes.split_at(NONCE_LEN);
        let opened = self.read().iter().find_map(|Key { key, .. }| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            key.open_in_place(nonce, aad(node), &mut text).ok().map(|plain| plain.to_vec())
        });
        serde_json::from_slice(&opened.ok_or_else(refused)?)
            .or_fail(Code::Internal, || format!("reading the secrets of node {node}"))
    }
}

fn key(line: &str) -> Option<Key> {
    let bytes = BASE64.decode(line.as_bytes()).ok()?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok().map(LessSafeKey::new)?;
    Some(Key { line: line.to_owned(), key })
}

fn aad(node: &NodeName) -> Aad<String> {
    Aad::from(format!("centra secrets/1\n{node}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn secret(content: &str) -> Vec<FileSpec> {
        vec![FileSpec { path: "/etc/nixos/secrets/x".into(), mode: "0400".into(), content: content.into() }]
    }

    #[test]
    fn what_is_sealed_for_a_node_opens_for_it_alone_and_with_its_key_alone() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(Vault::open(one.path()).unwrap().is_none());
        let vault = Vault::make(one.path()).unwrap();
        let sealed = vault.seal(&node("n1"), &secret("hunter2")).unwrap().unwrap();
        assert!(!sealed.contains("hunter2") && sealed != vault.seal(&node("n1"), &secret("hunter2")).unwrap().unwrap());
        let again = Vault::open(one.path()).unwrap().unwrap();
        assert_eq!(again.unseal(&node("n1"), &sealed).unwrap(), secret("hunter2"));
        assert_eq!(again.unseal(&node("n2"), &sealed).unwrap_err().code, Code::Config);
        let foreign = Vault::make(other.path()).unwrap();
        let failure = foreign.unseal(&node("n1"), &sealed).unwrap_err();
        assert!(failure.code == Code::Config && failure.remedy.contains("secrets.key"), "{failure}");
        // After a rotation the first line seals, and the others still open.
        let read = |dir: &Path| std::fs::read_to_string(dir.join(KEY_FILE)).unwrap();
        std::fs::write(other.path().join(KEY_FILE), read(other.path()) + &read(one.path())).unwrap();
        let rotated = Vault::open(other.path()).unwrap().unwrap();
        assert_eq!(rotated.unseal(&node("n1"), &sealed).unwrap(), secret("hunter2"));
        assert!(again.unseal(&node("n1"), &rotated.seal(&node("n1"), &secret("x")).unwrap().unwrap()).is_err());
        assert_eq!(vault.seal(&node("n1"), &[]).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "\n", "short", "AAAA\n"] {
            std::fs::write(dir.path().join(KEY_FILE), text).unwrap();
            let failure = Vault::open(dir.path()).unwrap_err();
            assert!(failure.code == Code::Config && failure.cause.contains(KEY_FILE), "{failure}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_changed_in_what_is_sealed_does_not_open(text in "\\PC{0,40}", at: usize) {
            let dir = tempfile::tempdir().unwrap();
            let vault = Vault::make(dir.path()).unwrap();
            let mut sealed = vault.seal(&node("n1"), &secret(&text)).unwrap().unwrap().into_bytes();
            let at = at % sealed.len();
            sealed[at] = if sealed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(sealed).unwrap();
            prop_assert!(vault.unseal(&node("n1"), &changed).is_err());
            prop_assert!(vault.unseal(&node("n1"), &text).is_err());
        }
    }
}
