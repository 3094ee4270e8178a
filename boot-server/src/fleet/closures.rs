//! Which closures the nodes need, and what an admin does with the cache.

use crate::{
    base::clock::now,
    cache::{Cache, Progress, Roots},
    domain::audit::{Action, Actor},
    state::State,
};
use nix_store::signature::PublicKey;
use protocol::{
    admin::NodeState,
    closures::{ClosureList, GcReport, GcRequest, VerifyReport, VerifyRequest},
    failure::Result,
};
use std::{collections::BTreeSet, sync::Arc};

/// The cache beside the nodes that need it.
pub struct Closures {
    state: State,
    cache: Arc<Cache>,
}

impl Closures {
    /// Of the parts it uses.
    pub fn new(state: State, cache: Arc<Cache>) -> Self {
        Self { state, cache }
    }

    /// The toplevels that nodes are to have, and those that they were told last to install: a run that is held or
    /// under way may still fetch the older one.
    async fn roots(&self) -> Result<Roots> {
        let (nodes, handed_out) = (self.state.nodes().await?, self.state.handed_out().await?);
        let mut roots = Roots::new();
        for node in nodes.iter().filter(|node| node.record.state != NodeState::Retired) {
            let wanted = node.spec.iter().map(|spec| &spec.system.toplevel);
            let told = handed_out.iter().filter(|(name, _)| name == node.name.as_str()).map(|(_, path)| path);
            for path in wanted.chain(told) {
                let names = roots.entry(path.clone()).or_default();
                if !names.contains(&node.name) {
                    names.push(node.name.clone());
                }
            }
        }
        Ok(roots)
    }

    /// The keys that specs trust.
    async fn trusted(&self) -> Result<Vec<PublicKey>> {
        let nodes = self.state.nodes().await?;
        let specs =
            nodes.iter().filter(|node| node.record.state != NodeState::Retired).filter_map(|node| node.spec.as_ref());
        let keys: BTreeSet<&String> = specs.flat_map(|spec| &spec.system.trusted_public_keys).collect();
        Ok(keys.into_iter().filter_map(|key| PublicKey::parse(key).ok()).collect())
    }

    /// Every closure of the cache.
    pub async fn list(&self) -> Result<ClosureList> {
        self.cache.list(self.roots().await?).await
    }

    /// Checks the cache.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING`, `E-SYSTEM`.
    pub async fn verify(&self, request: VerifyRequest, actor: &Actor, progress: impl Progress) -> Result<VerifyReport> {
        let report = self.cache.clone().verify(request, self.trusted().await?, progress).await?;
        for failure in &report.damaged {
            tracing::warn!(%failure, "the cache is damaged");
        }
        if !report.removed.is_empty() {
            let text = format!("took {} damaged or incomplete paths out of the cache", report.removed.len());
            self.state.note(actor, None, Action::CacheRepaired.says(text)).await?;
        }
        Ok(report)
    }

    /// Removes from the cache what no node needs.
    ///
    /// # Errors
    /// `E-CLOSURE-CORRUPT`, `E-SYSTEM`.
    pub async fn collect(&self, request: GcRequest, actor: &Actor, progress: impl Progress) -> Result<GcReport> {
        // First this, then the roots: an apply waits for it, so that no closure goes that a node begins to need.
        let settled = self.cache.settled().await;
        let roots = self.roots().await?;
        let report = self.cache.collect(settled, &request, roots, now(), progress).await?;
        if !request.dry_run && !report.paths.is_empty() {
            let text =
                format!("removed {} unneeded paths from the cache, {} bytes", report.paths.len(), report.freed_bytes);
            self.state.note(actor, None, Action::CacheCollected.says(text)).await?;
        }
        Ok(report)
    }
}
