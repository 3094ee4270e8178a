//! The last that was heard of every installed node.

use crate::domain::vitals::Heard;
use protocol::names::NodeName;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The last word of every node.
#[derive(Debug, Default)]
pub struct LastHeard(Mutex<HashMap<NodeName, Heard>>);

impl LastHeard {
    /// The last word of the node.
    pub fn of(&self, node: &NodeName) -> Option<Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    /// The node has said again what is known of it: only the time is new, and that is not kept durably.
    pub fn again(&self, node: &NodeName, heard: &Heard) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(known), Some(report)) = (known.get_mut(node), &heard.report)
            && known.says(report)
        {
            (known.at, known.report) = (heard.at, heard.report.clone());
        }
    }

    /// Keeps what was heard in the place of what was known, or forgets the node.
    pub(in crate::state) fn set(&self, node: NodeName, heard: Option<Heard>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heard {
            Some(heard) => known.insert(node, heard),
            None => known.remove(&node),
        };
    }
}
