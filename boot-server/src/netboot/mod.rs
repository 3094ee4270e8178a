//! The legs that firmware, iPXE and the agent in its initrd meet: DHCP, TFTP, plain HTTP.
//!
//! They know packets and files. Who boots what is behind [`policy::Policy`].

pub mod context;
pub mod dhcp;
pub mod http;
mod interface;
pub mod ipxe;
mod page_cache;
pub mod policy;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod router_advert;
pub mod site;
pub mod tftp;
