//! The boot-server, told from the nodes: all have certificates of one CA, and each of them is `localhost` for itself.

use crate::certificate::Certificate;
use protocol::{
    Code,
    failure::{OrFail, Result},
    trust::SERVER_ROLE,
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{net::IpAddr, sync::Arc};

/// webpki's judgement and, for a name that says nothing of who answers, the role in the certificate.
#[derive(Debug)]
pub struct OfTheBootServer(Arc<WebPkiServerVerifier>);

impl OfTheBootServer {
    /// One that trusts these roots.
    ///
    /// # Errors
    /// `E-TLS` where there is none.
    pub fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self(verifier.or_fail(Code::Tls, || "setting up TLS")?))
    }
}

/// Every node's certificate has it, for the services on the node itself.
fn is_everybodys(name: &ServerName<'_>) -> bool {
    match name {
        ServerName::DnsName(name) => name.as_ref().eq_ignore_ascii_case("localhost"),
        ServerName::IpAddress(address) => IpAddr::from(*address).is_loopback(),
        _ => false,
    }
}

impl ServerCertVerifier for OfTheBootServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        let has_role = || Certificate::read(leaf).is_ok_and(|leaf| leaf.uris.iter().any(|uri| uri == SERVER_ROLE));
        match is_everybodys(name) && !has_role() {
            true => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            false => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

    #[test]
    fn a_node_that_answers_on_loopback_is_not_taken_for_the_boot_server() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        let issuer = Issuer::new(params, key);
        let leaf = |role: bool| {
            let names = ["localhost", "127.0.0.1", "10.77.0.9"].map(str::to_owned);
            let mut params = CertificateParams::new(names).unwrap();
            let role = role.then(|| SanType::URI(SERVER_ROLE.try_into().unwrap()));
            params.subject_alt_names.extend(role);
            params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
        };
        let verifier = OfTheBootServer::new(roots, Arc::new(rustls::crypto::ring::default_provider())).unwrap();
        let (server, node) = (leaf(true), leaf(false));
        for (name, of_node) in [("localhost", false), ("127.0.0.1", false), ("10.77.0.9", true)] {
            let name = ServerName::try_from(name).unwrap();
            let taken = |leaf| verifier.verify_server_cert(leaf, &[], &name, &[], UnixTime::now()).is_ok();
            assert_eq!((taken(&server), taken(&node)), (true, of_node), "{name:?}");
        }
        let other = ServerName::try_from("elsewhere").unwrap();
        assert!(verifier.verify_server_cert(&server, &[], &other, &[], UnixTime::now()).is_err());
    }
}
