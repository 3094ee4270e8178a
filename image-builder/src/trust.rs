//! The trust anchors of an image, and the time it says it was built at.

use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
    trust::TrustAnchors,
};
use std::path::Path;

/// Reads trust.json and raises its build time to the latest that was given.
///
/// The clock of this machine is never asked: the same inputs make the same image.
///
/// # Errors
/// `E-TRUST-ANCHORS` where the file is missing, does not fit, or trusts nobody.
pub fn read(path: &Path, build_time: Option<Timestamp>) -> Result<TrustAnchors> {
    let bytes = std::fs::read(path).or_fail(Code::TrustAnchors, || format!("reading {}", path.display()))?;
    let anchors: TrustAnchors = protocol::parse::json(&path.display().to_string(), &bytes)
        .map_err(|failure| Failure { code: Code::TrustAnchors, ..failure })?;
    checked(anchors, build_time).map_err(|failure| failure.context(path.display()))
}

fn checked(mut anchors: TrustAnchors, build_time: Option<Timestamp>) -> Result<TrustAnchors> {
    let refused = |cause: &str| Err(Failure::new(Code::TrustAnchors, cause));
    if anchors.ca_spki_sha256.is_empty() {
        return refused("ca_spki_sha256 is empty: the agent could talk to no server");
    }
    if anchors.manifest_keys.is_empty() || anchors.manifest_keys.iter().any(|key| key.0.len() != 32) {
        return refused("manifest_keys must be Ed25519 public keys of 32 bytes, one at least");
    }
    anchors.build_time = anchors.build_time.max(build_time);
    Ok(anchors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{encoding::Sha256, trust::PublicKey};
    use time::{Duration, OffsetDateTime};

    fn anchors() -> TrustAnchors {
        TrustAnchors {
            ca_spki_sha256: vec![Sha256::of(b"ca")],
            earlier_ca_spki_sha256: vec![],
            manifest_keys: vec![PublicKey(vec![7; 32])],
            build_time: Some(OffsetDateTime::UNIX_EPOCH + Duration::days(10_000)),
        }
    }

    #[test]
    fn the_floor_for_the_clock_only_rises() {
        let made = anchors().build_time;
        assert_eq!(checked(anchors(), None).unwrap().build_time, made);
        assert_eq!(checked(anchors(), Some(OffsetDateTime::UNIX_EPOCH)).unwrap().build_time, made);
        let later = made.map(|made| made + Duration::days(1));
        assert_eq!(checked(anchors(), later).unwrap().build_time, later);
    }

    #[test]
    fn anchors_that_trust_nobody_are_refused() {
        assert!(checked(TrustAnchors { ca_spki_sha256: vec![], ..anchors() }, None).is_err());
        assert!(checked(TrustAnchors { manifest_keys: vec![], ..anchors() }, None).is_err());
        assert!(checked(TrustAnchors { manifest_keys: vec![PublicKey(vec![1])], ..anchors() }, None).is_err());
    }
}
