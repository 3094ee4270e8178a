//! What a run tells of itself, the installer's or the joiner's: its steps, events and log lines, numbered, spooled in
//! memory and on disk with the newest kept, and shipped with heartbeats until they are acknowledged.

mod layer;
mod shipper;
mod spool;
pub mod steps;

pub use layer::LogLayer;
pub use shipper::{Pace, Server, drain, ship};

use protocol::{
    Timestamp,
    names::RunId,
    step::Step,
    telemetry::{Event, EventKind, Heartbeat, LogLine, MAX_BATCH, Progress, Telemetry as Batch, TelemetryAck},
};
use spool::{Entry, Spool};
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};
use tokio::sync::Notify;

/// Lines beyond this are dropped, oldest first, while the server is away; the gap shows in `seq`.
const MAX_LINES: usize = 5_000;
/// Events are few; this bounds them all the same.
const MAX_EVENTS: usize = 2_000;
const MAX_MESSAGE: usize = 4096;

/// Where a run's events and lines go. Clones share it.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    started: Instant,
}

struct State {
    run: RunId,
    events: VecDeque<Event>,
    lines: VecDeque<LogLine>,
    next_event: u64,
    next_line: u64,
    /// None before the first one.
    step: Option<Step>,
    progress: Option<Progress>,
    spool: Option<Spool>,
}

impl Telemetry {
    /// Telemetry of `run`; carries on with what a spool in `folder` has of an earlier process of the same run.
    pub fn new(run: RunId, folder: Option<&Path>) -> Self {
        let mut state = State {
            run,
            events: VecDeque::new(),
            lines: VecDeque::new(),
            next_event: 1,
            next_line: 1,
            step: None,
            progress: None,
            spool: None,
        };
        if let Some((spool, entries)) = folder.and_then(|folder| Spool::open(folder).ok()) {
            for entry in entries {
                state.remember(entry);
            }
            state.spool = Some(spool);
        }
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), started: Instant::now() }) }
    }

    /// What was kept of a run that has ended; it has no heart any more.
    pub fn ended(kept: Batch) -> Self {
        let telemetry = Self::new(kept.run, None);
        let mut state = telemetry.state();
        kept.events.into_iter().map(Entry::Event).for_each(|entry| state.remember(entry));
        kept.lines.into_iter().map(Entry::Line).for_each(|entry| state.remember(entry));
        drop(state);
        telemetry
    }

    /// All that has not been acknowledged, to be kept beyond this process.
    pub fn everything(&self) -> Batch {
        let state = self.state();
        Batch {
            run: state.run.clone(),
            session: None,
            heartbeat: None,
            events: state.events.iter().cloned().collect(),
            lines: state.lines.iter().cloned().collect(),
        }
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.state().run.clone()
    }

    /// Begins another run: numbers start at 1, and what was not acknowledged of the old run is given up.
    pub fn begin_run(&self, run: RunId) {
        let mut state = self.state();
        state.run = run;
        state.events.clear();
        state.lines.clear();
        (state.next_event, state.next_line, state.progress) = (1, 1, None);
        let next = Entry::Next { event: 1, line: 1 };
        if let Some(spool) = &mut state.spool {
            spool.restart(&next);
        }
    }

    /// Waits until everything has been acknowledged, at most `limit`; true if it has.
    pub async fn drained(&self, limit: std::time::Duration) -> bool {
        self.shared.changed.notify_one();
        let drained = async {
            while !self.is_drained() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(limit, drained).await.is_ok()
    }

    /// Records something that happened in `step`.
    pub fn event(&self, step: Step, kind: EventKind) {
        let mut state = self.state();
        if kind == EventKind::Started {
            state.step = Some(step);
            state.progress = None;
        }
        let since_start_ms = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event { seq: state.next_event, time: Timestamp::now_utc(), since_start_ms, step, kind };
        state.append(Entry::Event(event));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Records a line of a log.
    pub fn line(&self, level: &str, source: &str, message: &str) {
        let mut state = self.state();
        let line = LogLine {
            seq: state.next_line,
            time: Timestamp::now_utc(),
            level: level.to_owned(),
            source: source.to_owned(),
            message: cut(message).to_owned(),
        };
        state.append(Entry::Line(line));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// How far the current step is.
    pub fn progress(&self, progress: Progress) {
        self.state().progress = Some(progress);
    }

    /// Whether everything has been acknowledged.
    pub fn is_drained(&self) -> bool {
        self.state().pending() == 0
    }

    /// The next delivery, oldest first.
    fn batch(&self) -> Batch {
        let state = self.state();
        let beat = |step| Heartbeat { step, progress: state.progress, agent_peak_rss: peak_rss() };
        Batch {
            run: state.run.clone(),
            session: None,
            heartbeat: state.step.map(beat),
            events: state.events.iter().take(MAX_BATCH).cloned().collect(),
            lines: state.lines.iter().take(MAX_BATCH).cloned().collect(),
        }
    }

    /// Forgets what is durable on the server; how much that was. An answer to a delivery of an earlier run says nothing
    /// of this one.
    fn acknowledge(&self, run: &RunId, ack: TelemetryAck) -> usize {
        let mut state = self.state();
        if state.run != *run {
            return 0;
        }
        let before = state.pending();
        state.events.retain(|event| event.seq > ack.events_through);
        state.lines.retain(|line| line.seq > ack.lines_through);
        state.compact_spool();
        before - state.pending()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it held the lock left whole entries behind.
        self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, entry: Entry) {
        if let Some(spool) = &mut self.spool {
            spool.append(&entry);
        }
        self.remember(entry);
    }

    fn remember(&mut self, entry: Entry) {
        match entry {
            Entry::Event(event) => {
                self.next_event = event.seq + 1;
                self.events.push_back(event);
                if self.events.len() > MAX_EVENTS {
                    self.events.pop_front();
                }
            }
            Entry::Line(line) => {
                self.next_line = line.seq + 1;
                self.lines.push_back(line);
                if self.lines.len() > MAX_LINES {
                    self.lines.pop_front();
                }
            }
            Entry::Next { event, line } => {
                self.next_event = event;
                self.next_line = line;
            }
        }
    }

    fn pending(&self) -> usize {
        self.events.len() + self.lines.len()
    }

    fn compact_spool(&mut self) {
        let pending = self.pending();
        let next = Entry::Next { event: self.next_event, line: self.next_line };
        if let Some(spool) = self.spool.as_mut().filter(|spool| pending == 0 && spool.is_worth_compacting()) {
            spool.restart(&next);
        }
    }
}

/// Peak resident memory of this process, bytes.
pub fn peak_rss() -> u64 {
    use nix::sys::resource::{UsageWho, getrusage};
    let kib = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    u64::try_from(kib).unwrap_or(0) * 1024
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_MESSAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> EventKind {
        EventKind::Note { text: text.into() }
    }

    fn telemetry(folder: Option<&Path>) -> Telemetry {
        Telemetry::new("run-1".parse().unwrap(), folder)
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let telemetry = telemetry(None);
        for text in ["a", "b", "c"] {
            telemetry.event(Step::Network, note(text));
            telemetry.line("info", "agent", text);
        }
        telemetry.acknowledge(&telemetry.run(), TelemetryAck { events_through: 2, lines_through: 1 });
        let batch = telemetry.batch();
        assert_eq!(batch.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
        assert_eq!(batch.lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [2, 3]);
        assert!(!telemetry.is_drained());
    }

    #[test]
    fn what_an_ended_run_kept_is_delivered_with_its_numbers_and_without_a_heartbeat() {
        let telemetry = telemetry(None);
        telemetry.event(Step::Join, EventKind::Started);
        telemetry.line("info", "agent", "a");
        telemetry.acknowledge(&telemetry.run(), TelemetryAck { events_through: 0, lines_through: 1 });
        telemetry.line("info", "agent", "b");
        let kept = telemetry.everything();
        let again = Telemetry::ended(kept.clone());
        assert_eq!(again.batch(), kept);
        assert_eq!((kept.lines[0].seq, kept.heartbeat), (2, None));
    }

    #[test]
    fn an_acknowledgement_of_an_earlier_run_is_left_alone() {
        let telemetry = telemetry(None);
        let earlier = telemetry.run();
        telemetry.begin_run("run-2".parse().unwrap());
        telemetry.event(Step::Manifest, note("new"));
        telemetry.acknowledge(&earlier, TelemetryAck { events_through: 9, lines_through: 9 });
        assert!(!telemetry.is_drained());
    }

    #[test]
    fn a_new_process_of_the_run_carries_on_with_numbers_and_entries() {
        let folder = tempfile::tempdir().unwrap();
        let first = telemetry(Some(folder.path()));
        first.event(Step::Network, note("before"));
        first.line("info", "agent", "before");
        drop(first);
        let second = telemetry(Some(folder.path()));
        second.event(Step::Network, note("after"));
        let batch = second.batch();
        assert_eq!(batch.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(batch.lines.len(), 1);
        second.acknowledge(&second.run(), TelemetryAck { events_through: 2, lines_through: 1 });
        assert!(second.is_drained());
    }

    #[test]
    fn without_a_server_memory_is_bounded_and_the_gap_is_visible() {
        let telemetry = telemetry(None);
        for _ in 0..MAX_LINES + 10 {
            telemetry.line("info", "agent", "x");
        }
        assert_eq!(telemetry.batch().lines[0].seq, 11);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert!(cut(&"ä".repeat(MAX_MESSAGE)).len() <= MAX_MESSAGE);
        let odd = format!("a{}", "ä".repeat(MAX_MESSAGE));
        assert_eq!(cut(&odd).len(), MAX_MESSAGE - 1);
        assert_eq!(cut("aä"), "aä");
    }
}
