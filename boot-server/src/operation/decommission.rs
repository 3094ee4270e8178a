//! `decommission`: a node leaves for good; its disks are wiped by its own agent, which says so at the end.

use super::{Kind, Operation, Stage, Teller, resume};
use crate::{
    install::still_current,
    lifecycle::Input,
    server::{Server, now},
    state::{self, audit, nodes, operations},
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
use std::sync::Arc;

/// Whether the layout has a disk that may be wiped.
fn may_be_wiped(disks: &Disks) -> bool {
    let names = disks.devices.get("disk").and_then(serde_json::Value::as_object);
    let kept = |name: &String| matches!(disks.wipe.get(name), Some(WipePolicy::Keep | WipePolicy::Ignore));
    names.is_some_and(|names| names.keys().any(|name| !kept(name)))
}

impl Server {
    /// Drains the node, removes its members, has its disks wiped at its next network boot, and retires it. Goes on
    /// where it was when it is run again.
    ///
    /// # Errors
    /// As [`Server::remove_node`]; `E-TOOL` of a hook; `E-WRONG-STATE`.
    pub async fn decommission_node(
        &self,
        name: &NodeName,
        keep_disks: bool,
        force: bool,
        actor: &str,
        teller: &Teller,
    ) -> Result<()> {
        let _one_at_a_time = self.operating()?;
        let node = self.known_node(name).await?;
        if node.record.state == NodeState::Retired {
            teller.tell("it is retired already");
            return self.power(Power::Off, &node, actor, teller).await;
        }
        let known = self.state.operation(name).await?;
        let mut operation = resume(known, name, Kind::Decommission, actor, keep_disks)?;
        if operation.stage < Stage::Drained {
            self.drain(&node, actor, teller).await?;
            operation.stage = Stage::Drained;
            self.keep_stage(name, &operation).await?;
        }
        if operation.stage < Stage::Removed {
            self.remove_members(&node, force, actor, teller).await?;
            operation.stage = Stage::Removed;
            self.keep_stage(name, &operation).await?;
        }
        let wipes = node.spec.as_ref().is_some_and(|spec| may_be_wiped(&spec.disks)) && node.key.is_some();
        if operation.keep_disks || !wipes {
            let why = if operation.keep_disks {
                "as --keep-disks says"
            } else {
                "for the wipe policy keeps them, or no machine is the node"
            };
            self.retire(name, actor).await?;
            teller.tell(format!("its disks are left as they are, {why}; its key is revoked"));
            self.power(Power::Off, &node, actor, teller).await?;
            teller.tell(format!("node {name} is retired: it boots nothing"));
            return Ok(());
        }
        if operation.stage < Stage::Opened || node.record.quarantined() {
            let generation = self.open_wipe(name, operation).await?;
            teller.tell(format!("opened generation {generation}, which wipes its disks"));
        } else {
            teller.tell("the generation that wipes its disks is open already");
        }
        let node = self.known_node(name).await?;
        self.power(Power::NetworkBoot, &node, actor, teller).await?;
        teller.tell(format!("it is retired once its agent has wiped the disks: boot-server wait {name} --for retired"));
        Ok(())
    }

    async fn open_wipe(&self, name: &NodeName, operation: Operation) -> Result<u64> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        node.record = node.record.after(&Input::Wipe).map_err(|refusal| refusal.failure(name))?;
        self.forget_installation(&mut write, &mut node).await?;
        let operation = Operation { stage: Stage::Opened, ..operation };
        operations::save(&mut write, name, &operation).await?;
        let generation = node.record.generation;
        let text = format!("opened generation {generation}: decommission, wiping its disks");
        audit::note(&mut write, now(), &operation.actor, Some(name), text).await?;
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.refresh_node(name).await?;
        Ok(generation)
    }

    async fn retire(&self, name: &NodeName, actor: &str) -> Result<()> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        node.record = node.record.after(&Input::Retire).map_err(|refusal| refusal.failure(name))?;
        self.forget_installation(&mut write, &mut node).await?;
        self.end_as_retired(write, node, actor, "retired; its disks were left as they are").await
    }

    async fn end_as_retired(
        &self,
        mut write: state::Write,
        mut node: nodes::Node,
        actor: &str,
        text: &str,
    ) -> Result<()> {
        let key = self.take_key(&mut write, &mut node).await?;
        operations::end(&mut write, &node.name).await?;
        audit::note(&mut write, now(), actor, Some(&node.name), text).await?;
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        if let Some(key) = key {
            self.revoked.add(key);
        }
        self.refresh_node(&node.name).await
    }

    /// The agent has wiped the disks: the node is retired and its key revoked. Said twice, it is answered twice, for
    /// the first answer may have been lost.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for a node that is not to be wiped, another generation or run; `E-FORBIDDEN` for another's key.
    pub async fn wiped(self: &Arc<Self>, key: Option<Sha256>, report: WipedReport) -> Result<()> {
        let key =
            key.ok_or_else(|| Failure::new(Code::Forbidden, "reading the request: it needs a node's certificate"))?;
        let revoked = self.state.node_of_revoked(&key).await?;
        let current = self.state.node_by_key(&key).await?.map(|node| node.name);
        let Some(name) = current.or(revoked) else {
            return Err(Failure::new(Code::EnrolUnknown, "looking for the node of this certificate: it has none"));
        };
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, &name).await?;
        let input = Input::Wiped { run: report.run.clone(), generation: report.generation };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(&name))?;
        if after == node.record {
            return Ok(());
        }
        still_current(&node, &key)?;
        node.record = after;
        let text = format!("its disks are wiped, in run {}: retired", report.run);
        self.end_as_retired(write, node.clone(), name.as_str(), &text).await?;
        if self.config.power.command.is_some() {
            let server = self.clone();
            // The agent powers off by itself; the hook sees to it where that fails.
            tokio::spawn(async move {
                let (sender, _) = tokio::sync::mpsc::unbounded_channel();
                if let Err(failure) = server.power(Power::Off, &node, "server", &Teller(sender)).await {
                    tracing::warn!(%failure, "powering a retired node off");
                }
            });
        }
        Ok(())
    }
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
