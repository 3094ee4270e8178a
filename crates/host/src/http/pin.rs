//! A TLS verifier that knows its CA by the hash of the CA's public key alone.

use crate::certificate;
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

/// Accepts a chain whose CA, presented with it, has a pinned public key; everything else (signatures, names,
/// dates, usages) is webpki's judgement with that CA as the only root. Other hosts than the pinned one may be
/// given other roots.
#[derive(Debug)]
pub struct PinnedCa {
    pins: Vec<Sha256>,
    provider: Arc<CryptoProvider>,
    /// Hosts other than this one may also show a certificate of one of these CAs.
    others: Option<(ServerName<'static>, RootCertStore)>,
    time: Time,
}

/// By which time certificates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    /// This machine's.
    Now,
    /// One at which the certificate is good, where there is one.
    Any,
}

impl PinnedCa {
    /// A verifier for these SubjectPublicKeyInfo hashes.
    pub fn new(pins: Vec<Sha256>, provider: Arc<CryptoProvider>) -> Self {
        Self { pins, provider, others: None, time: Time::Now }
    }

    /// Takes certificates of `roots` too, but not from `host`.
    pub fn except(mut self, host: &str, roots: RootCertStore) -> Self {
        let host = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok();
        self.others = host.filter(|_| !roots.is_empty()).map(|host| (host, roots));
        self
    }

    /// Takes a certificate that has ended, or has not begun, by this machine's clock: it may be the clock that is wrong.
    pub fn at_any_time(self) -> Self {
        Self { time: Time::Any, ..self }
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
        certificate::spki(certificate).is_some_and(|spki| self.pins.contains(&spki))
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
        let verify = |now| verifier.verify_server_cert(leaf, intermediates, name, ocsp, now);
        match (verify(now), self.time) {
            (Err(Error::InvalidCertificate(error)), Time::Any) => match good_time(&error) {
                Some(time) => verify(time),
                None => Err(Error::InvalidCertificate(error)),
            },
            (judged, _) => judged,
        }
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

/// A time at which the certificate is good that is not good now.
fn good_time(error: &CertificateError) -> Option<UnixTime> {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => Some(*not_after),
        CertificateError::NotValidYetContext { not_before, .. } => Some(*not_before),
        _ => None,
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

    #[test]
    fn the_pin_holds_through_an_issuing_certificate_and_not_for_another_ca_in_the_middle() {
        let authority = |name: &str, under: Option<&rcgen::Issuer<'_, KeyPair>>| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            let der = match under {
                Some(issuer) => params.signed_by(&key, issuer).unwrap().der().clone(),
                None => params.self_signed(&key).unwrap().der().clone(),
            };
            let pin = Sha256::of(&key.subject_public_key_info());
            (der, pin, rcgen::Issuer::new(params, key))
        };
        let leaf = |issuer: &rcgen::Issuer<'_, KeyPair>| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["server".to_owned()]).unwrap();
            let der = params.signed_by(&key, issuer).unwrap().der().clone();
            (der, rcgen::Issuer::new(params, key))
        };
        let (root, pin, by_root) = authority("root", None);
        let (issuing, _, by_issuing) = authority("issuing", Some(&by_root));
        let (false_root, _, by_false) = authority("root", None);
        let (between, _, by_between) = authority("issuing", Some(&by_false));
        let (server, by_leaf) = leaf(&by_issuing);
        let taken = |leaf: &CertificateDer<'_>, chain: &[&CertificateDer<'static>]| {
            let chain: Vec<_> = chain.iter().map(|one| (*one).clone()).collect();
            let verifier = PinnedCa::new(vec![pin], Arc::new(rustls::crypto::ring::default_provider()));
            verifier.verify_server_cert(leaf, &chain, &"server".try_into().unwrap(), &[], UnixTime::now()).is_ok()
        };
        assert!(taken(&server, &[&issuing, &root]));
        assert!(!taken(&server, &[&issuing]), "nobody knows the root's key by its hash then");
        let stranger = leaf(&by_between).0;
        assert!(!taken(&stranger, &[&between, &false_root, &root]), "another CA, the pinned one shown beside it");
        assert!(!taken(&stranger, &[&between, &root]), "the issuing certificate of another root of the same name");
        assert!(!taken(&leaf(&by_leaf).0, &[&server, &issuing, &root]), "a leaf that issues");
    }

    #[test]
    fn where_the_time_is_still_to_be_learnt_only_the_time_is_not_judged() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().der().clone();
        let pin = Sha256::of(&key.subject_public_key_info());
        let issuer = rcgen::Issuer::new(params, key);
        let leaf = |from: i64, until: i64| {
            let day = |days: i64| time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000 + days);
            let mut params = CertificateParams::new(vec!["server".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (day(from), day(until));
            params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
        };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(20_000 * 86_400));
        let pinned = |pin| PinnedCa::new(vec![pin], Arc::new(rustls::crypto::ring::default_provider()));
        let judged = |verifier: PinnedCa, leaf: &CertificateDer<'_>, name: &'static str| {
            let name = name.try_into().unwrap();
            verifier.verify_server_cert(leaf, std::slice::from_ref(&ca), &name, &[], now).is_ok()
        };
        for (leaf, good_now) in [(leaf(-9, 9), true), (leaf(-9, -1), false), (leaf(1, 9), false)] {
            assert_eq!(judged(pinned(pin), &leaf, "server"), good_now);
            assert!(judged(pinned(pin).at_any_time(), &leaf, "server"));
            assert!(!judged(pinned(pin).at_any_time(), &leaf, "another"), "another name");
            assert!(!judged(pinned(Sha256::of(b"")).at_any_time(), &leaf, "server"), "another CA");
        }
    }
}
