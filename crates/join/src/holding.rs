//! A marker counts only with what it was made with: a state file can outlive the data that it speaks of.

use super::{
    driver::{Holding, Node},
    markers,
};
use protocol::{Code, Failure, failure::Result};

/// Judges what a node with a marker still holds.
///
/// # Errors
/// `E-CLUSTER-JOIN` where what the marker speaks of is gone.
pub fn still_holds(node: &Node, holding: Holding) -> Result<()> {
    let Holding::Lost(found) = holding else { return Ok(()) };
    match markers::find(&node.settings.state_dir, node.service)? {
        Some((_, marker)) => Err(gone(node, &format!("{} says that this node is a member", marker.display()), &found)),
        None => Ok(()),
    }
}

/// The failure of a member without its data: to start its service on nothing could found the cluster a second time, with
/// the same ids.
pub fn gone(node: &Node, said: &str, found: &str) -> Failure {
    let service = node.service;
    let cause = format!("entering {service}: {said}, and {found}: its data is gone");
    Failure::new(Code::ClusterJoin, cause).with_remedy(format!(
        "replace this node: boot-server cluster replace NODE --yes; without a boot-server: initrd-agent leave {service}, \
         then join anew with bootstrap false; where all members have lost their data: the guide to disaster recovery"
    ))
}
