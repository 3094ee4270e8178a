//! `initrd-agent leave`: out of the cluster, and the marker last, so that an interrupted way out is repeated.

use super::{driver::Node, markers, services::driver};
use protocol::failure::Result;

/// Has another member remove this node.
///
/// # Errors
/// Those of the driver; `E-CLUSTER-JOIN` where the cluster cannot let this node go.
pub async fn leave(node: &Node) -> Result<()> {
    if driver(node)?.leave().await? {
        tracing::info!("the cluster has removed this node");
    } else {
        tracing::info!("this node is no member");
    }
    markers::remove(&node.settings.state_dir, node.service)
}
