//! Renewal of a node's certificate (docs/design.md section 4, point 5).

use crate::{Timestamp, encoding};
use serde::{Deserialize, Serialize};

/// `POST /v1/node/renew`, with the certificate that the node has.
///
/// A CSR of another key asks for that key to become the node's. The old one stays good until the new one has been used
/// once: that tells that the node has stored its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// The certificate signing request, DER. Nothing but its key is taken.
    #[serde(with = "encoding::base64")]
    pub csr: Vec<u8>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Leaf and CA in PEM.
    pub certificate: String,
    /// When the leaf ends.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: Timestamp,
}
