//! A TLS verifier that knows its CA by the hash of the CA's public key alone.

use protocol::encoding::Sha256;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Accepts a chain whose CA, presented with it, has a pinned public key; everything else (signatures, names,
/// dates, usages) is webpki's judgement with that CA as the only root. Other hosts than the pinned one may be
/// given other roots.
#[derive(Debug)]
pub struct PinnedCa {
    pins: Vec<Sha256>,
    provider: Arc<CryptoProvider>,
    /// Hosts other than this one may also show a certificate of one of these CAs.
    others: Option<(ServerName<'static>, RootCertStore)>,
}

impl PinnedCa {
    /// A verifier for these SubjectPublicKeyInfo hashes.
    pub fn new(pins: Vec<Sha256>, provider: Arc<CryptoProvider>) -> Self {
        Self { pins, provider, others: None }
    }

    /// Takes certificates of `roots` too, but not from `host`.
    pub fn except(mut self, host: &str, roots: RootCertStore) -> Self {
        let host = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok();
        self.others = host.filter(|_| !roots.is_empty()).map(|host| (host, roots));
        self
    }

    fn roots(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<RootCertStore, Error> {
        if let Some(ca) = chain.iter().find(|certificate| self.is_pinned(certificate)) {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone().into_owned())?;
            return Ok(roots);
        }
        let others = self.others.as_ref().filter(|(host, _)| host != name).map(|(_, roots)| roots.clone());
        others.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(certificate)
            .is_ok_and(|(_, parsed)| self.pins.contains(&Sha256::of(parsed.tbs_certificate.subject_pki.raw)))
    }
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = Arc::new(self.roots(intermediates, name)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};

    #[test]
    fn the_pinned_host_shows_the_pinned_ca_and_others_may_show_another() {
        let key = KeyPair::generate().unwrap();
        let ca = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().der().clone();
        let pins = vec![Sha256::of(&key.subject_public_key_info())];
        let mut known = RootCertStore::empty();
        known.add(ca.clone()).unwrap();
        let verifier = |pins: &[Sha256], roots| {
            PinnedCa::new(pins.to_vec(), Arc::new(rustls::crypto::ring::default_provider())).except("10.0.0.1", roots)
        };
        let (pinned, other) = ("10.0.0.1".try_into().unwrap(), "cache.example".try_into().unwrap());
        for name in [&pinned, &other] {
            assert!(verifier(&pins, RootCertStore::empty()).roots(std::slice::from_ref(&ca), name).is_ok());
            assert!(verifier(&pins, RootCertStore::empty()).roots(&[], name).is_err());
        }
        assert!(verifier(&[], known.clone()).roots(std::slice::from_ref(&ca), &pinned).is_err());
        assert_eq!(verifier(&[], known).roots(&[], &other).unwrap().len(), 1);
    }
}
