//! HTTPS as a client: our CA is known and nothing else is; with or without a certificate of our own.

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use protocol::{Code, Failure, failure::Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::sync::Arc;

/// A certificate chain and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Connects to servers with a certificate of this CA.
///
/// # Errors
/// `E-TLS` where a certificate cannot be used.
pub fn connector(ca: CertificateDer<'static>, identity: Option<Identity>) -> Result<HttpsConnector<HttpConnector>> {
    let unusable = |error: rustls::Error| Failure::from_error(Code::Tls, "setting up TLS", &error);
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(unusable)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let tls = match identity {
        Some((chain, key)) => tls.with_client_auth_cert(chain, key).map_err(unusable)?,
        None => tls.with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build())
}
