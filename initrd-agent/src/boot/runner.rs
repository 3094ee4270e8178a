//! Runs a step: number, time, event, console line, retry. The steps themselves are plain functions.

use crate::{console::Console, telemetry::Telemetry};
use protocol::{Code, Failure, failure::Result, step::Step, telemetry::EventKind};
use std::time::{Duration, Instant};

/// Steps of the installer, for `[3/12]` on the console.
const INSTALLER_STEPS: usize = 12;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What every step of a run has at hand.
#[derive(Clone)]
pub struct Run {
    /// Where events and log lines go.
    pub telemetry: Telemetry,
    /// Where people look.
    pub console: Console,
}

/// How often a step is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// Until it works, as long as its failures may pass by themselves.
    UntilItWorks,
    /// So many times.
    AtMost(u32),
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
        mut work: impl AsyncFnMut() -> Result<(T, String)>,
    ) -> Result<T> {
        self.telemetry.event(step, EventKind::Started);
        self.console.line(&format!(".. [{}/{INSTALLER_STEPS}] {}", step.number(), step.title()));
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match work().await {
                Ok((result, detail)) => {
                    self.finished(step, began, detail);
                    return Ok(result);
                }
                Err(failure) => failure,
            };
            let pause = next_attempt(failure.code, attempt, attempts);
            self.failed(step, &failure, pause);
            let Some(pause) = pause else { return Err(failure) };
            tokio::time::sleep(pause).await;
        }
    }

    /// One line for people, on the consoles and on the server.
    pub fn note(&self, step: Step, text: &str) {
        tracing::info!("{text}");
        self.console.line(&format!("   {text}"));
        self.telemetry.event(step, EventKind::Note { text: text.to_owned() });
    }

    fn finished(&self, step: Step, began: Instant, detail: String) {
        let duration = began.elapsed();
        tracing::info!("{}: {detail}", step.name());
        let head = format!("ok [{}/{INSTALLER_STEPS}] {}", step.number(), step.name());
        self.console.line(&format!("{head}: {detail} ({:.1} s)", duration.as_secs_f64()));
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.telemetry.event(step, EventKind::Finished { duration_ms, detail });
    }

    fn failed(&self, step: Step, failure: &Failure, pause: Option<Duration>) {
        tracing::error!("{}: {failure}", step.name());
        let next = pause.map_or_else(String::new, |pause| format!("\n   trying again in {} s", pause.as_secs()));
        self.console.line(&format!("!! {failure}\n   remedy: {}{next}", failure.remedy));
        let retry_in_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        self.telemetry.event(step, EventKind::Failed { failure: failure.clone(), retry_in_ms });
    }
}

/// How long to wait before attempt `attempt + 1`, or `None` where there is to be none.
fn next_attempt(code: Code, attempt: u32, attempts: Attempts) -> Option<Duration> {
    let allowed = match attempts {
        Attempts::UntilItWorks => true,
        Attempts::AtMost(most) => attempt < most,
    };
    (allowed && may_pass(code)).then(|| pause_after(attempt))
}

/// 1, 2, 4 ... seconds after the first, second, third failure, never more than a minute.
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE)
}

/// Whether a failure may pass without anybody changing anything on this machine.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Network
            | Code::NoServer
            | Code::ServerUnreachable
            | Code::Tls
            | Code::CacheUnreachable
            | Code::NoSpec
            | Code::WrongState
            | Code::Quarantine
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_tried_again() {
        for code in [Code::DiskAmbiguous, Code::DiskForeign, Code::ManifestRefused, Code::ClosureSignature] {
            assert_eq!(next_attempt(code, 1, Attempts::UntilItWorks), None, "{code}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pause = |attempt| next_attempt(Code::Network, attempt, Attempts::UntilItWorks).unwrap().as_secs();
        assert_eq!((1..9).map(pause).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX), 60);
    }

    #[test]
    fn attempts_are_counted() {
        assert!(next_attempt(Code::CacheUnreachable, 2, Attempts::AtMost(3)).is_some());
        assert!(next_attempt(Code::CacheUnreachable, 3, Attempts::AtMost(3)).is_none());
    }
}
