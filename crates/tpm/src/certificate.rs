//! Whether a vendor vouches for an endorsement key. webpki takes no such certificate: its only name is a critical one
//! of the TPM's maker, which is no name of a host.

use crate::{
    failed,
    public::{EndorsementKey, Key},
};
use protocol::{Timestamp, failure::Result};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{
    certificate::X509Certificate,
    prelude::FromDer,
    public_key::{PublicKey, RSAPublicKey},
    time::ASN1Time,
};

/// No certificate of an endorsement key is longer.
pub const MOST_CERTIFICATE: usize = 4096;
/// `tcg-kp-EKCertificate`, 2.23.133.8.1.
const ENDORSEMENT: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];

/// Those whose word counts: certificates of vendors that issue certificates of endorsement keys.
#[derive(Debug, Clone, Default)]
pub struct Issuers(Vec<CertificateDer<'static>>);

impl Issuers {
    /// Adds all certificates of a PEM file.
    ///
    /// # Errors
    /// `E-TPM` where there is none in it, or one that may not issue others.
    pub fn add(&mut self, pem: &[u8]) -> Result<()> {
        let activity = "reading certificates of TPM vendors";
        let before = self.0.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| failed(activity, &error))?;
            if !X509Certificate::from_der(&certificate).is_ok_and(|(_, parsed)| issues(&parsed)) {
                return Err(failed(activity, &"one of them is no certificate of an issuer"));
            }
            self.0.push(certificate);
        }
        if self.0.len() == before { Err(failed(activity, &"there is none")) } else { Ok(()) }
    }

    /// The vendor, in its own words, that says that this key is a TPM's endorsement key.
    ///
    /// # Errors
    /// `E-TPM` with what speaks against it.
    pub fn vouch(&self, certificate: &[u8], key: &EndorsementKey, now: Timestamp) -> Result<String> {
        let refused = |why: &str| failed("checking the certificate of a TPM's endorsement key", &why);
        let parsed = match X509Certificate::from_der(certificate) {
            Ok(([], parsed)) if certificate.len() <= MOST_CERTIFICATE => parsed,
            _ => return Err(refused("it cannot be read")),
        };
        if !certifies(&parsed, key) {
            return Err(refused("it is of another key"));
        }
        if parsed.is_ca() || !is_of_endorsement(&parsed) {
            return Err(refused("it is no certificate of an endorsement key"));
        }
        let time = ASN1Time::from_timestamp(now.unix_timestamp()).map_err(|_| refused("the time is none"))?;
        if !parsed.validity().is_valid_at(time) {
            return Err(refused("its time is over, or has not come"));
        }
        let signed = self.0.iter().any(|issuer| {
            X509Certificate::from_der(issuer).is_ok_and(|(_, issuer)| {
                issuer.subject().as_raw() == parsed.issuer().as_raw()
                    && issuer.validity().is_valid_at(time)
                    && parsed.verify_signature(Some(issuer.public_key())).is_ok()
            })
        });
        if signed { Ok(parsed.issuer().to_string()) } else { Err(refused("no configured vendor has issued it")) }
    }
}

/// The certificate at the front: what lies in a TPM may be longer than what is in it.
pub(crate) fn only(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, _) = X509Certificate::from_der(bytes).ok()?;
    bytes.get(..bytes.len() - rest.len())
}

fn issues(certificate: &X509Certificate<'_>) -> bool {
    let may_sign = certificate.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    certificate.is_ca() && may_sign
}

fn is_of_endorsement(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.extended_key_usage().ok().flatten();
    usage.is_some_and(|usage| usage.value.other.iter().any(|purpose| purpose.as_bytes() == ENDORSEMENT))
}

fn certifies(certificate: &X509Certificate<'_>, key: &EndorsementKey) -> bool {
    let bits = &certificate.public_key().subject_public_key.data;
    match &key.key {
        // Some vendors name the algorithm of the key after how it encrypts.
        Key::Rsa(modulus) => RSAPublicKey::from_der(bits).is_ok_and(|(_, key)| {
            key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus) == modulus && key.try_exponent() == Ok(65537)
        }),
        Key::Ecc(point) => {
            matches!(certificate.public_key().parsed(), Ok(PublicKey::EC(_))) && **bits == *point.uncompressed()
        }
    }
}
