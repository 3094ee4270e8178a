//! Who is at the other end of a connection.

use super::seat::Seat;
use protocol::encoding::Sha256;
use std::{net::SocketAddr, sync::Arc};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// SPKI hash of its certificate, which leads to our CA; absent where it showed none.
    pub key: Option<Sha256>,
    /// The place of the connection.
    pub seat: Arc<Seat>,
}
