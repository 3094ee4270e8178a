//! Which driver is for which service.

use super::{
    admin_api::Announced,
    driver::{Driver, Node},
    etcd::Etcd,
    iam::SetUp,
};
use protocol::{failure::Result, service::Service};

/// The driver of the node's service.
///
/// # Errors
/// `E-CONFIG` where the configuration does not say who the node is in the cluster.
pub fn driver(node: &Node) -> Result<Box<dyn Driver + '_>> {
    Ok(match node.service {
        Service::Etcd => Box::new(Etcd::new(node)?),
        Service::Chainfire | Service::Flaredb => Box::new(Announced::new(node)),
        Service::Iam => Box::new(SetUp::new(node)),
    })
}
