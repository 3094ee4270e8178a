//! What holds for whatever a stranger shows and asks on the HTTPS port, beside the bodies of requests (`protocol::properties`): his
//! certificate, his signing request, queries and headers. For the tests and the fuzz target.

use super::{api, forwarded};
use crate::{netboot::properties::scripts, trust::ca};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use host::certificate::Certificate;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use std::sync::LazyLock;

/// Reading any of it ends, whatever the bytes are, and nothing of it is taken for more than it is.
///
/// # Panics
/// Where it is not so.
pub fn web(bytes: &[u8]) {
    let _ = Certificate::read(bytes);
    for request in [Some(bytes.to_vec()), signed(bytes)].into_iter().flatten() {
        if let Ok(key) = ca::csr_key(&request) {
            assert_eq!(key.spki.len(), P256.len() + POINT);
            assert!(key.spki.starts_with(P256));
        }
    }
    let headers: HeaderMap = bytes.split(|byte| *byte == b'\n').filter_map(header).collect();
    forwarded::read(&headers);
    api::read_headers(&headers);
    if let Ok(text) = str::from_utf8(bytes) {
        scripts(text);
        api::read_callback(text);
    }
}

/// `Name: value`.
fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

/// What stands before the point of a key of P-256.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const POINT: usize = 65;

/// The signing request of this information, with the key of whoever signs it here in the place of its own: what is behind the
/// signature is read of nothing else.
fn signed(information: &[u8]) -> Option<Vec<u8>> {
    static KEY: LazyLock<Option<KeyPair>> = LazyLock::new(|| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).ok());
    let key = KEY.as_ref()?;
    let at = information.windows(P256.len()).position(|window| window == P256)?;
    let spki = key.subject_public_key_info();
    let mut information = information.to_vec();
    information.get_mut(at..at + spki.len())?.copy_from_slice(&spki);
    let signature = [&[0], key.sign(&information).ok()?.as_slice()].concat();
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    Some(element(0x30, &[information, algorithm.into(), element(3, &signature)].concat()))
}

/// In DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let encoded = match length {
        0..=0x7f => vec![length as u8],
        0x80..=0xff => vec![0x81, length as u8],
        0x100..=0xffff => [&[0x82], &(length as u16).to_be_bytes()[..]].concat(),
        _ => [&[0x84], &(length as u32).to_be_bytes()[..]].concat(),
    };
    [&[tag], encoded.as_slice(), content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::Index};
    use rcgen::CertificateParams;
    use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

    fn corpus() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/web");
        std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn a_request_that_is_signed_anew_is_a_good_one() {
        let request = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let (_, read) = X509CertificationRequest::from_der(request.der()).unwrap();
        let information = read.certification_request_info.raw;
        assert!(ca::csr_key(&signed(information).unwrap()).is_ok());
    }

    proptest! {
        #[test]
        fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::web(&bytes);
        }

        #[test]
        fn reading_what_is_nearly_right_never_panics(seed: Index, at: Index, byte: u8, length: Index) {
            let mut bytes = seed.get(&corpus()).clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(length.index(bytes.len()) + 1);
            super::web(&bytes);
        }
    }
}
