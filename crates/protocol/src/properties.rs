//! What holds for any bytes that a stranger sends as the body of a request, for the tests and the fuzz target.

use crate::{
    claims::MOST_MACS,
    enrol::{EnrolRequest, HelloRequest},
    enrol_token::{EnrolToken, medium},
    inventory::MOST_BYTES,
    parse,
    telemetry::Telemetry,
    tpm::TpmProof,
};

/// Reading a body ends, whatever it is, and what is kept of it is bounded.
///
/// # Panics
/// Where it is not.
pub fn requests(bytes: &[u8]) {
    let _ = parse::json::<HelloRequest>("hello", bytes);
    let _ = parse::json::<Telemetry>("telemetry", bytes);
    if let Ok(proof) = parse::json::<TpmProof>("a proof", bytes) {
        let _ = proof.is_bounded();
    }
    if let Ok(request) = parse::json::<EnrolRequest>("a request", bytes) {
        let claims = request.claims.cleaned();
        assert!(claims.macs.len() <= MOST_MACS);
        assert_eq!(claims.clone().cleaned(), claims);
        let inventory = request.inventory.bounded();
        assert!(serde_json::to_vec(&inventory).is_ok_and(|kept| kept.len() <= MOST_BYTES));
        let _ = request.tpm.bounded();
    }
    if let Some(token) = medium::read(bytes) {
        assert_eq!(medium::read(&medium::image(&token)), Some(token));
    }
    if let Some(token) = std::str::from_utf8(bytes).ok().and_then(EnrolToken::parse) {
        assert_eq!(EnrolToken::parse(&token.shown()), Some(token));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    fn corpus() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/requests");
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::requests(&bytes);
        }

        #[test]
        fn reading_what_is_nearly_right_never_panics(seed: Index, at: Index, byte: u8, length: Index) {
            let mut bytes = seed.get(&corpus()).clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(length.index(bytes.len()) + 1);
            super::requests(&bytes);
        }
    }

    #[test]
    fn what_agents_send_is_read() {
        let corpus = corpus();
        assert!(corpus.iter().any(|bytes| serde_json::from_slice::<crate::enrol::EnrolRequest>(bytes).is_ok()));
        corpus.iter().for_each(|bytes| super::requests(bytes));
    }
}
