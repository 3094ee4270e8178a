//! What holds for any bytes, for the tests and the fuzz target.

use crate::{
    certificate::{self, Issuers},
    public::{EndorsementKey, QuotingKey},
    quote::{self, Selection},
    seal::Sealed,
};
use protocol::Timestamp;

/// Reading what a machine says of its TPM, or what lies on a disk as sealed, ends, whatever it is, and what is read is
/// what was said.
pub fn claims(bytes: &[u8]) {
    if let Ok(key) = EndorsementKey::parse(bytes) {
        assert_eq!(key.area(), bytes);
    }
    if let Ok(key) = QuotingKey::parse(bytes) {
        assert_eq!(key.area(), bytes);
    }
    if let Ok(sealed) = Sealed::read(Selection::NONE, bytes) {
        assert_eq!(sealed.blob(), bytes);
    }
    let _ = quote::attested(bytes);
    let _ = certificate::only(bytes);
    if let Some((area, certificate)) = bytes.split_at_checked(314)
        && let Ok(key) = EndorsementKey::parse(area)
    {
        assert!(Issuers::default().vouch(certificate, &key, Timestamp::UNIX_EPOCH).is_err());
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    fn corpus() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/claims");
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::claims(&bytes);
        }

        #[test]
        fn reading_what_is_nearly_right_never_panics(seed: Index, at: Index, byte: u8, length: Index) {
            let mut bytes = seed.get(&corpus()).clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(length.index(bytes.len()) + 1);
            super::claims(&bytes);
        }
    }

    #[test]
    fn what_tpms_said_and_what_fuzzing_found_worth_keeping_is_read() {
        let corpus = corpus();
        assert!(corpus.len() >= 6);
        corpus.iter().for_each(|bytes| super::claims(bytes));
    }
}
