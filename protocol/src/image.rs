//! The index that image-builder writes and the boot-server serves from.

use crate::{encoding::Sha256, names::NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `DIR/PROFILE.json`; the bytes of an artefact are in `DIR/blobs/SHA256`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageIndex {
    /// 1.
    pub format: u32,
    /// The profile the image serves.
    pub profile: NodeName,
    /// Release of the kernel, `uname -r`.
    pub kernel: String,
    /// Release of the agent inside.
    pub agent_version: String,
    /// By file name: `bzImage`, `initrd`.
    pub artefacts: BTreeMap<String, Artefact>,
}

/// A file by content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Of the content; the blob's name.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}
