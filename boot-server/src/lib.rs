//! The boot-server: everything a machine meets between its firmware and its place in the cluster.
//!
//! A library with a thin binary, so that each leg can be run alone in a test.

pub mod context;
pub mod dhcp;
pub mod files;
pub mod health;
pub mod http;
pub mod ipxe;
pub mod policy;
pub mod router_advert;
pub mod site;
pub mod tftp;
