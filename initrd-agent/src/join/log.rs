//! One JSON object a line on standard output, for the journal; the same lines are kept for the boot-server.

use protocol::{Timestamp, telemetry::LogLine};
use serde_json::{Map, Value};
use std::{
    fmt::Debug,
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use time::format_description::well_known::Rfc3339;
use tracing::{Event, Subscriber, field::Field, field::Visit};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, layer::SubscriberExt};

/// Lines kept for the boot-server, less than it takes in one delivery; what comes after is in the journal alone.
const MOST_KEPT: u64 = 400;
/// The longest message that is shipped.
const MOST_BYTES: usize = 4096;

/// The log of this process.
#[derive(Clone)]
pub struct Log(Arc<Mutex<State>>);

struct State {
    service: String,
    operation: &'static str,
    kept: Vec<LogLine>,
    count: u64,
}

impl Log {
    /// Makes every `tracing` event of this process a line of the log.
    pub fn install(service: &str) -> Self {
        let log = Self(Arc::new(Mutex::new(State {
            service: service.to_owned(),
            operation: "start",
            kept: Vec::new(),
            count: 0,
        })));
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let subscriber = tracing_subscriber::registry().with(filter).with(Lines(log.clone()));
        // Fails only where a subscriber is there already, in tests.
        drop(tracing::subscriber::set_global_default(subscriber));
        log
    }

    /// What the lines from here on belong to.
    pub fn operation(&self, name: &'static str) {
        self.state().operation = name;
    }

    /// The lines since the last call.
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.state().kept)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lines(Log);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = Timestamp::now_utc();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str();
        let mut state = self.0.state();
        let line = line(now, level, &state.service, state.operation, &fields);
        // The journal gone is no reason to stop.
        drop(writeln!(std::io::stdout().lock(), "{line}"));
        if state.count < MOST_KEPT {
            state.count += 1;
            let line = LogLine {
                seq: state.count,
                time: now,
                level: level.to_ascii_lowercase(),
                source: "agent".to_owned(),
                message: clipped(&fields.message, MOST_BYTES).to_owned(),
            };
            state.kept.push(line);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }
}

/// The line, with the keys that readers look for first; a field cannot take the place of one of them.
fn line(now: Timestamp, level: &str, service: &str, operation: &str, fields: &Fields) -> Value {
    let mut object = fields.others.clone();
    let timestamp = now.format(&Rfc3339).unwrap_or_default();
    for (key, value) in [
        ("timestamp", timestamp.as_str()),
        ("level", level),
        ("service", service),
        ("operation", operation),
        ("message", &fields.message),
    ] {
        object.insert(key.to_owned(), value.into());
    }
    Value::Object(object)
}

fn clipped(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_keys_that_readers_look_for() {
        let mut fields = Fields { message: "two\nlines".to_owned(), others: Map::new() };
        fields.others.insert("attempt".to_owned(), 3.into());
        fields.others.insert("level".to_owned(), "forged".into());
        let text = line(Timestamp::UNIX_EPOCH, "WARN", "etcd", "join", &fields).to_string();
        assert!(!text.contains('\n'));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!((&value["level"], &value["attempt"]), (&"WARN".into(), &3.into()));
        assert_eq!((&value["service"], &value["operation"]), (&"etcd".into(), &"join".into()));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(clipped("aä", 2), "a");
        assert_eq!(clipped("aä", 3), "aä");
    }
}
