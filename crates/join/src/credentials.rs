//! The node's certificate, its key and the cluster's CA: do they fit each other, this node and today?

use cluster::client::{PeerClient, Remedies};
use host::{
    certificate::Certificate,
    http::{Identity, pem},
};
use protocol::{Code, Failure, Timestamp, cluster::ClusterConfig, failure::Result};
use rustls::{
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use webpki::{EndEntityCert, KeyUsage};

/// A certificate that ends sooner would end during the join or just after it.
const LEAST_LEFT: Duration = Duration::from_secs(600);

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The CA of the cluster.
    pub ca: PathBuf,
    /// The node's chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What a TLS connection to the cluster needs.
pub struct Credentials {
    /// The CA of the cluster.
    pub roots: Vec<CertificateDer<'static>>,
    /// The node's chain and key.
    pub identity: Identity,
}

impl Credentials {
    /// A client for the members of the cluster, which gives each call `limit`.
    ///
    /// # Errors
    /// `E-TLS` where the certificates cannot be used.
    pub fn client(&self, limit: Duration) -> Result<PeerClient> {
        let remedies = Remedies {
            code: Code::ClusterUnreachable,
            unreachable: Code::ClusterUnreachable.remedy(),
            refused: "both certificates must come from the cluster's CA, be in date and name the host of the URL; check both clocks",
        };
        PeerClient::new(self.roots.clone(), &self.identity, limit, remedies)
    }
}

/// For calls to the service on this node: there is no network between.
pub const LOCAL: Remedies = Remedies {
    code: Code::ServiceUnhealthy,
    unreachable: "see whether the service runs on this node, and at this address and port (systemctl status); read its journal",
    refused: "the service on this node must show a certificate of the cluster's CA for the node's address, and take this one's",
};

impl Paths {
    /// Those of the configuration, else those that the installer writes: by the node's name, or `node`.
    pub fn of(config: &ClusterConfig, secrets_dir: &Path) -> Self {
        match &config.tls {
            Some(tls) => Self {
                ca: (&tls.ca_cert_path).into(),
                certificate: (&tls.node_cert_path).into(),
                key: (&tls.node_key_path).into(),
            },
            None => {
                let (certificate, key) = installed_pair(secrets_dir, &config.node_id);
                Self { ca: secrets_dir.join("ca.crt"), certificate, key }
            }
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// `E-PREFLIGHT` with the path.
    pub fn load(&self) -> Result<Credentials> {
        let load = || {
            Ok(Credentials {
                roots: pem::certificates(&self.ca)?,
                identity: pem::identity(&self.certificate, &self.key)?,
            })
        };
        load().map_err(|failure: Failure| {
            Failure::new(Code::Preflight, failure.cause).with_remedy(
                "put the cluster's ca.crt and this node's certificate and key (PEM) at the paths of the configuration",
            )
        })
    }
}

/// The certificate and key that the installer writes: by the node's name, or `node`.
pub fn installed_pair(secrets_dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let pair = |stem: &str| (secrets_dir.join(format!("{stem}.crt")), secrets_dir.join(format!("{stem}.key")));
    let named = Some(pair(name)).filter(|(crt, key)| crt.exists() && key.exists());
    named.unwrap_or_else(|| pair("node"))
}

/// Whether the peers of the cluster will accept this node by them now; `Some` is a warning.
///
/// # Errors
/// `E-PREFLIGHT` with what does not fit.
pub fn judge(credentials: &Credentials, address: IpAddr, now: Timestamp) -> Result<Option<String>> {
    let Identity { chain, key } = &credentials.identity;
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &default_provider()) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(refused(
                "the key does not belong to the certificate",
                "install the certificate and key as one pair",
            ));
        }
        Err(error) => return Err(refused(&error.to_string(), "install a PKCS#8, SEC1 or PKCS#1 key")),
    }
    let warning = judge_dates(&chain[0], now)?;
    judge_chain(credentials, address, now)?;
    Ok(warning)
}

/// From when until when a certificate is good.
///
/// # Errors
/// `E-PREFLIGHT` where it cannot be read.
pub fn validity(leaf: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp)> {
    let leaf = Certificate::read(leaf).map_err(|failure| refused(&failure.cause, "install a valid certificate"))?;
    Ok((leaf.from, leaf.until))
}

/// Whether the key is that of the certificate.
pub fn is_pair(identity: &Identity) -> bool {
    CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), &default_provider()).is_ok()
}

fn judge_dates(leaf: &CertificateDer<'_>, now: Timestamp) -> Result<Option<String>> {
    let (from, until) = validity(leaf)?;
    if now < from {
        return Err(refused(&format!("not valid before {from}, and it is {now}"), "set the clock of this node"));
    }
    // Where certificates are meant to be short, a third of one must do.
    if now + LEAST_LEFT.min(((until - from) / 3_i32).unsigned_abs()) > until {
        return Err(refused(
            &format!("valid until {until}, and it is {now}"),
            "renew the certificate (initrd-agent renew, or a new one from the boot-server), or set the clock",
        ));
    }
    let near = (until - now) < (until - from) / 3;
    Ok(near.then(|| format!("the node's certificate ends {until}: renew it")))
}

fn judge_chain(credentials: &Credentials, address: IpAddr, now: Timestamp) -> Result<()> {
    let chain = &credentials.identity.chain;
    let unreadable = |error: webpki::Error| refused(&format!("{error:?}"), "install a valid certificate");
    let leaf = EndEntityCert::try_from(&chain[0]).map_err(unreadable)?;
    let anchors: std::result::Result<Vec<_>, _> =
        credentials.roots.iter().map(webpki::anchor_from_trusted_cert).collect();
    let anchors =
        anchors.map_err(|error| refused(&format!("the CA is not usable: {error:?}"), "install the cluster's CA"))?;
    let since_epoch = Duration::from_secs(u64::try_from(now.unix_timestamp()).unwrap_or(0));
    let now = UnixTime::since_unix_epoch(since_epoch);
    for (usage, name) in [(KeyUsage::client_auth(), "clientAuth"), (KeyUsage::server_auth(), "serverAuth")] {
        leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &chain[1..], now, usage, None, None).map_err(
            |error| match error {
                webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => refused(
                    "the CA in ca.crt did not issue it",
                    "install the CA and the certificate of the same cluster",
                ),
                error => {
                    refused(&format!("not usable for {name}: {error:?}"), "issue it with clientAuth and serverAuth")
                }
            },
        )?;
    }
    leaf.verify_is_valid_for_subject_name(&ServerName::IpAddress(address.into())).map_err(|_| {
        refused(&format!("it does not name {address}, so peers would refuse this node"), "issue it for this address")
    })
}

fn refused(why: &str, remedy: &str) -> Failure {
    Failure::new(Code::Preflight, format!("checking the node's certificate: {why}")).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use time::{OffsetDateTime, ext::NumericalDuration};

    const NODE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn ca() -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.der().clone(), Issuer::new(params, key))
    }

    fn leaf(issuer: &Issuer<'static, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![NODE.to_string()]).unwrap();
        params.not_before = OffsetDateTime::UNIX_EPOCH;
        params.not_after = OffsetDateTime::UNIX_EPOCH + 9.days();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let chain = vec![params.signed_by(&key, issuer).unwrap().der().clone()];
        Identity { chain, key: rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
    }

    fn on_day(credentials: &Credentials, day: i64) -> Result<Option<String>> {
        judge(credentials, NODE, OffsetDateTime::UNIX_EPOCH + day.days())
    }

    #[test]
    fn the_pair_of_the_nodes_name_goes_before_the_common_one() {
        let folder = tempfile::tempdir().unwrap();
        let config: ClusterConfig = serde_json::from_value(serde_json::json!({
            "node_id": "n1", "node_role": "worker", "bootstrap": false, "cluster_name": "c",
            "leader_url": "https://n0:2379", "raft_addr": "10.0.0.1:2380"}))
        .unwrap();
        let key = || Paths::of(&config, folder.path()).key;
        assert_eq!(key(), folder.path().join("node.key"));
        for half in ["crt", "key"] {
            std::fs::write(folder.path().join(format!("n1.{half}")), "").unwrap();
        }
        assert_eq!(key(), folder.path().join("n1.key"));
    }

    #[test]
    fn a_good_certificate_passes_and_warns_in_its_last_third() {
        let (root, issuer) = ca();
        let mut good = Credentials { roots: vec![root], identity: leaf(&issuer, |_| ()) };
        assert_eq!(on_day(&good, 1), Ok(None));
        assert!(on_day(&good, 8).unwrap().is_some_and(|warning| warning.contains("renew")));
        good.roots.push(ca().0);
        assert_eq!(on_day(&good, 1), Ok(None));
    }

    #[test]
    fn what_peers_would_refuse_is_refused_here_with_the_reason() {
        let (root, issuer) = ca();
        let with = |identity| Credentials { roots: vec![root.clone()], identity };
        let good = with(leaf(&issuer, |_| ()));
        let mixed = Identity { key: leaf(&issuer, |_| ()).key, chain: good.identity.chain.clone() };
        let cases = [
            (on_day(&good, 9), "valid until"),
            (on_day(&good, -1), "not valid before"),
            (on_day(&with(mixed), 1), "does not belong"),
            (on_day(&with(leaf(&ca().1, |_| ())), 1), "did not issue"),
            (on_day(&with(leaf(&issuer, |params| params.extended_key_usages.truncate(1))), 1), "serverAuth"),
            (on_day(&with(leaf(&issuer, |params| params.subject_alt_names.clear())), 1), "does not name 127.0.0.1"),
        ];
        for (result, part) in cases {
            let failure = result.unwrap_err();
            assert_eq!(failure.code, Code::Preflight);
            assert!(failure.cause.contains(part), "{failure} / {part}");
        }
    }
}
