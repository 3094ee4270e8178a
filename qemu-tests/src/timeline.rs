//! Where the time of an installation went, from the events that the boot-server has stored.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use time::{Duration, OffsetDateTime};

/// Steps that the installed system reports, after the reboot.
const AFTER_REBOOT: &[&str] = &["preflight", "join", "ready"];

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// A step, or what happened between two.
    pub name: String,
    /// Seconds after power-on.
    pub start: f64,
    /// Seconds.
    pub took: f64,
    /// What it came to.
    pub detail: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.1} s  {:<24} {:>6.1} s  {}", self.start, self.name, self.took, short(&self.detail))
    }
}

/// An event as `describe node -o json` has it, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    #[serde(with = "time::serde::rfc3339")]
    received: OffsetDateTime,
    event: Inner,
}

#[derive(Debug, Clone, Deserialize)]
struct Inner {
    since_start_ms: i64,
    step: String,
    event: String,
    #[serde(default)]
    duration_ms: i64,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    text: String,
    failure: Option<Value>,
}

impl Event {
    /// The events of a node.
    ///
    /// # Errors
    /// They are not what they should be.
    pub fn all(node: &Value) -> Result<Vec<Self>> {
        serde_json::from_value(node["events"].clone()).context("reading the node's events")
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let event = &self.event;
        let tail = match event.event.as_str() {
            "started" => "...".to_owned(),
            "finished" => {
                format!("{:.1} s  {}", milliseconds(event.duration_ms).as_seconds_f64(), short(&event.detail))
            }
            "failed" => event.failure.as_ref().map(failure).unwrap_or_default(),
            _ => event.text.clone(),
        };
        format!("{:<12} {tail}", event.step)
    }

    /// Whether the step only began: uninteresting once it has ended.
    pub fn is_start(&self) -> bool {
        self.event.event == "started"
    }

    fn after_reboot(&self) -> bool {
        AFTER_REBOOT.contains(&self.event.step.as_str())
    }

    /// When the process that sent it began, by the server's clock, and a little later for what was spooled.
    fn run_start(&self) -> OffsetDateTime {
        self.received - milliseconds(self.event.since_start_ms)
    }
}

/// `CODE: cause (remedy)` of a failure.
pub fn failure(failure: &Value) -> String {
    let part = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
    format!("{}: {} ({})", part("code"), part("cause"), part("remedy"))
}

/// Fits a terminal; the whole text is on the server.
fn short(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

fn milliseconds(count: i64) -> Duration {
    Duration::milliseconds(count)
}

/// The steps in their order, with firmware and reboot between them.
pub fn rows(events: &[Event], power_on: OffsetDateTime) -> Vec<Row> {
    let since = |then: OffsetDateTime| (then - power_on).as_seconds_f64();
    let mut rows = Vec::new();
    let mut end = 0.0;
    for (between, late) in [("firmware, iPXE, kernel", false), ("reboot, firmware, system", true)] {
        let part = || events.iter().filter(move |event| event.after_reboot() == late);
        let Some(start) = part().map(Event::run_start).min() else { continue };
        let start = since(start);
        rows.push(Row { name: between.to_owned(), start: end, took: start - end, detail: String::new() });
        for event in part().filter(|event| event.event.event == "finished") {
            let took = milliseconds(event.event.duration_ms).as_seconds_f64();
            end = start + milliseconds(event.event.since_start_ms).as_seconds_f64();
            let detail = event.event.detail.clone();
            rows.push(Row { name: event.event.step.clone(), start: end - took, took, detail });
        }
    }
    rows
}

/// Now, as the boot-server on this host sees it.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::format_description::well_known::Rfc3339;

    fn finished(received: &str, since: i64, step: &str, took: i64) -> Value {
        json!({ "id": 1, "run": "r", "received": received, "event": {
            "seq": 1, "time": received, "since_start_ms": since, "step": step,
            "event": "finished", "duration_ms": took, "detail": "done" } })
    }

    #[test]
    fn firmware_and_reboot_are_what_lies_between_the_steps() {
        let node = json!({ "events": [
            finished("2026-01-01T00:00:20Z", 2000, "coldplug", 1000),
            finished("2026-01-01T00:00:30Z", 20000, "report", 5000),
            finished("2026-01-01T00:01:05Z", 5000, "join", 5000),
        ] });
        let power_on = OffsetDateTime::parse("2026-01-01T00:00:00Z", &Rfc3339).expect("a time");
        let events = Event::all(&node).expect("events");
        let rows = rows(&events, power_on);
        let short: Vec<(&str, i64, i64)> =
            rows.iter().map(|row| (row.name.as_str(), row.start.round() as i64, row.took.round() as i64)).collect();
        assert_eq!(
            short,
            [
                ("firmware, iPXE, kernel", 0, 10),
                ("coldplug", 11, 1),
                ("report", 25, 5),
                ("reboot, firmware, system", 30, 30),
                ("join", 60, 5)
            ]
        );
    }

    #[test]
    fn a_failure_is_shown_with_its_code_and_its_remedy() {
        let shown = failure(&json!({ "code": "E-X", "cause": "it broke", "remedy": "mend it" }));
        assert_eq!(shown, "E-X: it broke (mend it)");
    }
}
