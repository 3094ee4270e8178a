//! What holds for any bytes, for the tests and the fuzz target.

use crate::{
    certificate::{self, Issuers},
    envelope,
    event_log::{self, MOST_THINGS},
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
    let _ = envelope::pcrs(bytes);
    let _ = quote::attested(bytes);
    let _ = certificate::only(bytes);
    if let Some((area, certificate)) = bytes.split_at_checked(314)
        && let Ok(key) = EndorsementKey::parse(area)
    {
        assert!(Issuers::default().vouch(certificate, &key, Timestamp::UNIX_EPOCH).is_err());
    }
}

/// Reading an event log ends, whatever it is; what is said of it is bounded, and said for the PCRs that it makes alone.
pub fn log(bytes: &[u8]) {
    let Ok(events) = event_log::events(bytes) else {
        assert!(event_log::read(bytes, &Default::default()).is_err());
        return;
    };
    let mut pcrs = event_log::replayed(&events);
    if let Ok(said) = event_log::read(bytes, &pcrs) {
        let measured = &said.measured;
        assert!(said.things.len() <= MOST_THINGS && measured.started.len() <= 32 && measured.authorities.len() <= 16);
        let longest = measured.started.iter().filter_map(|started| started.from.as_ref()).map(String::len).max();
        assert!(longest.unwrap_or(0) <= 256);
    }
    for index in 0..8 {
        if let Some(value) = pcrs.get_mut(&index) {
            value.0[0] ^= 1;
        }
        assert!(event_log::read(bytes, &pcrs).is_err());
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::claims(&bytes);
        }

        #[test]
        fn reading_what_is_nearly_right_never_panics(seed: Index, at: Index, byte: u8, length: Index) {
            super::claims(&damaged(&corpus("claims"), seed, at, byte, length));
        }

        #[test]
        fn reading_a_log_of_any_bytes_or_one_that_is_nearly_right_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            seed: Index,
            at: Index,
            byte: u8,
            length: Index,
        ) {
            super::log(&bytes);
            super::log(&damaged(&corpus("log"), seed, at, byte, length));
        }
    }

    fn damaged(corpus: &[Vec<u8>], seed: Index, at: Index, byte: u8, length: Index) -> Vec<u8> {
        let mut bytes = seed.get(corpus).clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(length.index(bytes.len()) + 1);
        bytes
    }

    #[test]
    fn what_tpms_said_and_what_fuzzing_found_worth_keeping_is_read() {
        let (claims, logs) = (corpus("claims"), corpus("log"));
        assert!(claims.len() >= 6 && !logs.is_empty());
        claims.iter().for_each(|bytes| super::claims(bytes));
        logs.iter().for_each(|bytes| super::log(bytes));
    }
}
