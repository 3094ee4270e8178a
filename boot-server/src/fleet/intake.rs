//! Telemetry taken in: stored once, acknowledged once durable, and what it says about the node's life.

use crate::{
    base::allowance::Allowances,
    domain::lifecycle::{Input, Record},
    state::{State, Unit, nodes::Node, runs::Owner},
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    failure::Result,
    names::{NodeName, RunId},
    step::Step,
    telemetry::{Event, EventKind, LogLine, MAX_BATCH, Telemetry, TelemetryAck},
    text::cut,
};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Events of one run that are kept: of what a run says, they matter most, and they have room of their own.
const MOST_EVENTS: i64 = 2_000;
/// Bytes of what is kept of a machine that nobody has admitted: the newest, and events before lines.
const MOST_OF_SESSION: u64 = 1 << 20;
/// Bytes of what is kept of all those machines.
const MOST_OF_STRANGERS: i64 = 256 << 20;
/// A log line, and every text of an event, is cut there.
const MOST_BYTES: usize = 4096;

/// Bytes that one teller is heard with at once: the log of a machine that starts, some times over.
const AT_ONCE: u64 = 8 << 20;
/// Bytes a second that one teller is heard with after that.
const A_SECOND: u64 = 256 << 10;

/// Whose telling is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Teller {
    /// A node, over all of its connections.
    Node(NodeName),
    /// Every machine of this source that has no certificate.
    Stranger(IpAddr),
}

/// Takes telemetry in.
#[derive(Debug)]
pub struct Intake {
    state: State,
    allowances: Allowances<Teller>,
    /// Bytes of what is kept of a node: the newest, and events before lines.
    most_of_node: u64,
}

impl Intake {
    /// Of the parts it uses.
    pub fn new(state: State, most_of_node: u64) -> Self {
        Self { state, allowances: Allowances::new(AT_ONCE, A_SECOND), most_of_node }
    }

    /// Whether the teller is heard with so many bytes now.
    ///
    /// # Errors
    /// `E-SERVER-UNREACHABLE` where it has told too much, and after how long it is heard again.
    pub fn hears(&self, teller: Teller, bytes: u64) -> std::result::Result<(), (Failure, Duration)> {
        self.allowances.hears(teller, bytes, Instant::now()).map_err(|after| {
            let cause = format!("taking in telemetry: more than {} KiB a second, and no room is left", A_SECOND >> 10);
            let remedy = format!("nothing is lost: it is sent again, and taken after {} s", after.as_secs());
            (Failure::new(Code::ServerUnreachable, cause).with_remedy(remedy), after)
        })
    }

    /// Stores what is new in the delivery.
    ///
    /// # Errors
    /// `E-INPUT` for too large a batch, `E-FORBIDDEN` for another's run; nothing is stored then.
    pub async fn take_in(&self, telemetry: Telemetry, owner: &Owner, address: &str) -> Result<TelemetryAck> {
        if telemetry.events.len().max(telemetry.lines.len()) > MAX_BATCH {
            let cause = format!("reading telemetry: more than {MAX_BATCH} events or lines");
            return Err(Failure::new(Code::Input, cause));
        }
        let (run, heartbeat) = (telemetry.run.clone(), telemetry.heartbeat.clone());
        let nothing_new = telemetry.events.is_empty() && telemetry.lines.is_empty();
        let ack = if nothing_new && self.state.run_is_of(&run, owner).await? {
            self.state.stored(&run).await?
        } else {
            self.store(telemetry, owner, address).await?
        };
        self.state.memory.presence.heard(&run, heartbeat.as_ref(), Instant::now());
        Ok(ack)
    }

    async fn store(&self, telemetry: Telemetry, owner: &Owner, address: &str) -> Result<TelemetryAck> {
        let run = &telemetry.run;
        let mut unit = self.state.begin().await?;
        unit.may_speak(run, owner).await?;
        unit.claim_run(run, owner, Some(address)).await?;
        let fresh = store(&mut unit, run, owner, telemetry.events, telemetry.lines).await?;
        let most = if matches!(owner, Owner::Node(_)) { self.most_of_node } else { MOST_OF_SESSION };
        unit.cut_journal(owner, most).await?;
        if let Some(heartbeat) = &telemetry.heartbeat {
            unit.used_memory(run, heartbeat.agent_peak_rss).await?;
        }
        follow(&mut unit, run, owner, &fresh).await?;
        let ack = unit.stored(run).await?;
        unit.commit().await?;
        Ok(ack)
    }
}

/// Stores events and lines within the bounds; the events that are new. What is not kept counts as told: a sender that was
/// not told so would send it again for ever.
async fn store(
    unit: &mut Unit,
    run: &RunId,
    owner: &Owner,
    events: Vec<Event>,
    lines: Vec<LogLine>,
) -> Result<Vec<Event>> {
    let last_event = events.iter().map(|event| event.seq).max().unwrap_or(0);
    let last_line = lines.iter().map(|line| line.seq).max().unwrap_or(0);
    let crowded = matches!(owner, Owner::Session(_)) && unit.bytes_of_strangers().await? > MOST_OF_STRANGERS;
    let mut room = if crowded { -MOST_EVENTS } else { MOST_EVENTS - unit.event_count(run).await? };
    let (mut fresh, mut bytes) = (Vec::new(), 0);
    for event in events.into_iter().map(bounded) {
        // A failure that ends the run is told, however much was told before it.
        let matters = matches!(event.kind, EventKind::Failed { retry_in_ms: None, .. });
        if room > 0 || matters && room > -MOST_EVENTS {
            let kept = unit.add_event(run, &event).await?;
            if kept > 0 {
                (room, bytes) = (room - 1, bytes + kept);
                fresh.push(event);
            }
        } else if matters && crowded {
            fresh.push(event);
        }
    }
    for mut line in lines.into_iter().filter(|_| !crowded) {
        line.message = cut(line.message, MOST_BYTES);
        line.level = cut(line.level, 16);
        line.source = cut(line.source, 64);
        bytes += unit.add_line(run, &line).await?;
    }
    unit.told(run, last_event, last_line, bytes).await?;
    Ok(fresh)
}

/// The event with its texts cut.
fn bounded(event: Event) -> Event {
    let kind = match event.kind {
        EventKind::Finished { duration_ms, detail } => {
            EventKind::Finished { duration_ms, detail: cut(detail, MOST_BYTES) }
        }
        EventKind::Failed { mut failure, retry_in_ms } => {
            failure.cause = cut(failure.cause, MOST_BYTES);
            failure.remedy = cut(failure.remedy, MOST_BYTES);
            EventKind::Failed { failure, retry_in_ms }
        }
        EventKind::Note { text } => EventKind::Note { text: cut(text, MOST_BYTES) },
        kind @ (EventKind::Started | EventKind::Unknown) => kind,
    };
    Event { kind, ..event }
}

/// Follows the run and the node's life by the events.
async fn follow(unit: &mut Unit, run: &RunId, owner: &Owner, events: &[Event]) -> Result<()> {
    for event in events {
        let known = (event.step != Step::Unknown).then_some(event.step);
        match &event.kind {
            EventKind::Failed { failure, .. } => unit.run_stands(run, known, Some(failure)).await?,
            EventKind::Started | EventKind::Finished { .. } => unit.run_stands(run, known, None).await?,
            EventKind::Note { .. } | EventKind::Unknown => {}
        }
    }
    let inputs: Vec<Input> = events.iter().filter_map(|event| meaning(run, event)).collect();
    let Owner::Node(name) = owner else { return Ok(()) };
    if inputs.is_empty() {
        return Ok(());
    }
    let mut node = unit.node(name).await?;
    let before = node.record.clone();
    for input in inputs {
        node.record = node.record.after(&input).unwrap_or(node.record);
    }
    if node.record == before {
        return Ok(());
    }
    note_change(unit, &before, &node).await?;
    unit.save_node(&node).await
}

async fn note_change(unit: &mut Unit, before: &Record, node: &Node) -> Result<()> {
    let text = if node.record.quarantined() && !before.quarantined() {
        format!("quarantine: {} runs of generation {} failed", node.record.failed_runs, before.generation)
    } else if node.record.state == NodeState::Failed && before.state != NodeState::Failed {
        format!("the run failed ({} of this generation so far)", node.record.failed_runs)
    } else {
        return Ok(());
    };
    unit.note("server", Some(&node.name), text).await
}

/// What an event says about the node's life.
fn meaning(run: &RunId, event: &Event) -> Option<Input> {
    let joins = matches!(event.step, Step::Preflight | Step::Join | Step::Ready);
    match &event.kind {
        EventKind::Failed { retry_in_ms: None, .. } if joins => Some(Input::JoinFailed),
        EventKind::Failed { retry_in_ms: None, .. } => Some(Input::RunFailed(run.clone())),
        EventKind::Started if joins => Some(Input::Joining),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Timestamp;

    fn event(step: Step, kind: EventKind) -> Event {
        Event { seq: 1, time: Timestamp::UNIX_EPOCH, since_start_ms: 0, step, kind }
    }

    fn failed(retry_in_ms: Option<u64>) -> EventKind {
        EventKind::Failed { failure: Failure::new(Code::Network, "x"), retry_in_ms }
    }

    #[test]
    fn only_a_failure_that_is_not_retried_ends_a_run() {
        let run: RunId = "r1".parse().unwrap();
        assert_eq!(meaning(&run, &event(Step::Disk, failed(None))), Some(Input::RunFailed(run.clone())));
        assert_eq!(meaning(&run, &event(Step::Disk, failed(Some(1)))), None);
        assert_eq!(meaning(&run, &event(Step::Join, failed(None))), Some(Input::JoinFailed));
        assert_eq!(meaning(&run, &event(Step::Preflight, EventKind::Started)), Some(Input::Joining));
        assert_eq!(meaning(&run, &event(Step::Disk, EventKind::Started)), None);
    }

    async fn opened() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::create(&crate::state::path_in(dir.path()), crate::base::health::Health::default()).await;
        (dir, state.unwrap())
    }

    fn line(seq: u64, bytes: usize) -> LogLine {
        let message = format!("{seq} ") + &"x".repeat(bytes);
        LogLine { seq, time: Timestamp::UNIX_EPOCH, level: "info".into(), source: "kernel".into(), message }
    }

    fn delivery(run: &RunId, events: Vec<Event>, lines: Vec<LogLine>) -> Telemetry {
        Telemetry { run: run.clone(), session: None, heartbeat: None, events, lines }
    }

    async fn kept(state: &State, run: &RunId) -> (usize, Vec<u64>) {
        let (mut events, mut lines, mut after) = (0, Vec::new(), 0);
        loop {
            let page = state.journal(&crate::state::journal::Of::Run(run.clone()), after).await.unwrap();
            let Some(last) = page.last() else { return (events, lines) };
            after = match last {
                protocol::admin::JournalEntry::Event(event) => event.id,
                protocol::admin::JournalEntry::Line(line) => line.id,
            };
            for entry in page {
                match entry {
                    protocol::admin::JournalEntry::Event(_) => events += 1,
                    protocol::admin::JournalEntry::Line(line) => lines.push(line.line.seq),
                }
            }
        }
    }

    #[tokio::test]
    async fn of_much_log_the_newest_lines_are_kept_all_of_it_is_acknowledged_and_no_event_is_lost() {
        let (_dir, state) = opened().await;
        let intake = Intake::new(state.clone(), 2 << 20);
        let (run, owner): (RunId, _) = ("r1".parse().unwrap(), Owner::Session(protocol::encoding::Sha256::of(b"s")));
        let first = Event { seq: 1, ..event(Step::Coldplug, EventKind::Started) };
        intake.take_in(delivery(&run, vec![first], vec![]), &owner, "a").await.unwrap();
        for batch in 0..8u64 {
            let lines = (1..=500).map(|n| line(batch * 500 + n, 1000)).collect();
            let ack = intake.take_in(delivery(&run, vec![], lines), &owner, "a").await.unwrap();
            assert_eq!((ack.events_through, ack.lines_through), (1, (batch + 1) * 500));
        }
        let last = Event { seq: 2, ..event(Step::Network, failed(None)) };
        intake.take_in(delivery(&run, vec![last], vec![line(4001, 1_000_000)]), &owner, "a").await.unwrap();
        let (events, lines) = kept(&state, &run).await;
        assert_eq!((events, lines.last()), (2, Some(&4001)));
        assert!((400..1500).contains(&lines.len()) && lines.windows(2).all(|pair| pair[1] == pair[0] + 1), "{lines:?}");
        assert!(state.run(&run).await.unwrap().unwrap().failure.is_some());
    }

    #[tokio::test]
    async fn what_an_event_says_is_cut_and_of_too_many_the_failure_that_ends_the_run_is_kept() {
        let (_dir, state) = opened().await;
        let intake = Intake::new(state.clone(), 1 << 20);
        let (run, owner): (RunId, _) = ("r1".parse().unwrap(), Owner::Session(protocol::encoding::Sha256::of(b"s")));
        let long = EventKind::Note { text: "n".repeat(4 << 20) };
        let EventKind::Note { text } = bounded(event(Step::Plan, long)).kind else { panic!("another kind") };
        assert_eq!(text.len(), MOST_BYTES);
        for batch in 0..5u64 {
            let note = |n| Event { seq: batch * 500 + n, ..event(Step::Plan, EventKind::Note { text: "x".into() }) };
            intake.take_in(delivery(&run, (1..=500).map(note).collect(), vec![]), &owner, "a").await.unwrap();
        }
        let last = Event { seq: 2501, ..event(Step::Disk, failed(None)) };
        let ack = intake.take_in(delivery(&run, vec![last], vec![]), &owner, "a").await.unwrap();
        assert_eq!((ack.events_through, kept(&state, &run).await.0), (2501, 2001));
        assert!(state.run(&run).await.unwrap().unwrap().failure.is_some());
    }

    fn long_failure(seq: u64) -> Event {
        let failure = Failure::new(Code::Network, "c".repeat(MOST_BYTES)).with_remedy("r".repeat(MOST_BYTES));
        Event { seq, ..event(Step::Network, EventKind::Failed { failure, retry_in_ms: None }) }
    }

    async fn bytes_kept(state: &State, run: &RunId) -> usize {
        let (_, lines) = kept(state, run).await;
        assert_eq!(lines, Vec::<u64>::new());
        state.events_of_run(run).await.unwrap().iter().map(|event| serde_json::to_vec(event).unwrap().len()).sum()
    }

    #[tokio::test]
    async fn of_what_a_stranger_or_a_node_tells_in_events_no_more_is_kept_than_of_lines() {
        let (_dir, state) = opened().await;
        let intake = Intake::new(state.clone(), 1 << 20);
        let owners = [Owner::Session(protocol::encoding::Sha256::of(b"s")), Owner::Node("n1".parse().unwrap())];
        for (number, owner) in owners.iter().enumerate() {
            let run: RunId = format!("r{number}").parse().unwrap();
            if let Owner::Node(name) = owner {
                let mut unit = state.begin().await.unwrap();
                unit.save_node(&Node::new(name.clone())).await.unwrap();
                unit.commit().await.unwrap();
            }
            for batch in 0..4u64 {
                let events = (1..=100).map(|n| long_failure(batch * 100 + n)).collect();
                let lines = (1..=10).map(|n| line(batch * 10 + n, 100)).collect();
                let ack = intake.take_in(delivery(&run, events, lines), owner, "a").await.unwrap();
                assert_eq!(ack.events_through, (batch + 1) * 100);
            }
            let bytes = bytes_kept(&state, &run).await;
            assert!((100_000..1_300_000).contains(&bytes), "{bytes} of 3.3 MB are kept of {owner:?}");
            assert_eq!(state.events_of_run(&run).await.unwrap().last().unwrap().event.seq, 400, "the newest");
        }
    }

    #[tokio::test]
    async fn where_strangers_have_told_too_much_together_only_what_ended_a_run_is_noted() {
        let (_dir, state) = opened().await;
        let intake = Intake::new(state.clone(), 1 << 20);
        let session = |name: &[u8]| Owner::Session(protocol::encoding::Sha256::of(name));
        let (full, run): (RunId, RunId) = ("full".parse().unwrap(), "r1".parse().unwrap());
        let mut unit = state.begin().await.unwrap();
        unit.claim_run(&full, &session(b"a"), None).await.unwrap();
        unit.told(&full, 0, 0, MOST_OF_STRANGERS as usize + 1).await.unwrap();
        unit.commit().await.unwrap();
        let told = delivery(&run, vec![long_failure(1)], vec![line(1, 10)]);
        let ack = intake.take_in(told, &session(b"b"), "a").await.unwrap();
        assert_eq!((ack.events_through, ack.lines_through), (1, 1));
        assert_eq!(kept(&state, &run).await, (0, vec![]));
        assert!(state.run(&run).await.unwrap().unwrap().failure.is_some());
    }
}
