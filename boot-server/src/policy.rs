//! The one seam between the protocol legs and who boots what.
//!
//! DHCP, TFTP and HTTP know packets and files; what a machine should do is behind this trait.

use protocol::{
    claims::Claims,
    names::{Mac, NodeName},
};
use std::{future::Future, net::Ipv4Addr, pin::Pin};

/// What a machine that asks for its boot script should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// Start the agent, which installs or enrols.
    Install {
        /// Role of the node; also the image, where there is one of that name.
        profile: NodeName,
        /// Name of the node, where it is known.
        hostname: Option<NodeName>,
    },
    /// Go on to the disk.
    LocalDisk,
    /// Ask again later.
    Wait {
        /// One line for the machine's console.
        reason: String,
    },
    /// Let the person at the console choose.
    Menu {
        /// Chosen when nobody does.
        default_profile: NodeName,
        /// Seconds until the default is taken; 0 waits for ever.
        timeout_seconds: u32,
    },
}

/// An answer that may have to wait for the state.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the legs ask of the rest of the server.
pub trait Policy: Send + Sync + 'static {
    /// What the machine with these claims should boot.
    fn boot<'a>(&'a self, claims: &'a Claims) -> Answer<'a, Boot>;

    /// The address that an operator fixed for this card. Called for every DHCP packet: from memory.
    fn reserved_address(&self, mac: &Mac) -> Option<Ipv4Addr> {
        let _ = mac;
        None
    }

    /// Whose address this is, where an operator fixed it. Called as often.
    fn reservation_of(&self, address: Ipv4Addr) -> Option<Mac> {
        let _ = address;
        None
    }

    /// Something for the admin page: an empty pool, a foreign DHCP server, an unknown architecture.
    /// The legs report a matter once and not per packet.
    fn event(&self, text: &str) {
        tracing::warn!("{text}");
    }
}
