//! Whom images and nodes believe: a root with the key that signs manifests, the ones that come after and went before them.

use super::{
    folder::{self, ANCHORS, NEXT, OLD, ROOT},
    manifest::ManifestKey,
};
use host::{certificate, file, http::pem};
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::Result,
    parse,
    trust::{PublicKey, TrustAnchors},
};
use rustls::pki_types::CertificateDer;
use std::path::Path;

/// A root with the key that signs manifests beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The root.
    pub root: CertificateDer<'static>,
    /// Its key's hash.
    pub spki: Sha256,
    /// Who may sign manifests.
    pub manifest_key: PublicKey,
}

/// What is believed: the current generation first.
///
/// # Errors
/// `E-CONFIG` with the path.
pub fn generations(dir: &Path) -> Result<Vec<Generation>> {
    let mut all = vec![generation(&folder::current(dir))?];
    for name in [NEXT, OLD] {
        if dir.join(name).exists() {
            let one = generation(&dir.join(name))?;
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    Ok(all)
}

/// The one of a folder.
///
/// # Errors
/// `E-CONFIG` with the path.
pub fn generation(dir: &Path) -> Result<Generation> {
    let root =
        pem::certificates(&dir.join(ROOT)).map_err(|failure| Failure { code: Code::Config, ..failure })?.remove(0);
    let none = || Failure::new(Code::Config, format!("reading {}: it is no certificate", dir.join(ROOT).display()));
    let spki = certificate::spki(&root).ok_or_else(none)?;
    Ok(Generation { root, spki, manifest_key: ManifestKey::load(dir)?.public() })
}

/// What images believe, as it was written last.
///
/// # Errors
/// `E-CONFIG` where it cannot be read.
pub fn anchors(dir: &Path) -> Result<Option<TrustAnchors>> {
    let path = dir.join(ANCHORS);
    if !path.exists() {
        return Ok(None);
    }
    let read = parse::json(&path.display().to_string(), file::read_text(&path)?.as_bytes());
    read.map(Some).map_err(|failure| Failure { code: Code::Config, ..failure })
}
