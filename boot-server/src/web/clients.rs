//! Whose certificates are taken in a handshake: those of our CA, and those of admins, who are known by their keys.

use crate::state::memory::Memory;
use host::certificate::Certificate;
use protocol::Timestamp;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::sync::Arc;

/// The verifier.
#[derive(Debug)]
pub struct Clients {
    /// Judges what our CA has issued.
    pub ours: Arc<dyn ClientCertVerifier>,
    /// Has the keys of admins.
    pub memory: Arc<Memory>,
}

impl ClientCertVerifier for Clients {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // Which CA has signed it, and what it says of its holder, is nothing to us: the handshake shows that he has the key.
        let admin = Certificate::read(leaf).ok().filter(|shown| self.memory.admins.holds(&shown.spki));
        let Some(shown) = admin else { return self.ours.verify_client_cert(leaf, intermediates, now) };
        let now = i64::try_from(now.as_secs()).ok().and_then(|now| Timestamp::from_unix_timestamp(now).ok());
        match now {
            Some(now) if now < shown.from => Err(Error::InvalidCertificate(CertificateError::NotValidYet)),
            Some(now) if now <= shown.until => Ok(ClientCertVerified::assertion()),
            _ => Err(Error::InvalidCertificate(CertificateError::Expired)),
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.ours.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.ours.client_auth_mandatory()
    }

    fn offer_client_auth(&self) -> bool {
        self.ours.offer_client_auth()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.ours.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.ours.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ours.supported_verify_schemes()
    }
}
