//! The steps of the installer, told on the consoles and to the boot-server.

use crate::console::Console;
use protocol::{Failure, failure::Result, step::Step, telemetry::EventKind};
use std::time::Duration;
use telemetry::{
    Telemetry,
    steps::{self, Audience},
};

pub use telemetry::steps::Attempts;

/// What every step of a run has at hand.
#[derive(Clone)]
pub struct Run {
    /// Where events and log lines go.
    pub telemetry: Telemetry,
    /// Where people look.
    pub console: Console,
}

impl Run {
    /// Runs one step to its end: `work` returns the step's result and one line about it.
    ///
    /// # Errors
    /// The last failure, once trying again cannot help or the attempts are used up.
    pub async fn step<T>(
        &self,
        step: Step,
        attempts: Attempts,
        work: impl AsyncFnMut() -> Result<(T, String)>,
    ) -> Result<T> {
        steps::run(Some(&self.telemetry), self, step, attempts, work).await
    }

    /// One line for people, on the consoles and on the server.
    pub fn note(&self, step: Step, text: &str) {
        tracing::info!("{text}");
        self.console.line(&format!("   {text}"));
        self.telemetry.event(step, EventKind::Note { text: text.to_owned() });
    }
}

/// `3/12`: the last step of the installer is its report.
fn place(step: Step) -> String {
    format!("{}/{}", step.number(), Step::Report.number())
}

impl Audience for Run {
    fn started(&self, step: Step) {
        self.console.line(&format!(".. [{}] {}", place(step), step.title()));
    }

    fn finished(&self, step: Step, took: Duration, detail: &str) {
        tracing::info!("{}: {detail}", step.name());
        let head = format!("ok [{}] {}", place(step), step.name());
        self.console.line(&format!("{head}: {detail} ({:.1} s)", took.as_secs_f64()));
    }

    fn failed(&self, step: Step, failure: &Failure, pause: Option<Duration>) {
        tracing::error!("{}: {failure}", step.name());
        let next = pause.map_or_else(String::new, |pause| format!("\n   trying again in {:.0} s", pause.as_secs_f64()));
        self.console.line(&format!("!! {failure}\n   remedy: {}{next}", failure.remedy));
    }
}
