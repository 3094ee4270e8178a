//! Events and log lines: append-only, each stored once, in the order of their arrival.

use super::{Doing, State, Unit, column, millis, plain, runs::Owner, time_of, to_column};
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

    /// The newest entries before `before`, so many and at most [`PAGE`], in their order.
    pub async fn journal_tail(&self, of: &Of, before: i64, most: u32) -> Result<Vec<JournalEntry>> {
        let (which, name) = match of {
            Of::Node(node) => ("run IN (SELECT id FROM runs WHERE node = ?)", node.to_string()),
            Of::Run(run) => ("run = ?", run.to_string()),
        };
        let query = format!("SELECT * FROM journal WHERE {which} AND id < ? ORDER BY id DESC LIMIT ?");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(name)
            .bind(before)
            .bind(PAGE.min(most.into()))
            .fetch_all(&self.readers)
            .await
            .doing(READING)?;
        rows.into_iter().rev().map(Row::entry).collect()
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

const STORED: &str = "SELECT coalesce(max(events_through), 0), coalesce(max(lines_through), 0) FROM runs WHERE id = ?";

/// Entries that are removed at a time, the oldest first.
const CUT: i64 = 100;

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

    /// How many events of the run are kept.
    pub async fn event_count(&mut self, run: &RunId) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM journal WHERE run = ? AND kind = 0")
            .bind(run.as_str())
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// Bytes that are kept of all machines that nobody has admitted.
    pub async fn bytes_of_strangers(&mut self) -> Result<i64> {
        sqlx::query_scalar("SELECT coalesce(sum(line_bytes), 0) FROM runs WHERE node IS NULL")
            .fetch_one(&mut *self.connection)
            .await
            .doing(READING)
    }

    /// Adds an event; how many bytes are kept for it, none where it was there.
    pub async fn add_event(&mut self, run: &RunId, event: &Event) -> Result<usize> {
        self.add(run, EVENT, event.seq, &to_column("an event", event)?).await
    }

    /// Adds a log line; how many bytes are kept for it, none where it was there.
    pub async fn add_line(&mut self, run: &RunId, line: &LogLine) -> Result<usize> {
        self.add(run, LINE, line.seq, &to_column("a log line", line)?).await
    }

    /// The run is told up to here, and so many bytes have come to those that are kept of it.
    pub async fn told(&mut self, run: &RunId, events: u64, lines: u64, bytes: usize) -> Result<()> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        sqlx::query(
            "UPDATE runs SET events_through = max(events_through, ?), lines_through = max(lines_through, ?), \
             line_bytes = line_bytes + ? WHERE id = ?",
        )
        .bind(number(events))
        .bind(number(lines))
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .bind(run.as_str())
        .execute(&mut *self.connection)
        .await
        .doing("writing a run")?;
        Ok(())
    }

    /// Removes the owner's oldest lines until no more than `most` bytes are kept; its oldest events where no line is left.
    pub async fn cut_journal(&mut self, owner: &Owner, most: u64) -> Result<()> {
        let (of, name) = match owner {
            Owner::Session(session) => ("session", session.hex()),
            Owner::Node(node) => ("node", node.to_string()),
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let runs = format!("SELECT id, line_bytes FROM runs WHERE {of} = ? AND line_bytes > 0 ORDER BY created");
        let mut runs: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(runs))
            .bind(name)
            .fetch_all(&mut *self.connection)
            .await
            .doing(READING)?;
        let mut kept: i64 = runs.iter().map(|(_, bytes)| bytes).sum();
        for kind in [LINE, EVENT] {
            for (run, own) in &mut runs {
                while kept > most && *own > 0 {
                    let bytes = match self.cut_run(run, kind).await?.min(*own) {
                        0 if kind == LINE => break,
                        // Of a run that says it has bytes and has nothing, the number was wrong.
                        0 => *own,
                        bytes => bytes,
                    };
                    (kept, *own) = (kept - bytes, *own - bytes);
                    sqlx::query("UPDATE runs SET line_bytes = ? WHERE id = ?")
                        .bind(*own)
                        .bind(&*run)
                        .execute(&mut *self.connection)
                        .await
                        .doing("writing a run")?;
                }
            }
        }
        Ok(())
    }

    /// Removes some of the run's oldest entries of a kind; how many bytes.
    async fn cut_run(&mut self, run: &str, kind: i64) -> Result<i64> {
        let removed: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE run = ? AND kind = ? ORDER BY id LIMIT ?) \
             RETURNING length(body)",
        )
        .bind(run)
        .bind(kind)
        .bind(CUT)
        .fetch_all(&mut *self.connection)
        .await
        .doing("cutting the journal")?;
        Ok(removed.iter().sum())
    }

    async fn add(&mut self, run: &RunId, kind: i64, seq: u64, body: &str) -> Result<usize> {
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
        Ok(if done.rows_affected() == 1 { body.len() } else { 0 })
    }
}
