//! Secrets of a node that are kept apart from its spec.

use crate::{Timestamp, content::Content};
use serde::{Deserialize, Serialize};

/// Where secrets lie on a node; what is elsewhere can only be the key of a device, and is not written.
pub const FOLDER: &str = "/etc/nixos/secrets/";
/// Bytes of one.
pub const MOST_BYTES: usize = 64 << 10;

/// `POST /v1/nodes/NAME/secrets`. No `Debug`: it is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    /// Absolute path on the node.
    pub path: String,
    /// Octal: `"0400"`.
    pub mode: String,
    /// What it is to be.
    pub value: SecretValue,
    /// One that is drawn may take the place of another; one that is given always does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
}

/// What became of a secret that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKept {
    /// Whether there was another one at its path.
    #[serde(default)]
    pub replaced: bool,
}

/// What a secret is to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretValue {
    /// This.
    Given(Content),
    /// So many random bytes, in base64 without a newline: the server draws them, and no person sees them.
    Made(u16),
}

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The node's spec.
    Spec,
    /// `boot-server secret set`.
    Given,
    /// `boot-server secret generate`.
    Made,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Origin::Spec => "its spec",
            Origin::Given => "secret set",
            Origin::Made => "secret generate",
        })
    }
}

/// What is known of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSummary {
    /// Absolute path on the node.
    pub path: String,
    /// Octal.
    pub mode: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who set it, where it is none of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub set: Option<Timestamp>,
}

/// What sealing anew came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAnew {
    /// Nodes that have secrets.
    pub nodes: usize,
}
