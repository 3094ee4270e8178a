//! The signed instructions for one node, one generation.

use crate::{
    Timestamp,
    encoding::{self, Sha256},
    names::{NodeName, RunId},
    spec::{Boot, Disks, FileSpec, NodeKey, System},
};
use serde::{Deserialize, Serialize};

/// Asks for the manifest; the nonce comes back inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRequest {
    /// Fresh, of [`crate::enrol::NONCE_BYTES`].
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
    /// The run that asks.
    pub run: RunId,
}

/// The manifest as it travels: the signature covers exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedManifest {
    /// JSON of a [`Manifest`].
    #[serde(with = "encoding::base64")]
    pub payload: Vec<u8>,
    /// Ed25519 by the manifest key over [`statement`].
    #[serde(with = "encoding::base64")]
    pub signature: Vec<u8>,
}

/// The bytes that the signature covers: a prefix keeps it from being taken for another kind of statement.
pub fn statement(payload: &[u8]) -> Vec<u8> {
    [b"centra manifest/1\n".as_slice(), payload].concat()
}

/// What one node is to do in one generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The node this is for.
    pub node: NodeName,
    /// Its host name.
    pub hostname: String,
    /// Permits one installation; used up by it.
    pub generation: u64,
    /// SHA-256 of the node's SubjectPublicKeyInfo.
    pub node_key: Sha256,
    /// The nonce of the request.
    #[serde(with = "encoding::base64")]
    pub nonce: Vec<u8>,
    /// Signed then.
    #[serde(with = "time::serde::rfc3339")]
    pub issued: Timestamp,
    /// Not to be followed after.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: Timestamp,
    /// The system to install.
    pub system: System,
    /// The disks.
    pub disks: Disks,
    /// Files to write; secrets come over their own route.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// Boot order.
    #[serde(default)]
    pub boot: Boot,
    /// What is to become of the node's disks.
    #[serde(default)]
    pub purpose: Purpose,
    /// How the node's key is kept.
    #[serde(default)]
    pub key_kept: NodeKey,
}

/// What a manifest is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Install the system.
    #[default]
    Install,
    /// Wipe the disks of the layout that no wipe policy keeps, and power off: the node is retired.
    Wipe,
}

/// What only this node may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretBundle {
    /// The generation the secrets were given out for.
    pub generation: u64,
    /// cluster-config.json among them.
    pub files: Vec<FileSpec>,
}

/// Why a manifest is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Made for another key.
    OtherKey,
    /// Not an answer to this request.
    Replayed,
    /// Its time is over, or has not come.
    Expired,
    /// An older generation than one that this disk has seen.
    OlderGeneration,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::OtherKey => "it is bound to another node's key",
            Refusal::Replayed => "its nonce is not the one this run sent",
            Refusal::Expired => "it is not valid at this time",
            Refusal::OlderGeneration => "its generation is older than the one this machine has seen",
        })
    }
}

impl Manifest {
    /// Checks everything that the signature does not: key, nonce, time, generation.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn check(
        &self,
        key: &Sha256,
        nonce: &[u8],
        now: Timestamp,
        seen_generation: Option<u64>,
    ) -> Result<(), Refusal> {
        let slack = time::Duration::minutes(5);
        if self.node_key != *key {
            return Err(Refusal::OtherKey);
        }
        if self.nonce != nonce {
            return Err(Refusal::Replayed);
        }
        if now > self.expires || self.issued - now > slack {
            return Err(Refusal::Expired);
        }
        if seen_generation.is_some_and(|seen| self.generation < seen) {
            return Err(Refusal::OlderGeneration);
        }
        Ok(())
    }
}
