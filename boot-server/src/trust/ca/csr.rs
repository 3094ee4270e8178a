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
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_csr_that_its_key_did_not_sign_is_refused() {
        let request = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let mut der = request.der().to_vec();
        assert!(csr_key(&der).is_ok());
        let last = der.len() - 1;
        der[last] ^= 1;
        assert!(csr_key(&der).is_err());
        assert!(csr_key(b"").is_err());
        assert!(csr_key(&vec![0; MAX_CSR + 1]).is_err());
    }
}
