//! What operators apply: checked as a whole, stored as a whole.

use crate::{
    lifecycle::{Input, Record},
    server::{Server, now},
    spec_check,
    state::{self, audit, clusters, nodes, operations},
};
use protocol::{
    Code, Failure,
    admin::{Applied, ApplyRequest},
    failure::Result,
    names::NodeName,
};
use std::collections::HashSet;

/// Nodes in one request.
const MOST_NODES: usize = 1000;

impl Server {
    /// Stores the specs; machines that wait for one of them are admitted where the policy says so.
    ///
    /// # Errors
    /// `E-INPUT` with the path of the key; nothing is stored then.
    pub async fn apply(&self, request: ApplyRequest, actor: &str) -> Result<Vec<Applied>> {
        if request.nodes.len() > MOST_NODES {
            return Err(Failure::new(Code::Input, format!("checking the request: more than {MOST_NODES} nodes")));
        }
        let mut names = HashSet::new();
        for spec in &request.nodes {
            spec_check::check(spec)?;
            if !names.insert(spec.name.clone()) {
                return Err(Failure::new(
                    Code::Input,
                    format!("checking the request: node {} is there twice", spec.name),
                ));
            }
        }
        // Nothing is collected meanwhile that a spec begins to need.
        let _settled = self.cache.settled().await;
        let mut write = self.state.write().await?;
        let mut applied = Vec::new();
        for spec in request.nodes {
            let known = nodes::find(&mut write, &spec.name).await?;
            let result = match &known {
                None => "created",
                Some(node) if node.spec.as_ref() == Some(&spec) => "unchanged",
                Some(_) => "configured",
            };
            let name = spec.name.clone();
            if result != "unchanged" {
                let mut node = known.unwrap_or_else(|| nodes::Node::new(name.clone()));
                node.spec = Some(spec);
                let applied = node.record.after(&Input::Applied);
                node.record = applied.map_err(|refusal| refusal.failure(&name))?;
                nodes::save(&mut write, &node, now()).await?;
                audit::note(&mut write, now(), actor, Some(&name), format!("applied the spec: {result}")).await?;
            }
            applied.push(Applied { name, result: result.to_owned() });
        }
        state::commit(write).await?;
        self.refresh().await?;
        self.settle_all().await?;
        Ok(applied)
    }

    /// Opens the node's next generation: the machine is installed anew at its next network boot.
    ///
    /// # Errors
    /// `E-NOT-FOUND`, `E-WRONG-STATE`.
    pub async fn reinstall(&self, name: &NodeName, actor: &str) -> Result<u64> {
        let mut write = self.state.write().await?;
        let mut node = nodes::load(&mut write, name).await?;
        node.record = node.record.after(&Input::Reinstall).map_err(|refusal| refusal.failure(name))?;
        (node.plan, node.installed, node.ready) = (None, None, None);
        clusters::forget_memberships(&mut write, name).await?;
        self.stop_watching(&mut write, name).await?;
        // Whoever reinstalls a node has changed his mind about replacing or decommissioning it.
        operations::end(&mut write, name).await?;
        let generation = node.record.generation;
        audit::note(&mut write, now(), actor, Some(name), format!("opened generation {generation}: reinstall")).await?;
        nodes::save(&mut write, &node, now()).await?;
        state::commit(write).await?;
        self.refresh_node(name).await?;
        Ok(generation)
    }
}

impl nodes::Node {
    /// A node that nothing is known of yet.
    pub(crate) fn new(name: NodeName) -> Self {
        Self {
            name,
            spec: None,
            record: Record::default(),
            key: None,
            enrolment: None,
            plan: None,
            installed: None,
            ready: None,
        }
    }
}
