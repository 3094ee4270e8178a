//! Compare and set: a verb that waits between reading and writing says what it read.

use super::{State, Unit, nodes::Node};
use crate::domain::operation::Operation;
use protocol::{Code, Failure, encoding::Sha256, failure::Result, names::NodeName};

/// How far a node's life was when a verb looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its generation.
    pub generation: u64,
    /// What is done to it.
    pub operation: Option<Operation>,
}

impl State {
    /// The node, and how far it is.
    ///
    /// # Errors
    /// `E-NOT-FOUND`.
    pub async fn see(&self, name: &NodeName) -> Result<(Node, Seen)> {
        let node = self.known_node(name).await?;
        let seen = Seen { generation: node.record.generation, operation: self.operation(name).await? };
        Ok((node, seen))
    }
}

impl Unit {
    /// The node, where nobody has begun something else with it since it was seen so.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where somebody has; `E-NOT-FOUND`.
    pub async fn node_as(&mut self, name: &NodeName, seen: &Seen) -> Result<Node> {
        let node = self.node(name).await?;
        let operation = self.operation(name).await?;
        if node.record.generation == seen.generation && operation == seen.operation {
            return Ok(node);
        }
        let cause = format!(
            "operating on node {name}: somebody else has changed it meanwhile; it is {} at generation {}",
            node.record.state, node.record.generation
        );
        Err(Failure::new(Code::WrongState, cause)
            .with_remedy(format!("see what it is now: boot-server describe node {name}")))
    }

    /// The node, where the key is still its own: it may have lost the node since the handshake.
    ///
    /// # Errors
    /// `E-FORBIDDEN` where it is not; `E-NOT-FOUND`.
    pub async fn node_of(&mut self, name: &NodeName, key: &Sha256) -> Result<Node> {
        let node = self.node(name).await?;
        node.has_key(key)?;
        Ok(node)
    }
}
