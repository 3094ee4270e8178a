//! Operations on a node of a cluster: remove, replace, decommission. Each is a few stages, kept durably, so that a
//! verb that broke off goes on where it was when it is run again.

use protocol::{Code, Failure, Timestamp, failure::Result, names::NodeName};
use serde::{Deserialize, Serialize};
use time::Duration;

/// How long a replaced node's new machine needs no second approval.
pub const WINDOW: Duration = Duration::hours(24);

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Another machine takes its place.
    Replace,
    /// It goes for good.
    Decommission,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Nothing is done yet.
    Begun,
    /// The drain hook has run.
    Drained,
    /// It is no member any more.
    Removed,
    /// Its next generation is open.
    Opened,
}

/// An operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What is done.
    pub kind: Kind,
    /// How far it is.
    pub stage: Stage,
    /// Who began it.
    pub actor: String,
    /// A machine with the node's claims and a new key is admitted until then, once.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub window: Option<Timestamp>,
    /// Its disks are left as they are.
    #[serde(default)]
    pub keep_disks: bool,
}

impl Operation {
    /// Nothing is done yet.
    pub fn begun(kind: Kind, actor: &str, keep_disks: bool) -> Self {
        Self { kind, stage: Stage::Begun, actor: actor.to_owned(), window: None, keep_disks }
    }
}

/// The failure of another verb meanwhile.
pub fn under_way(node: &NodeName, kind: Kind) -> Failure {
    let (word, verb) = match kind {
        Kind::Replace => ("replaced", "replace"),
        Kind::Decommission => ("decommissioned", "decommission"),
    };
    Failure::new(Code::WrongState, format!("operating on node {node}: it is being {word}"))
        .with_remedy(format!("finish that first: boot-server cluster {verb} {node} --yes"))
}

/// The operation to go on with: the one under way, where it is of the same kind, or a new one.
///
/// # Errors
/// `E-WRONG-STATE` where something else is done to the node.
pub fn resume(
    known: Option<Operation>,
    node: &NodeName,
    kind: Kind,
    actor: &str,
    keep_disks: bool,
) -> Result<Operation> {
    match known {
        Some(known) if known.kind == kind => Ok(Operation { keep_disks: known.keep_disks || keep_disks, ..known }),
        Some(known) => Err(under_way(node, known.kind)),
        None => Ok(Operation::begun(kind, actor, keep_disks)),
    }
}
