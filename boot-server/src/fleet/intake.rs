//! Telemetry taken in: stored once, acknowledged once durable, and what it says about the node's life.

use crate::{
    base::clock::now,
    domain::lifecycle::{Input, Record},
    state::{State, Unit, nodes::Node, runs::Owner},
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    failure::Result,
    names::RunId,
    step::Step,
    telemetry::{Event, EventKind, LogLine, MAX_BATCH, Telemetry, TelemetryAck},
    text::cut,
};

/// Entries of one run that are kept.
const MOST_OF_NODE: i64 = 200_000;
/// Entries of a run of a machine that nobody has admitted.
const MOST_OF_SESSION: i64 = 5_000;
/// A log line is cut there.
const MOST_BYTES: usize = 4096;

/// Takes telemetry in.
#[derive(Debug)]
pub struct Intake {
    state: State,
}

impl Intake {
    /// Of the parts it uses.
    pub fn new(state: State) -> Self {
        Self { state }
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
        self.state.memory.presence.heard(&run, heartbeat.as_ref(), now());
        Ok(ack)
    }

    async fn store(&self, telemetry: Telemetry, owner: &Owner, address: &str) -> Result<TelemetryAck> {
        let run = &telemetry.run;
        let mut unit = self.state.begin().await?;
        unit.may_speak(run, owner).await?;
        unit.claim_run(run, owner, Some(address)).await?;
        let fresh = store(&mut unit, run, owner, telemetry.events, telemetry.lines).await?;
        if let Some(heartbeat) = &telemetry.heartbeat {
            unit.used_memory(run, heartbeat.agent_peak_rss).await?;
        }
        follow(&mut unit, run, owner, &fresh).await?;
        let ack = unit.stored(run).await?;
        unit.commit().await?;
        Ok(ack)
    }
}

/// Stores events and lines within the bounds; the events that are new.
async fn store(
    unit: &mut Unit,
    run: &RunId,
    owner: &Owner,
    events: Vec<Event>,
    lines: Vec<LogLine>,
) -> Result<Vec<Event>> {
    let most = if matches!(owner, Owner::Node(_)) { MOST_OF_NODE } else { MOST_OF_SESSION };
    let room = most - unit.journal_count(run).await?;
    let mut room = usize::try_from(room).unwrap_or(0);
    let mut fresh = Vec::new();
    for event in events {
        if room > 0 && unit.add_event(run, &event).await? {
            room -= 1;
            fresh.push(event);
        }
    }
    for mut line in lines {
        line.message = cut(line.message, MOST_BYTES);
        line.level = cut(line.level, 16);
        line.source = cut(line.source, 64);
        if room > 0 && unit.add_line(run, &line).await? {
            room -= 1;
        }
    }
    Ok(fresh)
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
}
