//! The one seam between the protocol legs and who boots what.
//!
//! DHCP, TFTP and HTTP know packets and files; what a machine should do is behind this trait.

use crate::domain::{addresses::FixedAddresses, boot::Boot};
use protocol::claims::Claims;
use std::{future::Future, pin::Pin, sync::Arc};

/// An answer that may have to wait for the state.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the legs ask of the rest of the server.
pub trait Policy: Send + Sync + 'static {
    /// What the machine with these claims should boot.
    fn boot<'a>(&'a self, claims: &'a Claims) -> Answer<'a, Boot>;

    /// The addresses that operators fixed. Called for every DHCP packet: from memory.
    fn addresses(&self) -> Arc<FixedAddresses>;

    /// Something for the admin page: an empty pool, a foreign DHCP server, an unknown architecture.
    /// The legs report a matter once and not per packet.
    fn event(&self, text: &str);
}
