//! Certificates and keys from PEM files.

use super::Identity;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::path::Path;

/// No PEM file of certificates is larger than this.
const MAX_PEM: u64 = 1 << 20;

/// Every certificate of the file, at least one.
///
/// # Errors
/// `E-TLS` with the path where it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path)?;
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| refused(path, &error.to_string()))?;
    if all.is_empty() {
        return Err(refused(path, "there is no certificate in it"));
    }
    Ok(all)
}

/// The chain (leaf first) and its key.
///
/// # Errors
/// `E-TLS` with the path where a file cannot be read or does not hold what it should.
pub fn identity(chain: &Path, key: &Path) -> Result<Identity> {
    let bytes = read(key)?;
    let parsed = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| refused(key, &error.to_string()))?;
    Ok(Identity { chain: certificates(chain)?, key: parsed })
}

/// Certificates in PEM, one after another.
pub fn encode(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let encoded = data_encoding::BASE64.encode(certificate);
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        text += &format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    }
    text
}

/// Every certificate of a text, where it is PEM.
///
/// # Errors
/// `E-TLS` where it holds what is none, or none.
pub fn decode(text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let refused = |why: String| Failure::new(Code::Tls, format!("reading certificates: {why}"));
    match all.map_err(|error| refused(error.to_string()))? {
        none if none.is_empty() => Err(refused("there is none".to_owned())),
        all => Ok(all),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    // What to do about a file that cannot be read is the same whatever it was to hold.
    let unreadable = |failure: Failure| Failure { code: Code::Tls, ..failure };
    let activity = || format!("reading {}", path.display());
    let size = std::fs::metadata(path).or_fail(Code::Config, activity).map_err(unreadable)?.len();
    if size > MAX_PEM {
        return Err(refused(path, "it is larger than 1 MiB"));
    }
    std::fs::read(path).or_fail(Code::Config, activity).map_err(unreadable)
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::new(Code::Tls, format!("reading {}: {why}", path.display()))
        .with_remedy("name a PEM file that has what is looked for, or bring this one back")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_pem_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.crt");
        let missing = certificates(&path).unwrap_err();
        assert!(missing.code == Code::Tls && missing.cause.contains("node.crt"), "{missing}");
        assert_eq!(missing.remedy, "check the path: there is nothing there");
        std::fs::write(&path, "no certificate").unwrap();
        assert!(certificates(&path).unwrap_err().cause.contains("no certificate in it"));
        assert_eq!(identity(&path, &path).unwrap_err().code, Code::Tls);
    }
}
