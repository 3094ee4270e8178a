//! Who issues: a chain from the issuing certificate to the root, and the issuing key.

use super::{BACKDATE, Issued, LIST_LIFE, SERVER_LIFE, make, since};
use crate::{
    state::beliefs::Revoked,
    trust::folder::{ISSUING, ISSUING_KEY, ROOT, ROOT_KEY},
};
use host::{
    certificate::Certificate,
    file,
    http::{pem, store},
};
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::{OrFail, Result},
    to_the_second,
    trust::SERVER_ROLE,
};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
};
use std::{path::Path, sync::Arc};
use time::Duration;

/// The server's own chain and key.
pub type ServerIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The authority with the key that issues. The root's key is not needed, unless the root itself issues.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Who issues first, the root last; one certificate where that is the same.
    chain: Vec<CertificateDer<'static>>,
    read: Vec<Certificate>,
}

impl Authority {
    /// Reads a folder: `ca.crt`, and `issuing.crt` with `issuing.key` or, of an earlier release, `ca.key`.
    ///
    /// # Errors
    /// `E-CONFIG` where they cannot be read or do not fit.
    pub fn read(dir: &Path) -> Result<Self> {
        let certificates = |name: &str| {
            pem::certificates(&dir.join(name)).map_err(|failure| Failure { code: Code::Config, ..failure })
        };
        let root = certificates(ROOT)?;
        if dir.join(ISSUING_KEY).exists() && !dir.join(ISSUING).exists() {
            let cause = format!("reading the CA in {}: {ISSUING_KEY} is there, and {ISSUING} is not", dir.display());
            return Err(Failure::new(Code::Config, cause).with_remedy("bring it back from the backup of this server"));
        }
        let (mut chain, key) = match dir.join(ISSUING).exists() {
            true => (certificates(ISSUING)?, ISSUING_KEY),
            false => (Vec::new(), ROOT_KEY),
        };
        chain.extend(root.into_iter().next());
        let key = dir.join(key);
        let key = KeyPair::from_pem(&file::read_text(&key)?)
            .or_fail(Code::Config, || format!("reading {}", key.display()))?;
        Self::of(chain, key).map_err(|failure| failure.context(format!("reading the CA in {}", dir.display())))
    }

    /// Of a chain, who issues first, and the key of that one.
    ///
    /// # Errors
    /// `E-CONFIG` where the key is another's, or nobody would take what they issue.
    pub fn of(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Result<Self> {
        let wrong = |why: String| Failure::new(Code::Config, why);
        let read = chain.iter().map(|one| Certificate::read(one)).collect::<Result<Vec<_>>>();
        let read = read.map_err(|failure| wrong(failure.cause))?;
        let first = read.first().ok_or_else(|| wrong("there is no certificate".to_owned()))?;
        if Sha256::of(&key.subject_public_key_info()) != first.spki {
            return Err(wrong(format!("the key is not that of {}", first.subject)));
        }
        let issuer = Issuer::from_ca_cert_der(&chain[0], key).or_fail(Code::Config, || "reading who issues")?;
        let authority = Self { issuer, chain, read };
        authority.try_chain()?;
        Ok(authority)
    }

    /// The root's certificate.
    pub fn root(&self) -> &CertificateDer<'static> {
        // A chain has one at least.
        &self.chain[self.chain.len() - 1]
    }

    /// SPKI hash of the root: what every image pins.
    pub fn spki(&self) -> Sha256 {
        self.last().spki
    }

    /// What stands behind each leaf, who issues first, the root last.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The same as it was read.
    pub fn certificates(&self) -> &[Certificate] {
        &self.read
    }

    /// A leaf for a key that somebody else holds: client and server authentication, those of these names and addresses that
    /// the chain permits.
    ///
    /// # Errors
    /// `E-INTERNAL`; `E-TLS` where who issues has ended.
    pub fn issue(&self, name: &str, names: &[String], spki: &[u8], now: Timestamp, life: Duration) -> Result<Issued> {
        let key = SubjectPublicKeyInfo::from_der(spki).map_err(|error| make::internal("reading a key", &error))?;
        self.for_others(name, names, &key, now, life)
    }

    /// A fresh key with its leaf.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_with_key(
        &self,
        name: &str,
        names: &[String],
        now: Timestamp,
        life: Duration,
    ) -> Result<(Issued, KeyPair)> {
        let key = make::key()?;
        Ok((self.for_others(name, names, &key, now, life)?, key))
    }

    /// The server's own chain and key, with its role, which no other certificate has. The root is part of the chain: an
    /// agent knows it by the hash of its key alone.
    ///
    /// # Errors
    /// `E-INTERNAL`.
    pub fn server_identity(&self, names: &[String], now: Timestamp) -> Result<ServerIdentity> {
        self.server_identity_of(&make::key()?, names, now)
    }

    /// The same with a key that there is.
    ///
    /// # Errors
    /// As there.
    pub fn server_identity_of(&self, key: &KeyPair, names: &[String], now: Timestamp) -> Result<ServerIdentity> {
        let refused = self.refused(names);
        if !refused.is_empty() {
            tracing::warn!("the server's certificate is not for {}: the CA does not permit it", refused.join(", "));
        }
        let mut params = leaf("boot-server", &self.permitted(names))?;
        let role = SERVER_ROLE.try_into().map_err(|error| make::internal("naming the server's role", &error))?;
        params.subject_alt_names.push(SanType::URI(role));
        let issued = self.sign(params, key, now, SERVER_LIFE)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((issued.chain, key))
    }

    /// A CRL of these certificates, PEM.
    ///
    /// # Errors
    /// `E-INTERNAL`; where who issues may not sign one.
    pub fn revocation_list(&self, revoked: &[Revoked], now: Timestamp) -> Result<String> {
        let revoked_certs = revoked.iter().filter_map(|one| {
            let serial = data_encoding::HEXLOWER.decode(one.serial.as_bytes()).ok()?;
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: one.since,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: since(now, BACKDATE),
            next_update: now + LIST_LIFE,
            // It grows with the time.
            crl_number: u64::try_from(now.unix_timestamp()).unwrap_or_default().into(),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signing = |error| make::internal("signing the list of revoked certificates", &error);
        list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(signing)
    }

    /// Of these names and addresses those that the chain does not permit.
    pub fn refused(&self, names: &[String]) -> Vec<String> {
        if !self.read.iter().any(|one| one.is_constrained) || self.permits(names) {
            return Vec::new();
        }
        names.iter().filter(|name| !self.permits(std::slice::from_ref(name))).cloned().collect()
    }

    fn permitted(&self, names: &[String]) -> Vec<String> {
        let refused = self.refused(names);
        names.iter().filter(|name| !refused.contains(name)).cloned().collect()
    }

    /// Tried, and judged as a client judges it: there is no second opinion.
    fn permits(&self, names: &[String]) -> bool {
        let judged = || {
            let leaf = self.probe(names).ok()?;
            let roots = self.root_store().ok()?;
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::new(default_provider())).build().ok()?;
            let wanted = ServerName::try_from(names.first()?.clone()).ok()?;
            verifier.verify_server_cert(&leaf, &self.chain, &wanted, &[], self.moment()).ok()
        };
        judged().is_some()
    }

    /// Whether what is issued would be taken by who trusts the root.
    fn try_chain(&self) -> Result<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            let cause =
                format!("trying what {} would issue under {}: {why}", self.read[0].subject, self.last().subject);
            Failure::new(Code::Config, cause)
        };
        let leaf = self.probe(&[])?;
        let verifier = WebPkiClientVerifier::builder_with_provider(self.root_store()?, Arc::new(default_provider()));
        let verifier = verifier.build().map_err(|error| wrong(&error))?;
        verifier.verify_client_cert(&leaf, &self.chain, self.moment()).map(drop).map_err(|error| wrong(&error))
    }

    fn last(&self) -> &Certificate {
        &self.read[self.read.len() - 1]
    }

    fn probe(&self, names: &[String]) -> Result<CertificateDer<'static>> {
        let moment = self.begun();
        let (key, mut params) = (make::key()?, leaf("probe", names)?);
        (params.not_before, params.not_after) = (moment, moment + Duration::HOUR);
        let signed = params.signed_by(&key, &self.issuer).map_err(|error| make::internal("trying the CA", &error))?;
        Ok(signed.der().clone())
    }

    /// Whatever the clock says, all of the chain has begun then.
    fn begun(&self) -> Timestamp {
        self.read.iter().map(|one| one.from).max().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn moment(&self) -> UnixTime {
        let seconds = u64::try_from(self.begun().unix_timestamp()).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }

    fn root_store(&self) -> Result<Arc<RootCertStore>> {
        store(std::slice::from_ref(self.root())).map(Arc::new).or_fail(Code::Config, || "reading the root")
    }

    fn for_others(
        &self,
        name: &str,
        names: &[String],
        key: &impl PublicKeyData,
        now: Timestamp,
        life: Duration,
    ) -> Result<Issued> {
        let ends = self.read.iter().map(|one| one.until).min().unwrap_or(now);
        if now >= ends {
            let cause = format!("issuing a certificate for {name}: the CA's own ended {}", to_the_second(ends));
            return Err(Failure::new(Code::Tls, cause).with_remedy(
                "on the server: boot-server ca show says which, ca renew or ca rotate makes the next one",
            ));
        }
        self.sign(leaf(name, &self.permitted(names))?, key, now, life.min(ends - now))
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        now: Timestamp,
        life: Duration,
    ) -> Result<Issued> {
        let serial = make::serial()?;
        params.serial_number = Some(serial.clone());
        // What is meant to be short is not half over when it begins.
        (params.not_before, params.not_after) = (since(now, BACKDATE.min(life / 2_i32)), now + life);
        let leaf =
            params.signed_by(key, &self.issuer).map_err(|error| make::internal("signing a certificate", &error))?;
        let chain: Vec<_> = [leaf.der()].into_iter().chain(&self.chain).cloned().collect();
        Ok(Issued {
            chain_pem: pem::encode(&chain),
            chain,
            serial: data_encoding::HEXLOWER.encode(&serial.to_bytes()),
            not_after: params.not_after,
        })
    }
}

/// A certificate that issues nothing, for client and server authentication.
fn leaf(name: &str, names: &[String]) -> Result<CertificateParams> {
    let making = |error| make::internal(&format!("making a certificate for {name}"), &error);
    let mut params = CertificateParams::new(names.to_vec()).map_err(making)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
