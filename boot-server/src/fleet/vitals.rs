//! Health reports taken in, and the watch over those that do not come.
//!
//! Every report is kept at hand; only what changes in substance is written, so that a thousand nodes that are well cost
//! the disk nothing.

use crate::{
    base::{bell::Stop, clock::now},
    domain::vitals::{Heard, turning_point},
    state::{State, Unit, nodes::Node},
};
use protocol::{
    Code, Failure, Timestamp,
    admin::{Condition, NodeHealth, NodeState},
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    report::HealthReport,
};
use std::{sync::Arc, time::Duration};

/// A report beyond this says nothing that anybody could read.
const MOST_BYTES: usize = 64 << 10;
/// Silence is looked for at least so often, thrice.
const LOOK: Duration = Duration::from_secs(30);

/// How the installed nodes are.
#[derive(Debug)]
pub struct Vitals {
    state: State,
    /// When silence begins.
    silent_after: Duration,
    /// When the server began to listen.
    begun: Timestamp,
    stop: Stop,
}

impl Vitals {
    /// Of the parts it uses; it listens from now on.
    pub fn new(state: State, silent_after: Duration, stop: Stop) -> Self {
        Self { state, silent_after, begun: now(), stop }
    }

    /// How the node is, as an admin sees it.
    pub fn of(&self, name: &NodeName) -> Option<NodeHealth> {
        self.state.memory.vitals.of(name).map(|heard| heard.shown(now(), self.silence(), self.begun))
    }

    /// Takes a node's health in; what is new in it is durable before it is answered.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's; `E-INPUT` for a report that is too long.
    pub async fn heard(&self, name: &NodeName, key: &Sha256, report: HealthReport) -> Result<()> {
        let size = serde_json::to_vec(&report).map_or(usize::MAX, |bytes| bytes.len());
        if size > MOST_BYTES {
            return Err(Failure::new(Code::Input, format!("reading the health of {name}: {size} bytes are too many")));
        }
        let node = self.state.known_node(name).await?;
        node.has_key(key)?;
        let generation = report.generation;
        let admitted = |node: &Node| node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name));
        admitted(&node)?;
        let known = self.state.memory.vitals.of(name);
        let noted = known.as_ref().map_or(Condition::Unknown, |known| known.noted);
        let news = known.is_none_or(|known| !known.says(&report));
        let heard = Heard { at: now(), report: Some(report), noted };
        let condition = heard.condition(now(), self.silence(), now());
        if !news && condition == noted {
            self.state.memory.vitals.again(name, &heard);
            return Ok(());
        }
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        admitted(&node)?;
        note(&mut unit, &node, heard, condition).await?;
        unit.commit().await
    }

    /// A node that has just become ready is watched from now on.
    pub async fn begin_to_watch(&self, unit: &mut Unit, name: &NodeName) -> Result<()> {
        let heard = match self.state.memory.vitals.of(name) {
            Some(known) => Heard { at: now(), ..known },
            None => Heard { at: now(), noted: Condition::Unknown, report: None },
        };
        unit.save_heard(name, heard).await
    }

    /// Looks after the nodes that are ready and say nothing, until the server stops.
    pub async fn watch_nodes(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.silent_after.min(LOOK) / 3);
        let mut stopping = self.stop.listen();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            self.state.memory.vitals.not_after(now());
            for name in self.ready_nodes() {
                if let Err(failure) = self.look_after(&name).await {
                    tracing::error!(%failure, node = name.as_str(), "noting the silence of a node");
                }
            }
        }
    }

    async fn look_after(&self, name: &NodeName) -> Result<()> {
        let Some(heard) = self.state.memory.vitals.of(name) else { return Ok(()) };
        if !self.has_fallen_silent(&heard) {
            return Ok(());
        }
        let mut unit = self.state.begin().await?;
        // It may have spoken, or been installed anew, before the unit began.
        match self.state.memory.vitals.of(name).filter(|heard| self.has_fallen_silent(heard)) {
            Some(heard) => {
                let node = unit.node(name).await?;
                note(&mut unit, &node, heard, Condition::Silent).await?;
                unit.commit().await
            }
            None => unit.commit().await,
        }
    }

    fn has_fallen_silent(&self, heard: &Heard) -> bool {
        heard.noted != Condition::Silent && heard.condition(now(), self.silence(), self.begun) == Condition::Silent
    }

    fn ready_nodes(&self) -> Vec<NodeName> {
        self.state.memory.directory.with(|entries| {
            let ready = entries.iter().filter(|entry| entry.record.state == NodeState::Ready);
            ready.map(|entry| entry.name.clone()).collect()
        })
    }

    fn silence(&self) -> time::Duration {
        self.silent_after.try_into().unwrap_or(time::Duration::MAX)
    }
}

async fn note(unit: &mut Unit, node: &Node, heard: Heard, condition: Condition) -> Result<()> {
    let ready = node.record.state == NodeState::Ready;
    if let Some(line) = turning_point(heard.noted, condition, &heard, unit.now()).filter(|_| ready) {
        unit.note("server", Some(&node.name), line).await?;
    }
    unit.save_heard(&node.name, Heard { noted: condition, ..heard }).await
}
