//! A certificate authority for one test, and the peers that it lets in.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that failed")]

use crate::cluster_peer::{self, Peer, Reply, Request, documented::Documented};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fs, path::Path};
use time::{Duration, OffsetDateTime};

/// Another address of this machine: a peer on it is another node to the agent.
pub const OTHER: &str = "127.0.0.2";
/// TEST-NET-1 is nobody's.
pub const ELSEWHERE: &str = "192.0.2.1";

/// A certificate authority.
pub struct Ca {
    /// Its certificate.
    pub der: CertificateDer<'static>,
    /// The same as PEM.
    pub pem: String,
    /// Its public key, as a SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Leaf {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Ca {
    /// One with a new key.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        Self { der: certificate.der().clone(), pem: certificate.pem(), spki, issuer: Issuer::new(params, key) }
    }

    /// A week for 127.0.0.1 and an address that is not here, client and server.
    pub fn leaf(&self) -> Leaf {
        let now = OffsetDateTime::now_utc();
        self.leaf_until(now - Duration::hours(1), now + Duration::days(7))
    }

    /// The same, between these times.
    pub fn leaf_until(&self, from: OffsetDateTime, until: OffsetDateTime) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(["127.0.0.1", OTHER, ELSEWHERE, "localhost"].map(str::to_owned)).unwrap();
        (params.not_before, params.not_after) = (from, until);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            der: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A certificate for the key of a CSR, between these times: leaf and CA, PEM.
    pub fn certify(&self, csr: &[u8], from: OffsetDateTime, until: OffsetDateTime) -> String {
        let wanted = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from, until);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.signed_by(&wanted.public_key, &self.issuer).unwrap().pem() + &self.pem
    }

    /// A CRL without an entry, PEM.
    pub fn revocation_list(&self) -> String {
        let now = OffsetDateTime::now_utc();
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: now + Duration::DAY,
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Answers whoever has a certificate of this CA.
    pub fn peer(&self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Peer {
        let leaf = self.leaf();
        let tls = cluster_peer::tls(self.der.clone(), vec![leaf.der, self.der.clone()], leaf.key).unwrap();
        Peer::start(tls, handler).unwrap()
    }

    /// Answers whoever connects.
    pub fn peer_of_anyone(&self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Peer {
        let leaf = self.leaf();
        let tls = cluster_peer::tls_of_anyone(vec![leaf.der, self.der.clone()], leaf.key).unwrap();
        Peer::start(tls, handler).unwrap()
    }

    /// A peer that plays this service.
    pub fn plays(&self, service: Documented) -> Peer {
        self.peer(move |request| service.answer(request))
    }
}

/// Writes ca.crt, node.crt and node.key as the installer does.
pub fn write(folder: &Path, ca_pem: &str, leaf: &Leaf) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("ca.crt"), ca_pem).unwrap();
    fs::write(folder.join("node.crt"), &leaf.certificate_pem).unwrap();
    fs::write(folder.join("node.key"), &leaf.key_pem).unwrap();
}
