//! Events, log lines and heartbeats of a run: append-only, acknowledged once durable.

use crate::{Failure, Timestamp, names::RunId, step::Step};
use serde::{Deserialize, Serialize};

/// Most events in one request, and most lines.
pub const MAX_BATCH: usize = 500;

/// One delivery. Sequence numbers start at 1 and have no gaps within a run; events and lines count apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// The run.
    pub run: RunId,
    /// The enrolment, while there is no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What the run does now; not stored as history.
    #[serde(default)]
    pub heartbeat: Option<Heartbeat>,
    /// Steps.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Log.
    #[serde(default)]
    pub lines: Vec<LogLine>,
}

/// Durable up to these numbers; what is not acknowledged is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TelemetryAck {
    pub events_through: u64,
    pub lines_through: u64,
}

/// What the run does now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The step.
    pub step: Step,
    /// How far it is.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Peak resident memory of the agent, bytes.
    #[serde(default)]
    pub agent_peak_rss: u64,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Done so far.
    pub done_bytes: u64,
    /// All there is, once known.
    pub total_bytes: u64,
    /// Done so far.
    pub done_paths: u64,
    /// All there are, once known.
    pub total_paths: u64,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 ... within the run.
    pub seq: u64,
    /// The agent's clock, which may be wrong before the clock step.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// Milliseconds since the run began, by a clock that nobody sets.
    pub since_start_ms: u64,
    /// The step it belongs to.
    pub step: Step,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The step began.
    Started,
    /// The step ended well.
    Finished {
        /// How long it took.
        duration_ms: u64,
        /// One line for people: `eth0 10.77.0.20/24`.
        detail: String,
    },
    /// The step failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Milliseconds until it is tried again; absent: the run ends here.
        #[serde(default)]
        retry_in_ms: Option<u64>,
    },
    /// Worth knowing.
    Note {
        /// One line for people.
        text: String,
    },
    /// Of a newer peer.
    #[serde(other)]
    Unknown,
}

/// A line of the agent's log or the kernel's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// 1, 2, 3 ... within the run.
    pub seq: u64,
    /// The agent's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
    /// `error`, `warn`, `info`, `debug`.
    pub level: String,
    /// `agent`, `kernel`, or a tool.
    pub source: String,
    /// At most 4 KiB.
    pub message: String,
}
