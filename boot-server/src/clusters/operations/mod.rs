//! Operations on a node of a cluster: remove, replace, decommission. Each is a few stages, kept durably, so that a
//! verb that broke off goes on where it was when it is run again.
//!
//! A verb waits between its stages, for hooks and members. What it writes then it writes only where nobody has begun
//! something else with the node meanwhile ([`crate::state::seen`]).

mod decommission;
mod hooks;
mod members;
mod removal;
mod replace;
mod revoke;

use crate::{
    config,
    domain::{audit::Action, operation::Operation},
    state::{State, Unit, nodes::Node, seen::Seen},
    trust::{admission::Admission, ca::Ca},
};
use protocol::{Code, Failure, encoding::Sha256, failure::Result, names::NodeName};
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard, mpsc::UnboundedSender};

/// Tells the operator each step as it is done.
#[derive(Debug, Clone)]
pub struct Teller(pub UnboundedSender<String>);

impl Teller {
    /// Tells it.
    pub fn tell(&self, step: impl Into<String>) {
        let step = step.into();
        tracing::info!("{step}");
        // Nobody listens any more: the work goes on.
        let _ = self.0.send(step);
    }
}

/// The operator's hooks.
#[derive(Debug)]
pub struct Hooks {
    /// Powers machines.
    pub power: config::Power,
    /// Moves the work away from a node.
    pub drain: Option<PathBuf>,
    /// How long `drain` may take.
    pub drain_timeout: Duration,
}

/// Operates on nodes.
#[derive(Debug)]
pub struct Operations {
    state: State,
    ca: Arc<Ca>,
    admission: Arc<Admission>,
    hooks: Hooks,
    /// Held by the verb that runs, its hooks included.
    running: Mutex<()>,
    /// Held while members are removed: two removals at once could cost a quorum that each alone would keep.
    removing: Mutex<()>,
}

impl Operations {
    /// Of the parts it uses.
    pub fn new(state: State, ca: Arc<Ca>, admission: Arc<Admission>, hooks: Hooks) -> Self {
        Self { state, ca, admission, hooks, running: Mutex::default(), removing: Mutex::default() }
    }

    /// One operation at a time.
    fn alone(&self) -> Result<MutexGuard<'_, ()>> {
        self.running.try_lock().map_err(|_| {
            Failure::new(Code::WrongState, "operating on a node: another operation runs")
                .with_remedy("wait until it has ended, then run the verb again")
        })
    }

    /// The operation has come to a stage.
    async fn reach(&self, name: &NodeName, seen: &mut Seen, operation: &Operation) -> Result<()> {
        let mut unit = self.state.begin().await?;
        unit.node_as(name, seen).await?;
        keep(&mut unit, name, seen, operation).await?;
        unit.commit().await
    }
}

/// Keeps how far the operation is; what the verb does next builds on it.
async fn keep(unit: &mut Unit, name: &NodeName, seen: &mut Seen, operation: &Operation) -> Result<()> {
    unit.save_operation(name, operation).await?;
    seen.operation = Some(operation.clone());
    Ok(())
}

/// The machine is the node no more, and its key is refused everywhere from the commit on.
async fn take_key(unit: &mut Unit, node: &mut Node) -> Result<Option<Sha256>> {
    let key = node.key.take();
    node.certificate_ends = None;
    for key in key.iter().chain(&node.next_key.take()) {
        unit.revoke(key, &node.name).await?;
        let deed = Action::KeyRevoked.says(format!("revoked the key {}", &key.hex()[..12]));
        unit.note("server", Some(&node.name), deed.changing(json!({ "key": key }), None)).await?;
    }
    unit.supersede_others(&node.name, 0).await?;
    Ok(key)
}
