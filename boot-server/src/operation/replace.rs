//! `replace`: another machine, or the same one with empty disks and a new key, takes a node's place.

use super::{Kind, Operation, Stage, Teller, WINDOW, resume};
use crate::{
    lifecycle::Input,
    server::{Server, now},
    state::{
        self, Write, audit, clusters, enrolments,
        nodes::{self, Node},
        operations,
    },
};
use protocol::{encoding::Sha256, failure::Result, names::NodeName, operations::Power};

impl Server {
    /// Removes the node's members, revokes its key, opens its next generation to a machine with its claims, and has
    /// the machine boot from the network. Goes on where it was when it is run again.
    ///
    /// # Errors
    /// As [`Server::remove_node`]; `E-TOOL` of the power hook; `E-WRONG-STATE`.
    pub async fn replace_node(&self, name: &NodeName, force: bool, actor: &str, teller: &Teller) -> Result<()> {
        let _one_at_a_time = self.operating()?;
        let node = self.known_node(name).await?;
        node.record.after(&Input::Replace).map_err(|refusal| refusal.failure(name))?;
        let known = self.state.operation(name).await?;
        let mut operation = resume(known, name, Kind::Replace, actor, false)?;
        if operation.stage < Stage::Removed {
            self.remove_members(&node, force, actor, teller).await?;
            operation.stage = Stage::Removed;
            self.keep_stage(name, &operation).await?;
        }
        if operation.stage < Stage::Opened {
            operation = self.open_for_another(name, operation, teller).await?;
        } else {
            teller.tell("its next generation is open already");
        }
        // The new machine may have asked before the verb was run.
        self.settle_all().await?;
        let node = self.known_node(name).await?;
        self.power(Power::NetworkBoot, &node, actor, teller).await?;
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

    pub(super) async fn keep_stage(&self, name: &NodeName, operation: &Operation) -> Result<()> {
        let mut write = self.state.write().await?;
        operations::save(&mut write, name, operation).await?;
        state::commit(write).await
    }

    /// In one write: the key loses the node, the next generation is open, and so is the window.
    async fn open_for_another(&self, name: &NodeName, operation: Operation, teller: &Teller) -> Result<Operation> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        node.record = node.record.after(&Input::Replace).map_err(|refusal| refusal.failure(name))?;
        let revoked = self.take_key(&mut write, &mut node).await?;
        self.forget_installation(&mut write, &mut node).await?;
        let operation = Operation { stage: Stage::Opened, window: Some(now() + WINDOW), ..operation };
        operations::save(&mut write, name, &operation).await?;
        let generation = node.record.generation;
        let text = format!("opened generation {generation} to another machine: replace");
        audit::note(&mut write, now(), &operation.actor, Some(name), text).await?;
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.refresh_node(name).await?;
        if let Some(key) = revoked {
            self.revoked.add(key);
            teller.tell(format!("revoked the key of its machine, {}", &key.hex()[..12]));
        }
        teller.tell(format!("opened generation {generation}"));
        Ok(operation)
    }

    /// The machine is the node no more, and its key is refused everywhere once this is committed and added to
    /// [`Server::revoked`].
    pub(super) async fn take_key(&self, write: &mut Write, node: &mut Node) -> Result<Option<Sha256>> {
        let key = node.key.take();
        if let Some(key) = &key {
            operations::revoke(write, key, &node.name, now()).await?;
            let text = format!("revoked the key {}", &key.hex()[..12]);
            audit::note(write, now(), "server", Some(&node.name), text).await?;
        }
        enrolments::supersede_others(write, &node.name, 0).await?;
        Ok(key)
    }

    /// What the last installation reported says nothing of the next.
    pub(super) async fn forget_installation(&self, write: &mut Write, node: &mut Node) -> Result<()> {
        (node.plan, node.installed, node.ready) = (None, None, None);
        clusters::forget_memberships(write, &node.name).await?;
        self.stop_watching(write, &node.name).await
    }
}
