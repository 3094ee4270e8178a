//! What stands in a certificate: the one reader of them. Whether it is to be believed is decided by webpki.

use protocol::{Code, Failure, Timestamp, encoding::Sha256, failure::Result};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
};

/// A certificate as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the SubjectPublicKeyInfo: whose it is.
    pub spki: Sha256,
    /// Whose it says it is.
    pub subject: String,
    /// Who issued it, as it says.
    pub issuer: String,
    /// Serial number, hex.
    pub serial: String,
    /// Not valid before.
    pub from: Timestamp,
    /// Not valid after.
    pub until: Timestamp,
    /// Whether it may issue others.
    pub is_ca: bool,
    /// Alternative names that are DNS names.
    pub dns_names: Vec<String>,
    /// Alternative names that are URIs.
    pub uris: Vec<String>,
    /// Whether it constrains names at all.
    pub is_constrained: bool,
    /// Name constraints: DNS names that it may issue for, where it may not for all.
    pub permitted_dns: Vec<String>,
    /// Name constraints: networks that it may issue for, as they are encoded (address and mask).
    pub permitted_networks: Vec<Vec<u8>>,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// `E-TLS`.
    pub fn read(der: &[u8]) -> Result<Self> {
        let unreadable = |why: &dyn std::fmt::Display| Failure::new(Code::Tls, format!("reading a certificate: {why}"));
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
        let mut read = Self {
            spki: Sha256::of(parsed.tbs_certificate.subject_pki.raw),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: parsed.tbs_certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            from: parsed.validity().not_before.to_datetime(),
            until: parsed.validity().not_after.to_datetime(),
            is_ca: parsed.is_ca(),
            dns_names: Vec::new(),
            uris: Vec::new(),
            is_constrained: false,
            permitted_dns: Vec::new(),
            permitted_networks: Vec::new(),
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    names.general_names.iter().for_each(|name| match name {
                        GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
                        GeneralName::URI(uri) => read.uris.push((*uri).to_owned()),
                        _ => {}
                    });
                }
                ParsedExtension::NameConstraints(constraints) => {
                    read.is_constrained = true;
                    constraints.permitted_subtrees.iter().flatten().for_each(|tree| match &tree.base {
                        GeneralName::DNSName(name) => read.permitted_dns.push((*name).to_owned()),
                        GeneralName::IPAddress(network) => read.permitted_networks.push(network.to_vec()),
                        _ => {}
                    });
                }
                _ => {}
            }
        }
        Ok(read)
    }

    /// Whether it says of itself that it issued itself.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo, where it is one.
pub fn spki(der: &[u8]) -> Option<Sha256> {
    Some(Certificate::read(der).ok()?.spki)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData, SanType};

    #[test]
    fn what_stands_in_a_certificate_is_read() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["n1".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("centra:x".try_into().unwrap()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "one");
        params.serial_number = Some(vec![0x4f, 0, 1].into());
        let read = Certificate::read(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!((read.subject.as_str(), read.serial.as_str(), read.is_ca), ("CN=one", "4f0001", false));
        assert_eq!(read.spki, Sha256::of(&key.subject_public_key_info()));
        assert_eq!((read.dns_names, read.uris), (vec!["n1".to_owned()], vec!["centra:x".to_owned()]));
        assert_eq!((read.from, read.until), (params.not_before, params.not_after));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(Certificate::read(b"x").unwrap_err().code, Code::Tls);
        assert_eq!(spki(b""), None);
    }
}
