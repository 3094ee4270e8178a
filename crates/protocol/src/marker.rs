//! What an installation leaves on the disk about itself.

use crate::{
    Timestamp,
    encoding::Sha256,
    names::{NodeName, RunId, StorePath},
    trust::PublicKey,
};
use serde::{Deserialize, Serialize};

/// `/var/lib/centra/install.json` on the target: written when the root is mounted, sealed at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallMarker {
    /// The node.
    pub node: NodeName,
    /// The generation that this disk carries.
    pub generation: u64,
    /// The run that wrote this.
    pub run: RunId,
    /// How far it came.
    pub state: MarkerState,
    /// The system.
    pub toplevel: StorePath,
    /// `https://HOST:PORT` of the boot-server, for the first-boot report.
    pub server: String,
    /// The pins of the image that installed.
    pub ca_spki_sha256: Vec<Sha256>,
    /// The manifest keys of that image: whose answer to hello is believed.
    #[serde(default)]
    pub manifest_keys: Vec<PublicKey>,
    /// Written then.
    #[serde(with = "time::serde::rfc3339")]
    pub written: Timestamp,
}

/// How far an installation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkerState {
    /// Under way, or interrupted.
    Installing,
    /// Complete; the generation is used up.
    Installed,
}

/// Path of the marker below the root of the target.
pub const MARKER_PATH: &str = "var/lib/centra/install.json";
