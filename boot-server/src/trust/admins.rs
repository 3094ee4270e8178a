//! Certificates of admins. Whose they are hangs on their key alone, which the server keeps: they lead to no CA of ours, so
//! that no service of a cluster, which trusts that CA, ever takes one: whoever may only look would have all of it.

use super::ca::{BACKDATE, since};
use host::certificate::Certificate;
use protocol::{
    Code, Failure, Timestamp,
    failure::{OrFail, Result},
};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use std::sync::Arc;
use time::Duration;

/// One that is made here lives so long where nothing else is said.
pub const LIFE: Duration = Duration::days(365);
/// A certificate is some 2 KiB.
const MOST: usize = 32 << 10;

/// Reads the certificate that an admin is to be known by, whoever issued it.
///
/// # Errors
/// `E-INPUT` for what is none, what TLS could not use, what is a CA's, and what has ended.
pub fn read(pem: &str, now: Timestamp) -> Result<Certificate> {
    let refused = |why: &str| Failure::new(Code::Input, format!("reading the admin's certificate: {why}"));
    if pem.len() > MOST {
        return Err(refused(&format!("{} bytes are more than {MOST}", pem.len())));
    }
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| refused(&error.to_string()))?;
    let read = Certificate::read(&der).map_err(|failure| refused(&failure.cause))?;
    ParsedCertificate::try_from(&der).map_err(|error| refused(&error.to_string()))?;
    if read.is_ca {
        return Err(refused("it is a CA's (CA:TRUE), whose key issues for others").with_remedy(
            "take one of the admin's own; of openssl req -x509 with -addext basicConstraints=critical,CA:FALSE",
        ));
    }
    if read.until <= now {
        return Err(refused(&format!("it ended {}", protocol::to_the_second(read.until))));
    }
    Ok(read)
}

/// Whether the certificate leads to one of these roots, as far as its own file and `issuers` show the way.
pub fn leads_to(
    pem: &str,
    roots: Vec<CertificateDer<'static>>,
    issuers: &[CertificateDer<'static>],
    now: Timestamp,
) -> bool {
    let mut chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(std::result::Result::ok).collect();
    chain.extend_from_slice(issuers);
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::new(default_provider())).build();
    let (Some((leaf, others)), Ok(verifier)) = (chain.split_first(), verifier) else { return false };
    let now = std::time::Duration::from_secs(now.unix_timestamp().unsigned_abs());
    verifier.verify_client_cert(leaf, others, UnixTime::since_unix_epoch(now)).is_ok()
}

/// Makes a key and its certificate, which it signs itself: both in PEM.
///
/// # Errors
/// `E-INTERNAL`; `E-INPUT` for an end that no calendar has.
pub fn make(name: &str, now: Timestamp, life: Duration) -> Result<(String, String)> {
    let making = || format!("making a certificate for {name}");
    let ends =
        now.checked_add(life).ok_or_else(|| Failure::new(Code::Input, making() + ": no calendar has its end"))?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).or_fail(Code::Internal, making)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationalUnitName, "centra admin");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (since(now, BACKDATE), ends);
    let certificate = params.self_signed(&key).or_fail(Code::Internal, making)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn now() -> Timestamp {
        Timestamp::from_unix_timestamp(1_800_000_000).unwrap()
    }

    #[test]
    fn a_certificate_that_was_made_is_read_and_one_that_has_ended_is_not() {
        let (certificate, key) = make("alice", now(), Duration::days(30)).unwrap();
        let facts = super::read(&certificate, now()).unwrap();
        assert_eq!((facts.until, facts.from), (now() + Duration::days(30), now() - BACKDATE));
        assert!(key.contains("PRIVATE KEY") && !certificate.contains("PRIVATE KEY"));
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(parsed.subject().to_string(), "OU=centra admin, CN=alice");
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !parsed.is_ca());
        assert!(read(&certificate, facts.until).unwrap_err().cause.contains("it ended 2027-02-14"));
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &"x".repeat(MOST + 1)] {
            assert_eq!(read(text, now()).unwrap_err().code, Code::Input);
        }
    }

    #[test]
    fn a_certificate_made_in_1970_after_2038_and_in_2099_is_read_then() {
        for at in [datetime!(1970-01-01 0:00:10 UTC), datetime!(2038-01-20 0:00 UTC), datetime!(2099-12-31 0:00 UTC)] {
            let (certificate, _) = make("alice", at, Duration::days(30)).unwrap();
            assert_eq!(super::read(&certificate, at).unwrap().until, at + Duration::days(30));
            assert!(super::read(&certificate, at + Duration::days(30)).is_err());
        }
    }
}
