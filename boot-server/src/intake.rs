//! Telemetry taken in: stored once, acknowledged once durable, and what it says about the node's life.

use crate::{
    lifecycle::{Input, Record},
    server::{Server, now},
    state::{
        self, Write, audit, journal, nodes,
        runs::{self, Owner},
    },
};
use protocol::{
    Code, Failure,
    admin::NodeState,
    failure::Result,
    names::RunId,
    step::Step,
    telemetry::{Event, EventKind, LogLine, MAX_BATCH, Telemetry, TelemetryAck},
};

/// Entries of one run that are kept.
const MOST_OF_NODE: i64 = 200_000;
/// Entries of a run of a machine that nobody has admitted.
const MOST_OF_SESSION: i64 = 5_000;
/// Runs of a machine that nobody has admitted.
const MOST_RUNS_OF_SESSION: i64 = 5;
/// A log line is cut there.
const MOST_BYTES: usize = 4096;

impl Server {
    /// Stores what is new in the delivery.
    ///
    /// # Errors
    /// `E-INPUT` for too large a batch, `E-FORBIDDEN` for another's run; nothing is stored then.
    pub async fn take_in(&self, telemetry: Telemetry, owner: &Owner, address: &str) -> Result<TelemetryAck> {
        if telemetry.events.len().max(telemetry.lines.len()) > MAX_BATCH {
            let cause = format!("reading telemetry: more than {MAX_BATCH} events or lines");
            return Err(Failure::new(Code::Input, cause));
        }
        let nothing_new = telemetry.events.is_empty() && telemetry.lines.is_empty();
        if nothing_new && self.state.run_is_of(&telemetry.run, owner).await? {
            self.presence.heard(&telemetry.run, telemetry.heartbeat.as_ref(), now());
            return self.state.stored(&telemetry.run).await;
        }
        let run = telemetry.run.clone();
        let mut write = self.state.write().await?;
        may_speak(&mut write, &run, owner).await?;
        runs::claim(&mut write, &run, owner, Some(address), now()).await?;
        let fresh = store(&mut write, &run, owner, telemetry.events, telemetry.lines).await?;
        if let Some(heartbeat) = &telemetry.heartbeat {
            runs::used_memory(&mut write, &run, heartbeat.agent_peak_rss).await?;
        }
        let moved = follow(&mut write, &run, owner, &fresh).await?;
        let ack = journal::stored(&mut write, &run).await?;
        state::commit(write).await?;
        self.presence.heard(&run, telemetry.heartbeat.as_ref(), now());
        self.written.ring();
        if let (true, Owner::Node(name)) = (moved, owner) {
            self.refresh_node(name).await?;
        }
        Ok(ack)
    }
}

/// A run belongs to whom it first came from; a machine's runs go with it when it becomes a node, and when it has to
/// greet again because the server or the agent was restarted.
pub(crate) async fn may_speak(write: &mut Write, run: &RunId, owner: &Owner) -> Result<()> {
    let known = runs::owners(write, run).await?;
    let allowed = match (known, owner) {
        (None, Owner::Node(_)) => true,
        (None, Owner::Session(session)) => runs::count_of_session(write, session).await? < MOST_RUNS_OF_SESSION,
        (Some((_, Some(node))), Owner::Node(own)) => node == own.as_str(),
        (Some((Some(session), _)), Owner::Session(own)) if session == own.hex() => true,
        (Some((session, node)), _) => runs::is_same_machine(write, session, node, owner).await?,
    };
    if allowed {
        return Ok(());
    }
    Err(Failure::new(Code::Forbidden, format!("taking in telemetry of run {run}: it is another machine's")))
}

/// Stores events and lines within the bounds; the events that are new.
async fn store(
    write: &mut Write,
    run: &RunId,
    owner: &Owner,
    events: Vec<Event>,
    lines: Vec<LogLine>,
) -> Result<Vec<Event>> {
    let most = if matches!(owner, Owner::Node(_)) { MOST_OF_NODE } else { MOST_OF_SESSION };
    let room = most - journal::count(write, run).await?;
    let mut room = usize::try_from(room).unwrap_or(0);
    let mut fresh = Vec::new();
    for event in events {
        if room > 0 && journal::add_event(write, run, &event, now()).await? {
            room -= 1;
            fresh.push(event);
        }
    }
    for mut line in lines {
        line.message = cut(line.message, MOST_BYTES);
        line.level = cut(line.level, 16);
        line.source = cut(line.source, 64);
        if room > 0 && journal::add_line(write, run, &line, now()).await? {
            room -= 1;
        }
    }
    Ok(fresh)
}

/// Cuts a text to so many bytes, between characters.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Follows the node's life by the events; whether its record has changed.
async fn follow(write: &mut Write, run: &RunId, owner: &Owner, events: &[Event]) -> Result<bool> {
    if events.is_empty() {
        return Ok(false);
    }
    for event in events {
        let known = (event.step != Step::Unknown).then_some(event.step);
        match &event.kind {
            EventKind::Failed { failure, .. } => runs::stands(write, run, known, Some(failure)).await?,
            EventKind::Started | EventKind::Finished { .. } => runs::stands(write, run, known, None).await?,
            EventKind::Note { .. } | EventKind::Unknown => {}
        }
    }
    let Owner::Node(name) = owner else { return Ok(false) };
    let mut node = nodes::load(write, name).await?;
    let before = node.record.clone();
    for event in events {
        if let Some(input) = meaning(run, event) {
            node.record = node.record.after(&input).unwrap_or(node.record);
        }
    }
    if node.record == before {
        return Ok(false);
    }
    note_change(write, &before, &node).await?;
    nodes::save(write, &node, now()).await?;
    Ok(true)
}

async fn note_change(write: &mut Write, before: &Record, node: &nodes::Node) -> Result<()> {
    if node.record.quarantined() && !before.quarantined() {
        let text = format!("quarantine: {} runs of generation {} failed", node.record.failed_runs, before.generation);
        audit::note(write, now(), "server", Some(&node.name), text).await?;
    } else if node.record.state == NodeState::Failed && before.state != NodeState::Failed {
        let text = format!("the run failed ({} of this generation so far)", node.record.failed_runs);
        audit::note(write, now(), "server", Some(&node.name), text).await?;
    }
    Ok(())
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

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("aéaé".to_owned(), 5), "aéa");
        assert_eq!(cut("abc".to_owned(), 5), "abc");
    }
}
