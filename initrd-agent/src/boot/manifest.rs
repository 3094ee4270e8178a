//! Gets the manifest and believes it only once everything about it has been checked.

use super::{
    enrol::is_signed,
    identity::{self, Identity},
};
use crate::boot_server::BootServer;
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    manifest::{Manifest, ManifestRequest, SignedManifest, statement},
    marker::InstallMarker,
    names::{NodeName, RunId},
    parse,
    trust::TrustAnchors,
};

/// A manifest that was signed for this node, this key and this request. Only [`fetch`] makes one.
#[derive(Debug, Clone)]
pub struct Verified(Manifest);

impl std::ops::Deref for Verified {
    type Target = Manifest;
    fn deref(&self) -> &Manifest {
        &self.0
    }
}

/// Fetches and verifies the manifest of `node`.
///
/// # Errors
/// `E-MANIFEST-REFUSED`; those of the call (`E-QUARANTINE`, `E-GENERATION-USED`, `E-NO-SPEC` ...).
pub async fn fetch(
    server: &BootServer,
    anchors: &TrustAnchors,
    identity: &Identity,
    node: &NodeName,
    run: RunId,
) -> Result<Verified> {
    let nonce = identity::nonce()?;
    let signed = server.manifest(&ManifestRequest { nonce: nonce.clone(), run }).await?;
    let expected = Expected { anchors, node, key: identity.spki(), nonce: &nonce, seen: identity.found.as_ref() };
    verify(&signed, &expected, Timestamp::now_utc())
}

struct Expected<'a> {
    anchors: &'a TrustAnchors,
    node: &'a NodeName,
    key: Sha256,
    nonce: &'a [u8],
    seen: Option<&'a InstallMarker>,
}

fn verify(signed: &SignedManifest, expected: &Expected<'_>, now: Timestamp) -> Result<Verified> {
    let refused = |why: String| Failure::new(Code::ManifestRefused, format!("checking the manifest: {why}"));
    if !is_signed(expected.anchors, &statement(&signed.payload), &signed.signature) {
        return Err(refused("it is not signed by a manifest key of this image".to_owned()));
    }
    let manifest: Manifest = parse::json("the manifest", &signed.payload)?;
    if manifest.node != *expected.node {
        return Err(refused(format!("it is for {}, and this is {}", manifest.node, expected.node)));
    }
    let seen = expected.seen.filter(|marker| marker.node == manifest.node).map(|marker| marker.generation);
    manifest.check(&expected.key, expected.nonce, now, seen).map_err(|refusal| refused(refusal.to_string()))?;
    Ok(Verified(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{
        manifest::Purpose,
        marker::MarkerState,
        spec::{Boot, Disks, NodeKey, System},
        trust::PublicKey,
    };
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use time::{Duration, macros::datetime};

    const NOW: Timestamp = datetime!(2026-11-21 12:00 UTC);
    const TOPLEVEL: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos";

    fn manifest() -> Manifest {
        Manifest {
            node: "n1".parse().unwrap(),
            hostname: "n1".into(),
            generation: 2,
            node_key: Sha256::of(b"key"),
            nonce: b"nonce".to_vec(),
            issued: NOW,
            expires: NOW + Duration::hours(1),
            system: System { toplevel: TOPLEVEL.parse().unwrap(), substituters: vec![], trusted_public_keys: vec![] },
            disks: Disks { devices: serde_json::json!({}), ..Disks::default() },
            files: vec![],
            boot: Boot::default(),
            purpose: Purpose::Install,
            key_kept: NodeKey::File,
        }
    }

    fn marker(generation: u64) -> InstallMarker {
        InstallMarker {
            node: "n1".parse().unwrap(),
            generation,
            run: "r".parse().unwrap(),
            state: MarkerState::Installed,
            toplevel: TOPLEVEL.parse().unwrap(),
            server: "https://s".into(),
            ca_spki_sha256: vec![],
            manifest_keys: vec![],
            written: NOW,
        }
    }

    fn check(manifest: &Manifest, seed: u8, seen: Option<&InstallMarker>) -> Result<Verified> {
        let trusted = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let signer = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let anchors = TrustAnchors {
            ca_spki_sha256: vec![],
            manifest_keys: vec![PublicKey(trusted.public_key().as_ref().to_vec())],
            earlier_ca_spki_sha256: vec![],
            build_time: None,
        };
        let payload = serde_json::to_vec(manifest).unwrap();
        let signature = signer.sign(&statement(&payload)).as_ref().to_vec();
        let node = "n1".parse().unwrap();
        let expected = Expected { anchors: &anchors, node: &node, key: Sha256::of(b"key"), nonce: b"nonce", seen };
        verify(&SignedManifest { payload, signature }, &expected, NOW)
    }

    #[test]
    fn a_manifest_made_for_this_request_is_believed() {
        assert_eq!(check(&manifest(), 1, Some(&marker(2))).unwrap().generation, 2);
    }

    fn why(manifest: &Manifest, seed: u8, seen: Option<&InstallMarker>) -> String {
        let failure = check(manifest, seed, seen).unwrap_err();
        assert_eq!(failure.code, Code::ManifestRefused);
        failure.cause
    }

    /// Why one is refused that differs from what is believed by this alone.
    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut changed = manifest();
        change(&mut changed);
        why(&changed, 1, None)
    }

    #[test]
    fn a_manifest_that_answered_another_request_is_refused() {
        assert!(refused(|manifest| manifest.nonce = b"replayed".to_vec()).contains("nonce"));
    }

    #[test]
    fn a_manifest_for_another_key_is_refused() {
        assert!(refused(|manifest| manifest.node_key = Sha256::of(b"other")).contains("key"));
    }

    #[test]
    fn a_manifest_for_another_node_is_refused() {
        assert!(refused(|manifest| manifest.node = "n2".parse().unwrap()).contains("it is for n2"));
    }

    #[test]
    fn a_manifest_that_has_ended_or_is_of_the_future_is_refused() {
        assert!(refused(|manifest| manifest.expires = NOW - Duration::seconds(1)).contains("not valid at this time"));
        assert!(refused(|manifest| manifest.issued = NOW + Duration::hours(1)).contains("not valid at this time"));
    }

    #[test]
    fn a_manifest_of_an_older_generation_than_the_disk_s_is_refused() {
        assert!(why(&manifest(), 1, Some(&marker(3))).contains("older"));
        let of_another = InstallMarker { node: "n9".parse().unwrap(), ..marker(3) };
        assert!(check(&manifest(), 1, Some(&of_another)).is_ok(), "the disk was another node's");
    }

    #[test]
    fn a_manifest_that_no_key_of_the_image_signed_is_refused() {
        assert!(why(&manifest(), 9, None).contains("not signed"));
    }
}
