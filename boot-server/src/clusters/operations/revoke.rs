//! `revoke`: a key that somebody else may have is worth nothing from now on, whatever becomes of its node.

use super::{Operations, take_key};
use crate::domain::{
    audit::{Action, Actor},
    lifecycle::Input,
};
use protocol::{Code, Failure, admin::KeyRevoked, failure::Result, names::NodeName};
use serde_json::json;

impl Operations {
    /// The node's key is refused everywhere from the commit on, and no machine becomes the node until an operator has another
    /// one take its place. It waits for nobody: no other verb, no hook, no member.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` for a node that has no key.
    pub async fn revoke(&self, name: &NodeName, actor: &Actor) -> Result<KeyRevoked> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node(name).await?;
        let before = json!({ "state": node.record.state, "generation": node.record.generation });
        node.record = node.record.after(&Input::Revoked).map_err(|refusal| refusal.failure(name))?;
        let Some(key) = take_key(&mut unit, &mut node).await? else {
            let cause = format!("revoking the key of node {name}: it has none");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("a machine that waits is refused by boot-server reject"));
        };
        unit.end_operation(name).await?;
        let deed = Action::Revoke.says("revoked: no machine is the node until another one takes its place");
        unit.note(actor, Some(name), deed.changing(before, json!({ "state": node.record.state }))).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(KeyRevoked { node: name.clone(), key })
    }
}
