//! What this node is to believe: the boot-server's roots, who may sign manifests, which certificates are good for nothing any
//! more (docs/design.md section 4).

use super::{Settings, handover, in_time};
use crate::{boot::identity::nonce, boot_server::BootServer};
use host::{
    certificate::{self, Certificate},
    file,
    http::{self, pem},
};
use join::{
    credentials::Paths,
    renewal::{self, Pair},
    revocation,
};
use protocol::{
    Code, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
    marker::InstallMarker,
    trust::{Believed, TrustAnchors},
};
use rustls::pki_types::CertificateDer;
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Whether the node's certificate is of the root under which certificates are issued now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// It is.
    TheSameRoot,
    /// It is of another one: it is to be renewed whatever is left of it.
    AnotherRoot,
}

/// What the marker says that this node believes.
pub fn anchors(marker: &InstallMarker) -> TrustAnchors {
    TrustAnchors {
        ca_spki_sha256: marker.ca_spki_sha256.clone(),
        manifest_keys: marker.manifest_keys.clone(),
        earlier_ca_spki_sha256: vec![],
        build_time: None,
    }
}

/// Asks what to believe, and does: files first, then the services that read them when they start, then the marker. What was
/// interrupted is done again, as the server is told only at the end what this node believes.
///
/// # Errors
/// Those of the call; `E-PROTOCOL` for an answer that nobody could believe; `E-SYSTEM`; `E-TOOL` where the hook failed.
pub async fn learn(
    settings: &Settings,
    marker: &mut InstallMarker,
    shown: http::Identity,
    own: &Pair,
    ends: Timestamp,
) -> Result<Under> {
    let issued_under = root_of(&shown.chain, &settings.secrets_dir.join("ca.crt"));
    let server = BootServer::new(&marker.server, &anchors(marker), Some(shown))?;
    let believed = believed(marker, issued_under)?;
    let (believe, roots) = in_time(server.trust(&believed)).await?;
    let pins = roots.iter().filter_map(|root| certificate::spki(root)).collect();
    let unfinished = handover::note(&settings.marker, handover::ROOTS);
    let files = root_files(settings);
    let others = files.iter().any(|path| set_of(path) != roots.iter().cloned().collect());
    if others {
        file::write_atomically(&unfinished, b"", 0o600)?;
    }
    for path in &files {
        let text = pem::encode(&roots);
        if fs::read_to_string(path).ok().as_ref() != Some(&text) {
            renewal::replace(path, &text)?;
        }
        renewal::replace(&path.with_file_name(revocation::FILE), &believe.revoked)?;
    }
    if unfinished.exists() {
        let anchors = anchors(marker);
        settings.handover.roots(&settings.marker, marker, &anchors, own, ends).await?;
    }
    let learnt = InstallMarker { ca_spki_sha256: pins, manifest_keys: believe.manifest_keys, ..marker.clone() };
    if learnt != *marker {
        let text = serde_json::to_vec_pretty(&learnt).or_fail(Code::Internal, || "writing the marker")?;
        file::write_atomically(&settings.marker, &text, 0o644)?;
        *marker = learnt;
        tracing::info!("this node has learnt what the boot-server's roots and manifest keys are now");
        in_time(server.trust(&self::believed(marker, issued_under)?)).await?;
    }
    let current = marker.ca_spki_sha256.first().copied();
    let same = issued_under.is_none() || issued_under == current;
    Ok(if same { Under::TheSameRoot } else { Under::AnotherRoot })
}

/// The root of a chain: its last certificate, or the one of the node's own file that issued that.
fn root_of(chain: &[CertificateDer<'_>], roots: &Path) -> Option<Sha256> {
    let last = Certificate::read(chain.last()?).ok()?;
    if last.is_self_issued() {
        return Some(last.spki);
    }
    let roots = pem::certificates(roots).ok()?;
    roots
        .iter()
        .filter_map(|root| Certificate::read(root).ok())
        .find(|root| root.subject == last.issuer)
        .map(|root| root.spki)
}

fn believed(marker: &InstallMarker, issued_under: Option<Sha256>) -> Result<Believed> {
    Ok(Believed {
        ca_spki_sha256: marker.ca_spki_sha256.clone(),
        manifest_keys: marker.manifest_keys.clone(),
        issued_under,
        nonce: nonce()?,
    })
}

/// The node's own file, and the cluster's where that has the same roots.
fn root_files(settings: &Settings) -> Vec<PathBuf> {
    let real = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
    let own = real(settings.secrets_dir.join("ca.crt"));
    let mut files = vec![own.clone()];
    if let Some(config) = &settings.cluster {
        let ca = real(Paths::of(config, &settings.secrets_dir).ca);
        if ca != own && !set_of(&ca).is_disjoint(&set_of(&own)) {
            files.push(ca);
        }
    }
    files
}

fn set_of(path: &Path) -> HashSet<CertificateDer<'static>> {
    pem::certificates(path).unwrap_or_default().into_iter().collect()
}
