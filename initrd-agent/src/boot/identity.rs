//! The key that is who this node is: made here, or found on the disk of an earlier installation.

use crate::boot::trace_of_install;
use host::{file, http};
use protocol::{
    Code, Failure, encoding::Sha256, failure::OrFail, failure::Result, marker::InstallMarker, trust::TrustAnchors,
};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{path::Path, time::Duration};

/// Disks that come late are looked for so often.
const LOOK: Duration = Duration::from_secs(2);

/// The node's key with its signing request.
pub struct Identity {
    key: KeyPair,
    /// The certificate signing request, DER. Only its key matters to the server.
    pub csr: Vec<u8>,
    /// What an earlier installation left on the disk, with whose key this is the same node.
    pub found: Option<InstallMarker>,
}

impl Identity {
    /// The key of an earlier installation under the same trust anchors, else the one that was made since this machine was
    /// powered on, else a new one, which is kept in memory in `kept`: an agent that ended and was started again is the same node.
    ///
    /// # Errors
    /// `E-INTERNAL` where no key can be made; `E-SYSTEM` where it cannot be kept.
    pub fn find_or_make(anchors: &TrustAnchors, kept: &Path) -> Result<Self> {
        if let Some(found) = Self::find(anchors)? {
            return Ok(found);
        }
        if kept.exists() {
            return Self::from_pem(&file::read_text(kept)?);
        }
        let made = Self::make()?;
        file::write_new(kept, 0o600, made.key_pem().as_bytes())?;
        Ok(made)
    }

    /// The key of an earlier installation under the same trust anchors.
    ///
    /// # Errors
    /// `E-INTERNAL` where no request can be made for it.
    pub fn find(anchors: &TrustAnchors) -> Result<Option<Self>> {
        for trace in trace_of_install::find() {
            let ours = trace.marker.ca_spki_sha256.iter().any(|pin| anchors.sites().contains(pin));
            match KeyPair::from_pem(&trace.key) {
                Ok(key) if ours => return Self::with_key(key, Some(trace.marker)).map(Some),
                Ok(_) => tracing::info!("leaving the key of {} alone: it belongs to another CA", trace.marker.node),
                Err(error) => tracing::warn!("reading the key of {}: {error}", trace.marker.node),
            }
        }
        Ok(None)
    }

    /// The key of an earlier installation on a disk that comes late: controllers show theirs up to a minute after their driver
    /// was loaded. Never ends where none comes.
    pub async fn comes_late(anchors: &TrustAnchors) -> Self {
        // None: what has come since the key was looked for first is looked at as well.
        let mut known = (Vec::new(), false);
        loop {
            tokio::time::sleep(LOOK).await;
            // A key that is closed needs the chip, which may come late as well.
            let now = (trace_of_install::partitions(), Path::new(tpm::DEVICE).exists());
            if now != known
                && let Ok(Some(found)) = Self::find(anchors)
            {
                return found;
            }
            known = now;
        }
    }

    /// A new key.
    ///
    /// # Errors
    /// `E-INTERNAL` where none can be made.
    pub fn make() -> Result<Self> {
        Self::with_key(KeyPair::generate().or_fail(Code::Internal, || "making the node's key")?, None)
    }

    /// The key that the installed system has, PEM.
    ///
    /// # Errors
    /// `E-TLS` where it cannot be read.
    pub fn from_pem(text: &str) -> Result<Self> {
        Self::with_key(KeyPair::from_pem(text).or_fail(Code::Tls, || "reading the node's key")?, None)
    }

    fn with_key(key: KeyPair, found: Option<InstallMarker>) -> Result<Self> {
        let making = || "making the signing request";
        let params = CertificateParams::new(Vec::new()).or_fail(Code::Internal, making)?;
        let csr = params.serialize_request(&key).or_fail(Code::Internal, making)?.der().to_vec();
        Ok(Self { key, csr, found })
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo: who this node is.
    pub fn spki(&self) -> Sha256 {
        Sha256::of(&self.key.subject_public_key_info())
    }

    /// The key in PEM (PKCS#8), for the installed system. Secret.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The client side of mTLS with a certificate chain in PEM.
    ///
    /// # Errors
    /// `E-PROTOCOL` where the server's chain cannot be read.
    pub fn for_tls(&self, chain: &str) -> Result<http::Identity> {
        let unreadable = |text: String| Failure::new(Code::Protocol, format!("reading the certificate: {text}"));
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| unreadable(error.to_string()))?;
        if chain.is_empty() {
            return Err(unreadable("there is none".to_owned()));
        }
        let key = PrivateKeyDer::try_from(self.key.serialize_der());
        Ok(http::Identity { chain, key: key.map_err(|error| unreadable(error.to_owned()))? })
    }
}

/// Random bytes for a nonce.
///
/// # Errors
/// `E-INTERNAL` where the kernel has none.
pub fn nonce() -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; protocol::enrol::NONCE_BYTES];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| Failure::new(Code::Internal, "drawing a nonce: the kernel has no random bytes"))?;
    Ok(bytes)
}
