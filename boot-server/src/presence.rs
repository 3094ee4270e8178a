//! What machines do right now: heartbeats, which are not history.

use protocol::{Timestamp, names::RunId, telemetry::Heartbeat};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Runs that are remembered; the longest silent is forgotten first.
const MOST: usize = 10_000;

/// The last word of a run.
#[derive(Debug, Clone)]
pub struct Word {
    /// When it was heard.
    pub heard: Timestamp,
    /// What the run does.
    pub heartbeat: Option<Heartbeat>,
}

/// The last word of every run.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<RunId, Word>>);

impl Presence {
    /// Notes that the run spoke.
    pub fn heard(&self, run: &RunId, heartbeat: Option<&Heartbeat>, now: Timestamp) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() >= MOST && !words.contains_key(run) {
            let oldest = words.iter().min_by_key(|(_, word)| word.heard).map(|(run, _)| run.clone());
            oldest.map(|run| words.remove(&run));
        }
        let word = words.entry(run.clone()).or_insert(Word { heard: now, heartbeat: None });
        word.heard = now;
        if let Some(heartbeat) = heartbeat {
            word.heartbeat = Some(heartbeat.clone());
        }
    }

    /// The last word of the run since this server started.
    pub fn of(&self, run: &RunId) -> Option<Word> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_runs_is_bounded() {
        let presence = Presence::default();
        for n in 0..=MOST as i64 {
            let now = Timestamp::from_unix_timestamp(n).unwrap();
            presence.heard(&format!("r{n}").parse().unwrap(), None, now);
        }
        assert!(presence.of(&"r0".parse().unwrap()).is_none());
        assert!(presence.of(&format!("r{MOST}").parse().unwrap()).is_some());
    }
}
