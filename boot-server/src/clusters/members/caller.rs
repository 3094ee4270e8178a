//! How the server speaks to members: with a certificate of its own CA that lives for minutes.

use crate::trust::ca::Ca;
use cluster::client::{PeerClient, Remedies};
use host::http::Identity;
use protocol::{Code, Failure, Timestamp, failure::Result};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::Duration;

/// A member that has not answered by then is taken for unreachable.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Long enough for one verb.
const CERTIFICATE_LIFE: time::Duration = time::Duration::minutes(15);
const REMEDIES: Remedies = Remedies {
    code: Code::ClusterUnreachable,
    unreachable: "is the node up; does its service run; does a firewall stand between it and the boot-server",
    refused: "the member's certificate must be of this boot-server's CA, in date, and name the host",
};

/// A client with a fresh key and certificate.
///
/// # Errors
/// `E-TLS`, `E-INTERNAL`.
pub fn caller(ca: &Ca, now: Timestamp) -> Result<PeerClient> {
    let (issued, key) =
        ca.authority().issue_with_key("boot-server", &["boot-server".to_owned()], now, CERTIFICATE_LIFE)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let identity = Identity { chain: issued.chain, key };
    PeerClient::new(ca.roots(), &identity, TIMEOUT, REMEDIES)
}

/// What a member answered wrongly, as an operator of the cluster meets it: nobody joins anything here.
pub fn refused(failure: Failure) -> Failure {
    match failure.code {
        Code::ClusterJoin | Code::Protocol | Code::ServiceUnhealthy => {
            Failure { code: Code::ClusterUnreachable, ..failure }
                .with_remedy("read the journal of the service on that node")
        }
        _ => failure,
    }
}
