//! One JSON object a line on standard output, for the journal; the same lines go to the boot-server, where there is one.

use protocol::{Failure, Timestamp, step::Step};
use serde_json::{Map, Value};
use std::{
    fmt::Debug,
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use telemetry::{LogLayer, Telemetry, steps::Audience};
use time::format_description::well_known::Rfc3339;
use tracing::{Event, Subscriber, field::Field, field::Visit};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, layer::SubscriberExt};

/// The log of this process.
#[derive(Clone)]
pub struct Log(Arc<Mutex<State>>);

struct State {
    service: String,
    operation: &'static str,
}

impl Log {
    /// Makes every `tracing` event of this process a line of the log, and of the telemetry that goes to the boot-server.
    pub fn install(service: &str, telemetry: Option<&Telemetry>) -> Self {
        let log = Self(Arc::new(Mutex::new(State { service: service.to_owned(), operation: "start" })));
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let shipped = telemetry.cloned().map(LogLayer::new);
        let subscriber = tracing_subscriber::registry().with(filter).with(Lines(log.clone())).with(shipped);
        // Fails only where a subscriber is there already, in tests.
        drop(tracing::subscriber::set_global_default(subscriber));
        log
    }

    /// What the lines from here on belong to.
    pub fn operation(&self, name: &'static str) {
        self.state().operation = name;
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
        let state = self.0.state();
        let line = line(now, level, &state.service, state.operation, &fields);
        // The journal gone is no reason to stop.
        drop(writeln!(std::io::stdout().lock(), "{line}"));
    }
}

impl Audience for Log {
    fn started(&self, step: Step) {
        self.operation(step.name());
        tracing::info!("{}", step.title());
    }

    fn finished(&self, _: Step, took: Duration, detail: &str) {
        tracing::info!(duration_ms = took.as_millis() as u64, "{detail}");
    }

    fn failed(&self, _: Step, _: &Failure, _: Option<Duration>) {
        // It is printed once, at the edge.
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
}
