//! Events and log lines: append-only, each stored once, in the order of their arrival.

use super::{Doing, State, Unit, column, millis, plain, time_of, to_column};
use protocol::{
    admin::{JournalEntry, ServerEvent, ServerLine},
    failure::Result,
    names::{NodeName, RunId},
    telemetry::{Event, LogLine, TelemetryAck},
};

const READING: &str = "reading the journal";

const EVENT: i64 = 0;
const LINE: i64 = 1;

/// Most entries that one read returns.
pub const PAGE: i64 = 500;

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    run: String,
    kind: i64,
    received: i64,
    body: String,
}

impl Row {
    fn entry(self) -> Result<JournalEntry> {
        let run: RunId = plain("a run", &self.run)?;
        Ok(if self.kind == EVENT {
            let event = column("an event", &self.body)?;
            JournalEntry::Event(ServerEvent { id: self.id, run, received: time_of(self.received), event })
        } else {
            JournalEntry::Line(ServerLine { id: self.id, run, line: column("a log line", &self.body)? })
        })
    }
}

/// Whose journal is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Every run of a node.
    Node(NodeName),
    /// One run, of a machine that is no node yet.
    Run(RunId),
}

impl State {
    /// Up to [`PAGE`] entries after `after`.
    pub async fn journal(&self, of: &Of, after: i64) -> Result<Vec<JournalEntry>> {
        let rows: Vec<Row> = match of {
            Of::Node(node) => {
                sqlx::query_as(
                    "SELECT * FROM journal WHERE id > ?1 AND run IN (SELECT id FROM runs WHERE node = ?2) \
                     ORDER BY id LIMIT ?3",
                )
                .bind(after)
                .bind(node.as_str())
                .bind(PAGE)
                .fetch_all(&self.readers)
                .await
            }
            Of::Run(run) => {
                sqlx::query_as("SELECT * FROM journal WHERE id > ?1 AND run = ?2 ORDER BY id LIMIT ?3")
                    .bind(after)
                    .bind(run.as_str())
                    .bind(PAGE)
                    .fetch_all(&self.readers)
                    .await
            }
        }
        .doing(READING)?;
        rows.into_iter().map(Row::entry).collect()
    }

    /// The events of the run that installs and of every later run of the node.
    pub async fn events_since(&self, node: &NodeName, run: Option<&RunId>) -> Result<Vec<ServerEvent>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT * FROM journal WHERE kind = 0 AND run IN (SELECT id FROM runs WHERE node = ?1 AND created >= \
             coalesce((SELECT created FROM runs WHERE id = ?2), 0)) ORDER BY id DESC LIMIT ?3",
        )
        .bind(node.as_str())
        .bind(run.map(RunId::as_str))
        .bind(PAGE)
        .fetch_all(&self.readers)
        .await
        .doing(READING)?;
        events_of(rows)
    }

    /// The newest events of one run, in their order.
    pub async fn events_of_run(&self, run: &RunId) -> Result<Vec<ServerEvent>> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT * FROM journal WHERE kind = 0 AND run = ?1 ORDER BY id DESC LIMIT ?2")
                .bind(run.as_str())
                .bind(PAGE)
                .fetch_all(&self.readers)
                .await
                .doing(READING)?;
        events_of(rows)
    }

    /// Up to where the run is durable.
    pub async fn stored(&self, run: &RunId) -> Result<TelemetryAck> {
        let (events, lines) =
            sqlx::query_as(STORED).bind(run.as_str()).fetch_one(&self.readers).await.doing(READING)?;
        Ok(ack(events, lines))
    }
}

/// Rows come the newest first.
fn events_of(rows: Vec<Row>) -> Result<Vec<ServerEvent>> {
    let entries: Result<Vec<JournalEntry>> = rows.into_iter().rev().map(Row::entry).collect();
    let event = |entry| match entry {
        JournalEntry::Event(event) => Some(event),
        JournalEntry::Line(_) => None,
    };
    Ok(entries?.into_iter().filter_map(event).collect())
}

const STORED: &str = "SELECT coalesce(max(seq) FILTER (WHERE kind = 0), 0), \
                      coalesce(max(seq) FILTER (WHERE kind = 1), 0) FROM journal WHERE run = ?";

fn ack(events: i64, lines: i64) -> TelemetryAck {
    let count = |n| u64::try_from(n).unwrap_or(0);
    TelemetryAck { events_through: count(events), lines_through: count(lines) }
}

impl Unit {
    /// Up to where the run is stored.
    pub async fn stored(&mut self, run: &RunId) -> Result<TelemetryAck> {
        let (events, lines) =
            sqlx::query_as(STORED).bind(run.as_str()).fetch_one(&mut *self.connection).await.doing(READING)?;
        Ok(ack(events, lines))
    }

    /// How many entries the run has.
    pub async fn journal_count(&mut self, run: &RunId) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM journal WHERE run = ?")
            .bind(run.as_str())
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// Adds an event; whether it is new.
    pub async fn add_event(&mut self, run: &RunId, event: &Event) -> Result<bool> {
        self.add(run, EVENT, event.seq, &to_column("an event", event)?).await
    }

    /// Adds a log line; whether it is new.
    pub async fn add_line(&mut self, run: &RunId, line: &LogLine) -> Result<bool> {
        self.add(run, LINE, line.seq, &to_column("a log line", line)?).await
    }

    async fn add(&mut self, run: &RunId, kind: i64, seq: u64, body: &str) -> Result<bool> {
        self.after.written = true;
        let done = sqlx::query("INSERT OR IGNORE INTO journal (run, kind, seq, received, body) VALUES (?, ?, ?, ?, ?)")
            .bind(run.as_str())
            .bind(kind)
            .bind(i64::try_from(seq).unwrap_or(i64::MAX))
            .bind(millis(self.now))
            .bind(body)
            .execute(&mut *self.connection)
            .await
            .doing("adding to the journal")?;
        Ok(done.rows_affected() == 1)
    }
}
