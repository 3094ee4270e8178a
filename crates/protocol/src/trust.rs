//! What is baked into every initrd, the same for all nodes, none of it secret.

use crate::{Timestamp, encoding::Sha256};
use serde::{Deserialize, Serialize};

/// `/etc/centra/trust.json` in the initrd, `trust.json` beside the boot-server's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustAnchors {
    /// SHA-256 of the DER SubjectPublicKeyInfo of the CA: the current one and, while it is rotated, the next.
    pub ca_spki_sha256: Vec<Sha256>,
    /// Ed25519 public keys (32 bytes, base64) that may sign a manifest.
    pub manifest_keys: Vec<PublicKey>,
    /// The image was built then: a floor for the clock.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub build_time: Option<Timestamp>,
}

/// Stands in the boot-server's own certificate, as a URI, and in no node's.
pub const SERVER_ROLE: &str = "centra:boot-server";

/// An Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(#[serde(with = "crate::encoding::base64")] pub Vec<u8>);
