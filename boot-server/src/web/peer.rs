//! Who is at the other end of a connection.

use super::seat::Seat;
use protocol::{Timestamp, encoding::Sha256};
use std::{net::IpAddr, sync::Arc};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address; of a request that one of our proxies has sent, whose it is.
    pub address: IpAddr,
    /// SPKI hash of its certificate, which leads to our CA; absent where it showed none, or an admin's.
    pub key: Option<Sha256>,
    /// SPKI hash of its certificate where that is an admin's: with it nobody is a node, whatever else the key may be.
    pub admin: Option<Sha256>,
    /// When that certificate ends: it may do so while the connection lasts.
    pub certificate_ends: Option<Timestamp>,
    /// The place of the connection.
    pub seat: Arc<Seat>,
}
