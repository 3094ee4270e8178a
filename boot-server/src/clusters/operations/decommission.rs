//! `decommission`: a node leaves for good; its disks are wiped by its own agent, which says so at the end.

use super::{Operations, Teller, take_key};
use crate::{
    domain::{
        audit::{Action, Actor, Deed},
        lifecycle::Input,
        operation::{Kind, Operation, Stage, resume},
    },
    state::{Unit, nodes::Node, seen::Seen},
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    operations::Power,
    report::WipedReport,
    spec::{Disks, WipePolicy},
};
use std::{net::IpAddr, sync::Arc};

/// Whether the layout has a disk that may be wiped.
fn may_be_wiped(disks: &Disks) -> bool {
    let names = disks.devices.get("disk").and_then(serde_json::Value::as_object);
    let kept = |name: &String| matches!(disks.wipe.get(name), Some(WipePolicy::Keep | WipePolicy::Ignore));
    names.is_some_and(|names| names.keys().any(|name| !kept(name)))
}

impl Operations {
    /// Drains the node, removes its members, has its disks wiped at its next network boot, and retires it. Goes on
    /// where it was when it is run again.
    ///
    /// # Errors
    /// As [`Operations::remove`]; `E-TOOL` of a hook; `E-WRONG-STATE`.
    pub async fn decommission(
        &self,
        name: &NodeName,
        keep_disks: bool,
        force: bool,
        actor: &Actor,
        teller: &Teller,
    ) -> Result<()> {
        let _one_at_a_time = self.alone()?;
        let (node, mut seen) = self.state.see(name).await?;
        if node.record.state == NodeState::Retired {
            teller.tell("it is retired already");
            return self.powered(Power::Off, &node, actor, teller).await;
        }
        let mut operation = resume(seen.operation.clone(), name, Kind::Decommission, &actor.name, keep_disks)?;
        if operation.stage < Stage::Drained {
            self.drain(&node, actor, teller).await?;
            operation.stage = Stage::Drained;
            self.reach(name, &mut seen, &operation).await?;
        }
        if operation.stage < Stage::Removed {
            self.remove_members(&node, force, teller).await?;
            operation.stage = Stage::Removed;
            self.removed(name, &mut seen, &operation, actor).await?;
        }
        // Hooks and members took their time: the spec may say something else of the disks by now.
        let node = self.state.known_node(name).await?;
        if let Some(why) = keeps_disks(&operation, &node) {
            self.retire(name, &seen, actor).await?;
            teller.tell(format!("its disks are left as they are, {why}; its key is revoked"));
            self.powered(Power::Off, &node, actor, teller).await?;
            teller.tell(format!("node {name} is retired: it boots nothing"));
            return Ok(());
        }
        if operation.stage < Stage::Opened || node.record.quarantined() {
            let generation = self.open_wipe(name, &seen, operation, actor).await?;
            teller.tell(format!("opened generation {generation}, which wipes its disks"));
        } else {
            teller.tell("the generation that wipes its disks is open already");
        }
        let node = self.state.known_node(name).await?;
        self.powered(Power::NetworkBoot, &node, actor, teller).await?;
        teller.tell(format!("it is retired once its agent has wiped the disks: boot-server wait {name} --for retired"));
        Ok(())
    }

    async fn open_wipe(&self, name: &NodeName, seen: &Seen, operation: Operation, actor: &Actor) -> Result<u64> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_as(name, seen).await?;
        node.record = node.record.after(&Input::Wipe).map_err(|refusal| refusal.failure(name))?;
        unit.forget_installation(&mut node).await?;
        let operation = Operation { stage: Stage::Opened, ..operation };
        unit.save_operation(name, &operation).await?;
        let generation = node.record.generation;
        let text = format!("opened generation {generation}: decommission, wiping its disks");
        unit.note(actor, Some(name), Action::Decommission.says(text)).await?;
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok(generation)
    }

    async fn retire(&self, name: &NodeName, seen: &Seen, actor: &Actor) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_as(name, seen).await?;
        node.record = node.record.after(&Input::Retire).map_err(|refusal| refusal.failure(name))?;
        unit.forget_installation(&mut node).await?;
        let deed = Action::Decommission.says("retired; its disks were left as they are");
        end_as_retired(&mut unit, &mut node, actor.clone(), deed).await?;
        unit.commit().await
    }

    /// The agent has wiped the disks: the node is retired and its key revoked. Said twice, it is answered twice, for
    /// the first answer may have been lost.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for a node that is not to be wiped, another generation or run; `E-FORBIDDEN` for another's key.
    pub async fn wiped(self: &Arc<Self>, key: Option<Sha256>, report: WipedReport, from: IpAddr) -> Result<()> {
        let key =
            key.ok_or_else(|| Failure::new(Code::Forbidden, "reading the request: it needs a node's certificate"))?;
        let revoked = self.state.node_of_revoked(&key).await?;
        let current = self.state.node_by_key(&key).await?.map(|node| node.name);
        let Some(name) = current.or(revoked) else {
            return Err(Failure::new(Code::EnrolUnknown, "looking for the node of this certificate: it has none"));
        };
        let mut unit = self.state.begin().await?;
        let mut node = unit.node(&name).await?;
        let input = Input::Wiped { run: report.run.clone(), generation: report.generation };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(&name))?;
        if after == node.record {
            return unit.commit().await;
        }
        node.has_key(&key)?;
        node.record = after;
        let deed = Action::Decommission.says(format!("its disks are wiped, in run {}: retired", report.run));
        end_as_retired(&mut unit, &mut node, Actor::from(&name).at(from), deed).await?;
        unit.commit().await?;
        if self.hooks.power.command.is_some() {
            let operations = self.clone();
            // The agent powers off by itself; the hook sees to it where that fails.
            tokio::spawn(async move {
                let (sender, _) = tokio::sync::mpsc::unbounded_channel();
                if let Err(failure) = operations.powered(Power::Off, &node, &"server".into(), &Teller(sender)).await {
                    tracing::warn!(%failure, "powering a retired node off");
                }
            });
        }
        Ok(())
    }
}

/// Why its disks are left as they are.
fn keeps_disks(operation: &Operation, node: &Node) -> Option<&'static str> {
    let wipes = node.spec.as_ref().is_some_and(|spec| may_be_wiped(&spec.disks)) && node.key.is_some();
    if operation.keep_disks {
        return Some("as --keep-disks says");
    }
    (!wipes).then_some("for the wipe policy keeps them, or no machine is the node")
}

async fn end_as_retired(unit: &mut Unit, node: &mut Node, actor: Actor, deed: Deed) -> Result<()> {
    take_key(unit, node).await?;
    unit.end_operation(&node.name).await?;
    unit.note(actor, Some(&node.name), deed).await?;
    unit.save_node(node).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_layout_whose_disks_are_all_kept_is_not_wiped() {
        let disks = |wipe: serde_json::Value| {
            let devices = json!({"disk": {"main": {}, "data": {}}});
            serde_json::from_value::<Disks>(json!({"devices": devices, "wipe": wipe})).unwrap()
        };
        assert!(may_be_wiped(&disks(json!({}))));
        assert!(may_be_wiped(&disks(json!({"data": "keep"}))));
        assert!(!may_be_wiped(&disks(json!({"data": "keep", "main": "ignore"}))));
        assert!(!may_be_wiped(&Disks::default()));
    }
}
