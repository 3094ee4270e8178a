//! Health reports taken in, and the watch over those that do not come.

use super::{Heard, turning_point};
use crate::{
    install::still_current,
    server::{Server, now},
    state::{self, Write, audit, health, nodes},
};
use protocol::{
    Code, Failure,
    admin::{Condition, NodeHealth, NodeState},
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    report::HealthReport,
};
use std::sync::Arc;

/// A report beyond this says nothing that anybody could read.
const MOST_BYTES: usize = 64 << 10;

impl Server {
    /// Takes a node's health in; what is new in it is durable before it is answered.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's; `E-INPUT` for a report that is too long.
    pub async fn heard(&self, name: &NodeName, key: &Sha256, report: HealthReport) -> Result<()> {
        let size = serde_json::to_vec(&report).map_or(usize::MAX, |bytes| bytes.len());
        if size > MOST_BYTES {
            return Err(Failure::new(Code::Input, format!("reading the health of {name}: {size} bytes are too many")));
        }
        let node = self.state.node(name.as_str()).await?;
        let node =
            node.ok_or_else(|| Failure::new(Code::NotFound, format!("looking for node {name}: there is none")))?;
        still_current(&node, key)?;
        node.record.admitted_at(report.generation).map_err(|refusal| refusal.failure(name))?;
        let known = self.vitals.of(name);
        let noted = known.as_ref().map_or(Condition::Unknown, |known| known.noted);
        let news = known.is_none_or(|known| !known.says(&report));
        let heard = Heard { at: now(), report: Some(report), noted };
        let condition = heard.condition(now(), self.silent_after(), now());
        self.vitals.keep(name, heard.clone());
        if news || condition != noted {
            self.note_health(name, heard, condition).await?;
        }
        Ok(())
    }

    /// A node that has just become ready is watched from now on.
    pub(crate) async fn begin_to_watch(&self, write: &mut Write, name: &NodeName) -> Result<()> {
        let known = self.vitals.of(name);
        let heard = Heard {
            at: now(),
            noted: known.as_ref().map_or(Condition::Unknown, |known| known.noted),
            report: known.and_then(|known| known.report),
        };
        health::save(write, name, &heard).await?;
        self.vitals.keep(name, heard);
        Ok(())
    }

    /// Another installation takes the node's place: what was heard of the old one says nothing of it.
    pub(crate) async fn stop_watching(&self, write: &mut Write, name: &NodeName) -> Result<()> {
        self.vitals.forget(name);
        health::forget(write, name).await
    }

    /// How the node is, as an admin sees it.
    pub fn health_of(&self, name: &NodeName) -> Option<NodeHealth> {
        self.vitals.of(name).map(|heard| heard.shown(now(), self.silent_after(), self.begun))
    }

    /// Looks after the nodes that are ready and say nothing, until the server stops.
    pub async fn watch_nodes(self: Arc<Self>) {
        let mut tick =
            tokio::time::interval(self.config.cluster.silent_after().min(std::time::Duration::from_secs(30)) / 3);
        let mut stopping = self.stopping.subscribe();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            for name in self.ready_nodes() {
                if let Err(failure) = self.look_after(&name).await {
                    tracing::error!(%failure, node = name.as_str(), "noting the silence of a node");
                }
            }
        }
    }

    async fn look_after(&self, name: &NodeName) -> Result<()> {
        let Some(heard) = self.vitals.of(name) else { return Ok(()) };
        let condition = heard.condition(now(), self.silent_after(), self.begun);
        if condition == heard.noted || condition != Condition::Silent {
            return Ok(());
        }
        self.note_health(name, heard, condition).await
    }

    async fn note_health(&self, name: &NodeName, heard: Heard, condition: Condition) -> Result<()> {
        let mut write = self.state.write().await?;
        let ready = nodes::load(&mut write, name).await?.record.state == NodeState::Ready;
        let line = turning_point(heard.noted, condition, &heard, now()).filter(|_| ready);
        if let Some(line) = line {
            audit::note(&mut write, now(), "server", Some(name), line).await?;
        }
        let heard = Heard { noted: condition, ..heard };
        health::save(&mut write, name, &heard).await?;
        state::commit(write).await?;
        self.vitals.keep(name, heard);
        self.changed.ring();
        Ok(())
    }

    fn ready_nodes(&self) -> Vec<NodeName> {
        self.with_entries(|entries| {
            let ready = entries.iter().filter(|entry| entry.record.state == NodeState::Ready);
            ready.map(|entry| entry.name.clone()).collect()
        })
    }

    pub(crate) fn silent_after(&self) -> time::Duration {
        self.config.cluster.silent_after().try_into().unwrap_or(time::Duration::MAX)
    }
}
