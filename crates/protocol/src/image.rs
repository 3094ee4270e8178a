//! The index that image-builder writes and the boot-server serves from.

use crate::{artefact::Artefact, encoding::Sha256, names::NodeName, overlay::OverlayList};
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
    /// The roots that the agent inside pins; empty where the image was built by an earlier release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ca_spki_sha256: Vec<Sha256>,
    /// By file name: `bzImage`, `initrd`.
    pub artefacts: BTreeMap<String, Artefact>,
    /// The tool overlays that belong to the initrd, which lists the same.
    #[serde(default, skip_serializing_if = "OverlayList::is_empty")]
    pub overlays: OverlayList,
}

impl ImageIndex {
    /// Every blob that the image needs, booting and afterwards.
    pub fn blobs(&self) -> impl Iterator<Item = &Artefact> {
        self.artefacts.values().chain(self.overlays.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_from_before_there_were_overlays_is_read() {
        let old = r#"{"format":1,"profile":"vm","kernel":"6.1","agent_version":"1","artefacts":{}}"#;
        let index: ImageIndex = serde_json::from_str(old).unwrap();
        assert!(index.overlays.is_empty());
        assert_eq!(serde_json::to_string(&index).unwrap(), old);
    }
}
