//! Whether a connection failed over a certificate: by the type of the error, wherever it is in the chain.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::{error::Error, io};

/// Whether one side refused the other's certificate. Anything else (nobody there, no TLS, broken off) may pass by itself.
pub fn refused_certificate(error: &(dyn Error + 'static)) -> bool {
    first_tls_error(error).is_some_and(is_of_certificate)
}

/// What to do where this side refused the certificate for its name or its time; not where it leads to another CA.
pub fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let TlsError::InvalidCertificate(refused) = first_tls_error(error)? else { return None };
    match refused {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some(
            "use an address that the certificate names, or name this one in it ([https] names of the boot-server's config.toml)",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some(
            "compare the clocks of both sides; where they are right, the certificate has ended and a new one is needed",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("compare the clocks of both sides: the certificate is not good yet by this one")
        }
        CertificateError::ApplicationVerificationFailure => Some(
            "a node answers there, and not the boot-server: look where the tunnel or the port ends, or use the server's address",
        ),
        _ => None,
    }
}

fn first_tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = tls_error(error) {
            return Some(tls);
        }
        next = error.source();
    }
    None
}

/// An `io::Error` shows its inner error's source and not the inner error itself.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let inner = || error.downcast_ref::<io::Error>()?.get_ref();
    error.downcast_ref().or_else(|| match inner()?.downcast_ref::<io::Error>() {
        Some(nested) => tls_error(nested),
        None => inner()?.downcast_ref(),
    })
}

/// What the peer says in an alert (RFC 8446, section 6.2), and what rustls says itself.
fn is_of_certificate(error: &TlsError) -> bool {
    match error {
        TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented | TlsError::UnsupportedNameType => true,
        TlsError::AlertReceived(alert) => !matches!(
            alert,
            AlertDescription::CloseNotify | AlertDescription::InternalError | AlertDescription::UserCanceled
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(error: TlsError) -> io::Error {
        io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_refusal_is_known_however_deep_it_lies_and_whatever_its_words() {
        for error in [
            TlsError::InvalidCertificate(CertificateError::Expired),
            TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
            TlsError::NoCertificatesPresented,
            TlsError::AlertReceived(AlertDescription::UnknownCA),
        ] {
            assert!(refused_certificate(&error), "{error}");
            assert!(refused_certificate(&wrapped(error)));
        }
    }

    #[test]
    fn a_name_and_a_time_have_remedies_of_their_own() {
        let of = |error| remedy(&wrapped(TlsError::InvalidCertificate(error))).unwrap_or_default();
        assert!(of(CertificateError::Expired).contains("clocks"));
        assert!(of(CertificateError::NotValidForName).contains("address"));
        assert_eq!(of(CertificateError::UnknownIssuer), "");
    }

    #[test]
    fn what_only_speaks_of_certificates_or_breaks_off_is_none() {
        assert!(!refused_certificate(&io::Error::other("the certificate shop has an alert")));
        assert!(!refused_certificate(&wrapped(TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType))));
        assert!(!refused_certificate(&wrapped(TlsError::AlertReceived(AlertDescription::InternalError))));
        assert!(!refused_certificate(&io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
}
