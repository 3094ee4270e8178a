//! What holds for any packet that a stranger sends to DHCP, TFTP and boot HTTP, for the tests and the fuzz target.

use super::{dhcp, http, tftp};

/// Reading a packet ends, whatever it is.
///
/// # Panics
/// Where a reader does.
pub fn packets(bytes: &[u8]) {
    dhcp::read(bytes);
    tftp::read(bytes);
    http::read(bytes);
}

/// Nothing of a boot script is written by who asks for it.
///
/// # Panics
/// Where something is.
pub fn scripts(query: &str) {
    http::read_query(query);
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    fn corpus() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/packets");
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::packets(&bytes);
        }

        #[test]
        fn reading_what_is_nearly_right_never_panics(seed: Index, at: Index, byte: u8, length: Index) {
            let mut bytes = seed.get(&corpus()).clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(length.index(bytes.len()) + 1);
            super::packets(&bytes);
        }
    }
}
