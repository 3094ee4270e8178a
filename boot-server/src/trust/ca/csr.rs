//! Signing requests of machines: nothing but the key is taken from one.

use protocol::{Code, Failure, encoding::Sha256, failure::Result};
use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// A CSR of a P-256 key is some 300 bytes.
const MAX_CSR: usize = 16 << 10;

/// A CSR whose signature holds: nothing but its key is taken from it.
#[derive(Debug, Clone)]
pub struct CsrKey {
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
}

impl CsrKey {
    /// SPKI hash: who the node is.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(&self.spki)
    }
}

/// The key of a CSR in DER.
///
/// # Errors
/// `E-INPUT` where the CSR cannot be read, is not signed by its own key, or the key is not of P-256.
pub fn csr_key(der: &[u8]) -> Result<CsrKey> {
    let refused = |why: &dyn std::fmt::Display| Failure::new(Code::Input, format!("reading the CSR: {why}"));
    if der.len() > MAX_CSR {
        return Err(refused(&format!("{} bytes are more than {MAX_CSR}", der.len())));
    }
    let signed = CertificateSigningRequestParams::from_der(&der.into()).map_err(|error| refused(&error))?;
    if !signed.public_key.algorithm().eq(&PKCS_ECDSA_P256_SHA256) {
        return Err(refused(&"its key is not of P-256"));
    }
    let (_, csr) = X509CertificationRequest::from_der(der).map_err(|error| refused(&error))?;
    let spki = csr.certification_request_info.subject_pki.raw.to_vec();
    let key = SubjectPublicKeyInfo::from_der(&spki).map_err(|error| refused(&error))?;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(refused(&"its key is not of P-256"));
    }
    Ok(CsrKey { spki })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType};
    use std::process::Command;

    fn csr_of(key: &KeyPair, names: usize) -> Vec<u8> {
        let mut params = CertificateParams::default();
        let name = |n: usize| SanType::DnsName(format!("name-{n:04}.example").try_into().unwrap());
        params.subject_alt_names = (0..names).map(name).collect();
        params.serialize_request(key).unwrap().der().to_vec()
    }

    fn why(der: &[u8]) -> String {
        let failure = csr_key(der).unwrap_err();
        assert_eq!(failure.code, Code::Input);
        failure.cause
    }

    #[test]
    fn a_csr_that_its_key_did_not_sign_is_refused() {
        let mut der = csr_of(&KeyPair::generate().unwrap(), 0);
        assert!(csr_key(&der).is_ok());
        let last = der.len() - 1;
        der[last] ^= 1;
        assert!(csr_key(&der).is_err());
        assert!(csr_key(b"").is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test asks another implementation")]
    fn a_csr_of_rsa_is_refused_whatever_its_length() {
        for bits in ["2048", "4096"] {
            let mut request = Command::new("openssl");
            request.args(["req", "-new", "-nodes", "-subj", "/CN=n1", "-outform", "DER", "-keyout", "/dev/null"]);
            let der = request.arg("-newkey").arg(format!("rsa:{bits}")).output().unwrap().stdout;
            assert!(CertificateSigningRequestParams::from_der(&der.as_slice().into()).is_ok(), "it is a good one");
            assert!(why(&der).contains("not of P-256"));
        }
    }

    #[test]
    fn a_csr_of_another_curve_is_refused() {
        for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            assert!(why(&csr_of(&KeyPair::generate_for(algorithm).unwrap(), 0)).contains("not of P-256"));
        }
    }

    #[test]
    fn a_csr_that_is_too_long_is_refused_though_its_key_has_signed_it() {
        let key = KeyPair::generate().unwrap();
        let (long, longer) = (csr_of(&key, 750), csr_of(&key, 850));
        assert!(long.len() < MAX_CSR && MAX_CSR < longer.len(), "{} {}", long.len(), longer.len());
        assert!(csr_key(&long).is_ok());
        assert!(why(&longer).contains("are more than 16384"));
    }
}
