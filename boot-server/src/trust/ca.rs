//! The certificate authority: the server's leaf, nodes' certificates, leaves for members outside.

use host::file;
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use std::path::Path;
use time::Duration;
use x509_parser::prelude::FromDer;

/// Life of the server's own leaf, which is made anew at every start and every day.
const SERVER_LIFE: Duration = Duration::days(30);
/// Life of a leaf for a member outside.
pub const MEMBER_LIFE: Duration = Duration::days(365);
/// The server has a new certificate so long before the end of the old one.
const SERVER_RENEWAL: Duration = Duration::days(10);
const CA_LIFE: Duration = Duration::days(3650);
/// Clocks of machines are a little behind.
const BACKDATE: Duration = Duration::hours(1);
/// A CSR of a P-256 key is some 300 bytes.
const MAX_CSR: usize = 16 << 10;

/// The authority with its key.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    spki: Sha256,
}

/// A certificate that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The leaf, DER.
    pub der: CertificateDer<'static>,
    /// Leaf and CA, PEM.
    pub chain_pem: String,
    /// Serial number, hex.
    pub serial: String,
    /// Not valid after.
    pub not_after: Timestamp,
}

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
    let (_, csr) =
        x509_parser::certification_request::X509CertificationRequest::from_der(der).map_err(|error| refused(&error))?;
    let spki = csr.certification_request_info.subject_pki.raw.to_vec();
    let key = SubjectPublicKeyInfo::from_der(&spki).map_err(|error| refused(&error))?;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(refused(&"its key is not of P-256"));
    }
    Ok(CsrKey { spki })
}

/// SPKI hash of a certificate in DER.
pub fn spki_of(certificate: &[u8]) -> Option<Sha256> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::of(parsed.tbs_certificate.subject_pki.raw))
}

/// When a certificate in DER ends.
pub fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.to_datetime())
}

impl Ca {
    /// Makes a new authority: its certificate and key in PEM.
    ///
    /// # Errors
    /// `E-INTERNAL`.
    pub fn create(name: &str, now: Timestamp) -> Result<(String, String)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| internal("making a key", &error))?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (now - BACKDATE, now + CA_LIFE);
        params.serial_number = Some(serial()?);
        let certificate = params.self_signed(&key).map_err(|error| internal("making the CA", &error))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Reads `ca.crt` and `ca.key` of an init folder.
    ///
    /// # Errors
    /// `E-CONFIG` where they cannot be read or do not fit.
    pub fn load(dir: &Path) -> Result<Self> {
        let certificate = file::read_text(&dir.join("ca.crt"))?;
        let key = file::read_text(&dir.join("ca.key"))?;
        let activity = || format!("reading the CA in {}", dir.display());
        let key = KeyPair::from_pem(&key).or_fail(Code::Config, activity)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).or_fail(Code::Config, activity)?;
        let spki = spki_of(&certificate);
        let spki = spki.ok_or_else(|| Failure::new(Code::Config, format!("{}: not a certificate", activity())))?;
        if Sha256::of(&key.subject_public_key_info()) != spki {
            return Err(Failure::new(Code::Config, format!("{}: ca.key is not the key of ca.crt", activity())));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).or_fail(Code::Config, activity)?;
        Ok(Self { issuer, certificate, spki })
    }

    /// SPKI hash of the CA: what every image pins.
    pub fn spki(&self) -> Sha256 {
        self.spki
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A leaf for a key that somebody else holds: client and server authentication, these names and addresses.
    ///
    /// # Errors
    /// `E-INTERNAL`.
    pub fn issue(&self, name: &str, names: &[String], spki: &[u8], now: Timestamp, life: Duration) -> Result<Issued> {
        let key = SubjectPublicKeyInfo::from_der(spki).map_err(|error| internal("reading a key", &error))?;
        self.sign(name, names, &key, now, life)
    }

    /// A fresh key with its leaf.
    ///
    /// # Errors
    /// `E-INTERNAL`.
    pub fn issue_with_key(
        &self,
        name: &str,
        names: &[String],
        now: Timestamp,
        life: Duration,
    ) -> Result<(Issued, KeyPair)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| internal("making a key", &error))?;
        Ok((self.sign(name, names, &key, now, life)?, key))
    }

    /// The server's own chain and key. The CA is part of the chain: an agent knows it by the hash of its key alone.
    ///
    /// # Errors
    /// `E-INTERNAL`.
    pub fn server_identity(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let (issued, key) = self.issue_with_key("boot-server", names, now, SERVER_LIFE)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![issued.der, self.certificate.clone()], key))
    }

    fn sign(
        &self,
        name: &str,
        names: &[String],
        key: &impl PublicKeyData,
        now: Timestamp,
        life: Duration,
    ) -> Result<Issued> {
        let signing = |error: &rcgen::Error| internal(&format!("signing a certificate for {name}"), error);
        let mut params = CertificateParams::new(names.to_vec()).map_err(|error| signing(&error))?;
        let serial = serial()?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial.clone());
        // What is meant to be short is not half over when it begins.
        (params.not_before, params.not_after) = (now - BACKDATE.min(life / 2_i32), now + life);
        let leaf = params.signed_by(key, &self.issuer).map_err(|error| signing(&error))?;
        Ok(Issued {
            der: leaf.der().clone(),
            chain_pem: leaf.pem() + &pem(&self.certificate),
            serial: data_encoding::HEXLOWER.encode(&serial.to_bytes()),
            not_after: params.not_after,
        })
    }
}

/// Whether the server needs a certificate anew that was made then: its end is near, or the clock was wrong when it was made
/// or is now, and nobody would take it.
pub fn server_renewal_is_due(made: Timestamp, now: Timestamp) -> bool {
    now < made - BACKDATE || now > made + SERVER_LIFE - SERVER_RENEWAL
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({})", self.spki)
    }
}

/// A certificate in PEM.
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = data_encoding::BASE64.encode(certificate);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn serial() -> Result<SerialNumber> {
    let mut bytes = crate::base::random::bytes::<16>()?;
    // Positive, and of one length.
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn internal(activity: &str, error: &rcgen::Error) -> Failure {
    Failure::from_error(Code::Internal, activity, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::certificate::X509Certificate;

    fn now() -> Timestamp {
        Timestamp::from_unix_timestamp(1_800_000_000).unwrap()
    }

    #[test]
    fn the_server_has_a_new_certificate_before_the_old_one_ends_and_after_the_clock_was_wrong() {
        let made = now();
        for (since, due) in [(0, false), (19, false), (21, true), (31, true), (400, true), (-1, true), (-400, true)] {
            assert_eq!(server_renewal_is_due(made, made + Duration::days(since)), due, "{since} days");
        }
        assert!(!server_renewal_is_due(made, made - Duration::minutes(1)), "a clock that is stepped back a little");
    }

    fn ca() -> Ca {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = Ca::create("test", now()).unwrap();
        std::fs::write(dir.path().join("ca.crt"), certificate).unwrap();
        std::fs::write(dir.path().join("ca.key"), key).unwrap();
        Ca::load(dir.path()).unwrap()
    }

    fn csr(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        change(&mut params);
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn nothing_but_the_key_is_taken_from_a_csr() {
        let greedy = csr(|params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, "admin");
            params.subject_alt_names = vec![rcgen::SanType::DnsName("evil.example".try_into().unwrap())];
        });
        let key = csr_key(&greedy).unwrap();
        let issued = ca().issue("n1", &["n1".into(), "10.0.0.1".into()], &key.spki, now(), Duration::days(7)).unwrap();
        let (_, leaf) = X509Certificate::from_der(&issued.der).unwrap();
        assert!(!leaf.is_ca());
        assert_eq!(leaf.subject().to_string(), "CN=n1");
        assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
        assert_eq!(spki_of(&issued.der), Some(key.hash()));
        assert_eq!(leaf.validity().not_after.timestamp() - now().unix_timestamp(), 7 * 86400);
        assert!(leaf.validity().not_before.timestamp() < now().unix_timestamp());
    }

    #[test]
    fn a_csr_that_its_key_did_not_sign_is_refused() {
        let mut der = csr(|_| ());
        let last = der.len() - 1;
        der[last] ^= 1;
        assert!(csr_key(&der).is_err());
        assert!(csr_key(b"").is_err());
        assert!(csr_key(&vec![0; MAX_CSR + 1]).is_err());
    }

    #[test]
    fn the_server_presents_its_ca_so_that_it_can_be_pinned() {
        let ca = ca();
        let (chain, _) = ca.server_identity(&["10.77.0.1".into()], now()).unwrap();
        assert_eq!(chain.len(), 2);
        assert_eq!(spki_of(&chain[1]), Some(ca.spki()));
    }

    #[test]
    fn the_pem_that_is_written_reads_back() {
        let ca = ca();
        assert_eq!(&CertificateDer::from_pem_slice(pem(ca.certificate()).as_bytes()).unwrap(), ca.certificate());
    }
}
