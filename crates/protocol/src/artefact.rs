//! A file that the boot-server hands out by its content.

use crate::encoding::Sha256;
use serde::{Deserialize, Serialize};

/// A file by content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Of the content; the blob's name.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
}
