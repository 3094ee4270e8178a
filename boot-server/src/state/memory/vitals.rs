//! The last that was heard of every installed node.

use crate::domain::vitals::Heard;
use protocol::{Timestamp, names::NodeName};
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

    /// What was heard later than now was heard before the clock was set back: now, as far as anybody can tell, for its silence
    /// would not be noticed until the clock is there again.
    pub fn not_after(&self, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values_mut().for_each(|heard| heard.at = heard.at.min(now));
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

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::admin::Condition;

    #[test]
    fn silence_begins_at_once_where_the_clock_was_set_back() {
        let (vitals, node): (_, NodeName) = (LastHeard::default(), "n1".parse().unwrap());
        let at = |seconds| Timestamp::from_unix_timestamp(seconds).unwrap();
        let silent = time::Duration::seconds(180);
        vitals.set(node.clone(), Some(Heard { at: at(5000), report: None, noted: Condition::Unknown }));
        vitals.not_after(at(1000));
        let condition = |now| vitals.of(&node).unwrap().condition(at(now), silent, at(0));
        assert_eq!((condition(1179), condition(1180)), (Condition::Unknown, Condition::Silent));
        vitals.not_after(at(1200));
        assert_eq!(condition(1180), Condition::Silent, "time that goes on changes nothing");
    }
}
