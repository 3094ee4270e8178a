//! Roots and issuing certificates, made.

use super::{BACKDATE, since};
use host::certificate::Certificate;
use protocol::{Code, Failure, Timestamp, failure::Result};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber,
};
use rsa::{PrivateKey, pkcs8::EncodePrivateKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::{net::IpAddr, str::FromStr};
use time::Duration;

/// A root outlives the machines; its key lies in a safe.
pub const ROOT_LIFE: Duration = Duration::days(20 * 365);
/// An issuing certificate is renewed by the root's key.
pub const ISSUING_LIFE: Duration = Duration::days(5 * 365);

/// What an issuing certificate may issue for: a DNS name with all below it, or a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// `cluster.example`: the name, and all names below it.
    Name(String),
    /// `10.0.0.0/8`, or one address.
    Network(IpAddr, u8),
}

impl std::fmt::Display for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Network(address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

impl FromStr for Permit {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Ok(most), str::parse::<u8>).ok().filter(|prefix| *prefix <= most);
            return prefix.map(|prefix| Self::Network(address, prefix)).ok_or_else(|| format!("{text}: no network"));
        }
        let label =
            |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if prefix.is_none() && text.split('.').all(label) {
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        Err(format!("{text:?} is neither a DNS name nor a network such as 10.77.0.0/16"))
    }
}

/// What every server and node is reached by, beside what the operator permits: `own` is the server's address.
pub fn with_own(permits: &[Permit], own: IpAddr) -> Vec<Permit> {
    let mut all = permits.to_vec();
    if permits.iter().any(|permit| matches!(permit, Permit::Name(_))) {
        all.push(Permit::Name("localhost".to_owned()));
    }
    if permits.iter().any(|permit| matches!(permit, Permit::Network(..))) {
        all.push(Permit::Network(IpAddr::from([127, 0, 0, 0]), 8));
        all.push(Permit::Network(own, if own.is_ipv4() { 32 } else { 128 }));
    }
    all
}

/// What an issuing certificate permits, to be permitted by the next one.
pub fn permits_of(issuing: &Certificate) -> Vec<Permit> {
    let name = |name: &String| Permit::Name(name.clone());
    let network = |bytes: &Vec<u8>| {
        let (address, mask) = bytes.split_at(bytes.len() / 2);
        let prefix = u8::try_from(mask.iter().map(|byte| byte.count_ones()).sum::<u32>()).ok()?;
        let address = match address.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        };
        Some(Permit::Network(address, prefix))
    };
    let names = issuing.permitted_dns.iter().map(name);
    names.chain(issuing.permitted_networks.iter().filter_map(network)).collect()
}

/// A root: its certificate and key in PEM.
///
/// # Errors
/// `E-INTERNAL`, `E-SYSTEM`.
pub fn root(now: Timestamp) -> Result<(String, String)> {
    self_signed("root", 1, &key()?, now)
}

/// A root for those who read RSA alone, which issues by itself: its certificate and key in PEM.
///
/// # Errors
/// `E-INTERNAL`, `E-SYSTEM`.
pub fn rsa_root(now: Timestamp) -> Result<(String, String)> {
    self_signed("root of iPXE", 0, &rsa_key()?, now)
}

/// `below`: how many issuing certificates may stand between the root and a leaf.
fn self_signed(name: &str, below: u8, key: &KeyPair, now: Timestamp) -> Result<(String, String)> {
    let mut params = issuer(&format!("centra {name}"), now, ROOT_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    let certificate = params.self_signed(key).map_err(|error| internal(&format!("making the {name}"), &error))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// A new RSA key, which takes a moment.
///
/// # Errors
/// `E-INTERNAL`.
pub fn rsa_key() -> Result<KeyPair> {
    const BITS: usize = 2048;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("making an RSA key: {error}"));
    let key = PrivateKey::new(&mut ::tpm::Ring, BITS).map_err(|error| failed(&error))?;
    let key = key.to_pkcs8_der().map_err(|error| failed(&error))?;
    let key = PrivatePkcs8KeyDer::from(key.as_bytes());
    KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_RSA_SHA256).map_err(|error| failed(&error))
}

/// An issuing certificate under a root (both in PEM): its certificate and key in PEM. It ends with the root at the latest.
///
/// # Errors
/// `E-CONFIG` where the root or its key cannot be read; `E-INTERNAL`, `E-SYSTEM`.
pub fn issuing(root: &str, root_key: &str, permits: &[Permit], now: Timestamp) -> Result<(String, String)> {
    let unreadable = |error| Failure::from_error(Code::Config, "reading the root and its key", &error);
    let root_key = KeyPair::from_pem(root_key).map_err(unreadable)?;
    let read = Certificate::read(host::http::pem::decode(root)?.first().map(AsRef::as_ref).unwrap_or_default())?;
    let issuer_of = Issuer::from_ca_cert_pem(root, root_key).map_err(unreadable)?;
    let key = key()?;
    let mut params = issuer("centra issuing", now, ISSUING_LIFE.min(read.until - now))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.name_constraints = constraints(permits);
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer_of);
    let certificate = certificate.map_err(|error| internal("making the issuing certificate", &error))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn issuer(name: &str, now: Timestamp, life: Duration) -> Result<CertificateParams> {
    let serial = serial()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Two roots have two names, so that nobody tries the wrong one.
    let mark = &data_encoding::HEXLOWER.encode(&serial.to_bytes())[..8];
    params.distinguished_name.push(DnType::CommonName, format!("{name} {mark}"));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (since(now, BACKDATE), now + life);
    params.serial_number = Some(serial);
    Ok(params)
}

fn constraints(permits: &[Permit]) -> Option<NameConstraints> {
    let subtree = |permit: &Permit| match permit {
        Permit::Name(name) => GeneralSubtree::DnsName(name.clone()),
        Permit::Network(address, prefix) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(network(*address, *prefix), *prefix))
        }
    };
    let permitted_subtrees: Vec<_> = permits.iter().map(subtree).collect();
    (!permitted_subtrees.is_empty()).then_some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() })
}

/// The address without the bits of its host: some readers refuse others.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into()),
        IpAddr::V6(address) => {
            IpAddr::V6((u128::from(address) & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into())
        }
    }
}

/// A new key.
pub(super) fn key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| internal("making a key", &error))
}

pub(super) fn serial() -> Result<SerialNumber> {
    let mut bytes = crate::base::random::bytes::<16>()?;
    // Positive, and of one length.
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

pub(super) fn internal(activity: &str, error: &rcgen::Error) -> Failure {
    Failure::from_error(Code::Internal, activity, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_permitted_is_a_name_or_a_network() {
        let network = |text: &str, prefix| Ok(Permit::Network(text.parse().unwrap(), prefix));
        assert_eq!("10.77.0.0/16".parse(), network("10.77.0.0", 16));
        assert_eq!("10.77.0.9".parse(), network("10.77.0.9", 32));
        assert_eq!("fd00::/8".parse(), network("fd00::", 8));
        assert_eq!("Cluster.example".parse(), Ok(Permit::Name("cluster.example".to_owned())));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "a/b", ".example", "a b", "*.example"] {
            assert!(wrong.parse::<Permit>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_network_has_no_bits_of_a_host() {
        let of = |text: &str, prefix| super::network(text.parse().unwrap(), prefix).to_string();
        assert_eq!(
            (of("10.77.3.9", 16), of("10.77.3.9", 0), of("10.77.3.9", 32)),
            ("10.77.0.0".into(), "0.0.0.0".into(), "10.77.3.9".into())
        );
        assert_eq!((of("fd12::1", 8), of("fd12::1", 128)), ("fd00::".into(), "fd12::1".into()));
    }
}
