//! What is baked into every initrd, the same for all nodes, none of it secret.

use crate::{
    Timestamp,
    encoding::{self, Sha256},
};
use serde::{Deserialize, Serialize};

/// `/etc/centra/trust.json` in the initrd, `trust.json` beside the boot-server's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustAnchors {
    /// SHA-256 of the DER SubjectPublicKeyInfo of the CA: the current one and, while it is rotated, the next.
    pub ca_spki_sha256: Vec<Sha256>,
    /// Ed25519 public keys (32 bytes, base64) that may sign a manifest.
    pub manifest_keys: Vec<PublicKey>,
    /// Roots that went before, which nobody believes any more: disks of their time are the site's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_ca_spki_sha256: Vec<Sha256>,
    /// The image was built then: a floor for the clock.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub build_time: Option<Timestamp>,
}

/// Roots, or manifest keys, that anybody believes at once; who is told of more refuses.
pub const MOST_BELIEVED: usize = 16;

/// `POST /v1/node/trust`: what the node believes now. What the server hears decides when a rotation may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Believed {
    /// As [`TrustAnchors::ca_spki_sha256`].
    pub ca_spki_sha256: Vec<Sha256>,
    /// As [`TrustAnchors::manifest_keys`].
    pub manifest_keys: Vec<PublicKey>,
    /// The root that the node's own certificate leads to.
    pub issued_under: Option<Sha256>,
    /// 32 random bytes: the answer is to this request.
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
}

/// The answer: what it is to believe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Believe {
    /// Roots, PEM: the one under which certificates are issued first.
    pub roots: String,
    /// As [`TrustAnchors::manifest_keys`].
    pub manifest_keys: Vec<PublicKey>,
    /// Certificates that are good for nothing any more: a CRL, PEM.
    pub revoked: String,
    /// Ed25519 by the manifest key over [`Believe::statement`]: who has an issuing key alone moves no node to another root.
    #[serde(with = "encoding::base64")]
    pub signature: Vec<u8>,
}

impl Believe {
    /// The bytes that the server signs, to a request with this nonce.
    pub fn statement(&self, nonce: &[u8]) -> Vec<u8> {
        let keys: Vec<u8> = self.manifest_keys.iter().flat_map(|key| Sha256::of(&key.0).hex().into_bytes()).collect();
        let mut statement = b"centra believe/1\n".to_vec();
        for part in [nonce, self.roots.as_bytes(), &keys, self.revoked.as_bytes()] {
            statement.extend_from_slice(Sha256::of(part).hex().as_bytes());
            statement.push(b'\n');
        }
        statement
    }
}

/// Stands in the boot-server's own certificate, as a URI, and in no node's.
pub const SERVER_ROLE: &str = "centra:boot-server";

impl TrustAnchors {
    /// Whose disks are the site's own: those of the current root, of the next one and of all that went before.
    pub fn sites(&self) -> Vec<Sha256> {
        [self.ca_spki_sha256.as_slice(), self.earlier_ca_spki_sha256.as_slice()].concat()
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(#[serde(with = "crate::encoding::base64")] pub Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_covers_every_part_and_the_request() {
        let believe = |roots: &str, keys: &[u8], revoked: &str| Believe {
            roots: roots.into(),
            manifest_keys: keys.iter().map(|key| PublicKey(vec![*key; 32])).collect(),
            revoked: revoked.into(),
            signature: vec![],
        };
        let one = believe("a", &[1], "b").statement(b"n");
        for other in [
            believe("x", &[1], "b").statement(b"n"),
            believe("a", &[2], "b").statement(b"n"),
            believe("a", &[1, 2], "b").statement(b"n"),
            believe("a", &[1], "x").statement(b"n"),
            believe("a", &[1], "b").statement(b"x"),
        ] {
            assert_ne!(one, other);
        }
    }
}
