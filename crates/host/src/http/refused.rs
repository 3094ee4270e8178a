//! Whether a connection failed over a certificate: by the type of the error, wherever it is in the chain.

use rustls::{AlertDescription, Error as TlsError};
use std::{error::Error, io};

/// Whether one side refused the other's certificate. Anything else (nobody there, no TLS, broken off) may pass by itself.
pub fn refused_certificate(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = tls_error(error) {
            return is_of_certificate(tls);
        }
        next = error.source();
    }
    false
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
    use rustls::CertificateError;

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
    fn what_only_speaks_of_certificates_or_breaks_off_is_none() {
        assert!(!refused_certificate(&io::Error::other("the certificate shop has an alert")));
        assert!(!refused_certificate(&wrapped(TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType))));
        assert!(!refused_certificate(&wrapped(TlsError::AlertReceived(AlertDescription::InternalError))));
        assert!(!refused_certificate(&io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
}
