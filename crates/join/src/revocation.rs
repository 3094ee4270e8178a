//! The list of certificates that are good for nothing any more, as the services of the cluster read it.

use protocol::{Code, Failure, failure::Result};
use rustls::pki_types::{CertificateRevocationListDer, pem::PemObject};
use std::path::{Path, PathBuf};

/// Its name, beside `ca.crt`.
pub const FILE: &str = "ca.crl";
/// No list is larger: some twenty thousand certificates.
const MOST: usize = 1 << 20;

/// Where it is, where there is one. etcd refuses everybody by a list that is named and is not there.
pub fn beside(ca: &Path) -> Option<PathBuf> {
    Some(ca.with_file_name(FILE)).filter(|path| path.exists())
}

/// Whether a service could read it.
///
/// # Errors
/// `E-TLS`.
pub fn check(text: &str) -> Result<()> {
    let refused = |why: String| Failure::new(Code::Tls, format!("reading the list of revoked certificates: {why}"));
    if text.len() > MOST {
        return Err(refused("it is larger than 1 MiB".to_owned()));
    }
    let der =
        CertificateRevocationListDer::from_pem_slice(text.as_bytes()).map_err(|error| refused(error.to_string()))?;
    webpki::OwnedCertRevocationList::from_der(&der).map(drop).map_err(|error| refused(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    };
    use time::{Duration, OffsetDateTime};

    #[test]
    fn a_list_is_told_from_what_would_have_etcd_refuse_everybody() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let list = CertificateRevocationListParams {
            this_update: OffsetDateTime::UNIX_EPOCH,
            next_update: OffsetDateTime::UNIX_EPOCH + Duration::DAY,
            crl_number: 1u64.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let text = list.signed_by(&issuer).unwrap().pem().unwrap();
        assert!(check(&text).is_ok());
        // A sequence of another length.
        let torn = text.replacen("\nMI", "\nMA", 1);
        assert_ne!(torn, text);
        for wrong in ["", "no list", torn.as_str(), &"x".repeat(MOST + 1)] {
            assert_eq!(check(wrong).unwrap_err().code, Code::Tls);
        }
    }
}
