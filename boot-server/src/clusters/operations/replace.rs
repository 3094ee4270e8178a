//! `replace`: another machine, or the same one with empty disks and a new key, takes a node's place.

use super::{Operations, Teller, keep, removal::unseat, take_key};
use crate::{
    domain::{
        audit::{Action, Actor},
        lifecycle::Input,
        operation::{Kind, Operation, Stage, WINDOW, resume},
    },
    state::seen::Seen,
};
use protocol::{failure::Result, names::NodeName, operations::Power};
use serde_json::json;

impl Operations {
    /// Removes the node's members, revokes its key, opens its next generation to a machine with its claims, and has
    /// the machine boot from the network. Goes on where it was when it is run again.
    ///
    /// # Errors
    /// As [`Operations::remove`]; `E-TOOL` of the power hook; `E-WRONG-STATE`.
    pub async fn replace(&self, name: &NodeName, force: bool, actor: &Actor, teller: &Teller) -> Result<()> {
        let _one_at_a_time = self.alone()?;
        let (node, mut seen) = self.state.see(name).await?;
        node.record.after(&Input::Replace).map_err(|refusal| refusal.failure(name))?;
        let mut operation = resume(seen.operation.clone(), name, Kind::Replace, &actor.name, false)?;
        if operation.stage < Stage::Removed {
            self.remove_members(&node, force, teller).await?;
            operation.stage = Stage::Removed;
            self.removed(name, &mut seen, &operation, actor).await?;
        }
        if operation.stage < Stage::Opened {
            operation = self.open_for_another(name, &mut seen, operation, actor, teller).await?;
        } else {
            teller.tell("its next generation is open already");
        }
        // It may have asked since, or before a verb that broke off.
        self.admission.settle_all().await?;
        let node = self.state.known_node(name).await?;
        self.powered(Power::NetworkBoot, &node, actor, teller).await?;
        if let Some(until) = operation.window {
            let until = until.format(&time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
            teller.tell(format!(
                "until {} a machine with the claims of its spec and a new key needs no approval, once; \
                 where the new machine has other cards or another serial, apply the spec with them first",
                until.unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// The node's members are gone: the arbiter gives no turn any more.
    pub(super) async fn removed(
        &self,
        name: &NodeName,
        seen: &mut Seen,
        operation: &Operation,
        actor: &Actor,
    ) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let node = unit.node_as(name, seen).await?;
        unseat(&mut unit, &node, actor).await?;
        keep(&mut unit, name, seen, operation).await?;
        unit.commit().await
    }

    /// In one unit: the key loses the node, the next generation is open, and so is the window.
    async fn open_for_another(
        &self,
        name: &NodeName,
        seen: &mut Seen,
        operation: Operation,
        actor: &Actor,
        teller: &Teller,
    ) -> Result<Operation> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_as(name, seen).await?;
        node.record = node.record.after(&Input::Replace).map_err(|refusal| refusal.failure(name))?;
        let revoked = take_key(&mut unit, &mut node).await?;
        unit.forget_installation(&mut node).await?;
        let operation = Operation { stage: Stage::Opened, window: Some(unit.now() + WINDOW), ..operation };
        keep(&mut unit, name, seen, &operation).await?;
        let generation = node.record.generation;
        let text = format!("opened generation {generation} to another machine: replace");
        let is = json!({ "generation": generation, "window": operation.window.map(protocol::to_the_second) });
        let deed = Action::Replace.says(text).changing(json!({ "key": revoked }), is);
        unit.note(actor, Some(name), deed).await?;
        unit.save_node(&node).await?;
        // The new machine may have asked before the verb was run: nobody closes the window before it is looked for.
        self.admission.admit_waiting(&mut unit, &node).await?;
        unit.commit().await?;
        if let Some(key) = revoked {
            teller.tell(format!("revoked the key of its machine, {}", &key.hex()[..12]));
        }
        teller.tell(format!("opened generation {generation}"));
        Ok(operation)
    }
}
