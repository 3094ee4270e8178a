//! What machines do right now: heartbeats, which are not history. How long ago is told by a clock that nobody sets.

use protocol::{
    Timestamp,
    names::{NodeName, RunId},
    telemetry::Heartbeat,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use time::Duration;

/// Runs that are remembered; the longest silent is forgotten first.
const MOST: usize = 10_000;

/// The last word of a run.
#[derive(Debug, Clone)]
pub struct Word {
    /// When it was heard.
    at: Instant,
    /// What the run does.
    pub heartbeat: Option<Heartbeat>,
}

impl Word {
    /// When it was heard, by the wall clock as it is now.
    pub fn heard(&self, at: Instant, now: Timestamp) -> Timestamp {
        now - at.saturating_duration_since(self.at)
    }
}

/// The last word of every run, and of every machine that waits: what a machine says of its run is no proof that it is its own.
#[derive(Debug, Default)]
pub struct Presence {
    runs: Mutex<HashMap<RunId, Word>>,
    waiting: Mutex<HashMap<i64, Instant>>,
}

/// Room for one more, where the one that was silent for longest is forgotten.
fn make_room<K: Clone + Eq + std::hash::Hash, V>(known: &mut HashMap<K, V>, key: &K, heard: impl Fn(&V) -> Instant) {
    if known.len() >= MOST && !known.contains_key(key) {
        let oldest = known.iter().min_by_key(|(_, word)| heard(word)).map(|(key, _)| key.clone());
        oldest.map(|key| known.remove(&key));
    }
}

impl Presence {
    /// Notes that the run spoke.
    pub fn heard(&self, run: &RunId, heartbeat: Option<&Heartbeat>, at: Instant) {
        let mut words = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut words, run, |word| word.at);
        let word = words.entry(run.clone()).or_insert(Word { at, heartbeat: None });
        word.at = at;
        if let Some(heartbeat) = heartbeat {
            word.heartbeat = Some(heartbeat.clone());
        }
    }

    /// Notes that the machine of an enrolment asked.
    pub fn heard_waiting(&self, enrolment: i64, at: Instant) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut waiting, &enrolment, |heard| *heard);
        waiting.insert(enrolment, at);
    }

    /// When the machine of an enrolment asked last since this server started, by the wall clock as it is now.
    pub fn of_waiting(&self, enrolment: i64, at: Instant, now: Timestamp) -> Option<Timestamp> {
        let asked = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&enrolment).copied()?;
        Some(now - at.saturating_duration_since(asked))
    }

    /// The last word of the run since this server started.
    pub fn of(&self, run: &RunId) -> Option<Word> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }
}

/// What nodes wait for that have asked for a turn.
#[derive(Debug, Default)]
pub struct Waits(Mutex<HashMap<NodeName, Wait>>);

/// A node's last answer was to ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// When it asked.
    pub heard: Timestamp,
    /// For people.
    pub reason: String,
}

impl Wait {
    /// Nodes ask again after seconds: one that has not was switched off, or has found another way.
    const LASTS: Duration = Duration::minutes(2);
}

impl Waits {
    /// Notes that the node was told to wait, or that it waits no more; whether that is new.
    pub(in crate::state) fn told(&self, node: &NodeName, reason: Option<String>, now: Timestamp) -> bool {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            None => waits.remove(node).is_some(),
            Some(reason) => {
                let before = waits.insert(node.clone(), Wait { heard: now, reason: reason.clone() });
                before.is_none_or(|before| before.reason != reason)
            }
        }
    }

    /// What the node waits for.
    pub fn of(&self, node: &NodeName, now: Timestamp) -> Option<Wait> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.get(node).filter(|wait| (now - wait.heard).abs() < Wait::LASTS).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_runs_is_bounded() {
        let (presence, start) = (Presence::default(), Instant::now());
        for n in 0..=MOST as u64 {
            presence.heard(&format!("r{n}").parse().unwrap(), None, start + std::time::Duration::from_secs(n));
        }
        assert!(presence.of(&"r0".parse().unwrap()).is_none());
        assert!(presence.of(&format!("r{MOST}").parse().unwrap()).is_some());
    }

    #[test]
    fn who_has_fallen_silent_is_not_heard_for_longer_by_a_clock_that_was_set_back() {
        let (presence, run, start) = (Presence::default(), "r1".parse().unwrap(), Instant::now());
        presence.heard(&run, None, start);
        let later = start + std::time::Duration::from_secs(100);
        for wall in [5000, 1000, 9000] {
            let now = Timestamp::from_unix_timestamp(wall).unwrap();
            assert_eq!((now - presence.of(&run).unwrap().heard(later, now)).whole_seconds(), 100);
        }
    }

    #[test]
    fn a_wait_is_news_once_and_is_forgotten_where_nobody_asks_again() {
        let (waits, node) = (Waits::default(), "n1".parse().unwrap());
        let at = |seconds| Timestamp::from_unix_timestamp(seconds).unwrap();
        let told = |reason: &str, seconds| waits.told(&node, Some(reason.to_owned()), at(seconds));
        assert_eq!([told("a", 0), told("a", 3), told("b", 6)], [true, false, true]);
        assert_eq!(waits.of(&node, at(7)), Some(Wait { heard: at(6), reason: "b".to_owned() }));
        assert_eq!((waits.of(&node, at(126)), waits.of(&node, at(-200))), (None, None), "the clock was set back");
        assert!(waits.told(&node, None, at(8)) && !waits.told(&node, None, at(9)));
        assert_eq!(waits.of(&node, at(9)), None);
    }
}
