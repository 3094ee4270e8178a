//! Runs a step: times it, tells it, tries it again. The steps themselves are plain functions.

use crate::Telemetry;
use host::retry::{Pauses, chance};
use protocol::{Code, Failure, failure::Result, step::Step, telemetry::EventKind};
use std::time::{Duration, Instant};

const PAUSES: Pauses = Pauses { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

/// How often a step is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// Until it works, as long as its failures may pass by themselves.
    UntilItWorks,
    /// So many times.
    AtMost(u32),
    /// So many times; then an earlier step is run again, which may help.
    BeforeAnEarlierStep(u32),
}

/// The people who watch on this machine: a console, a journal.
pub trait Audience {
    /// A step begins.
    fn started(&self, step: Step);
    /// It ended well; `detail` is one line about its result.
    fn finished(&self, step: Step, took: Duration, detail: &str);
    /// It failed; after `pause` it is tried again, where there is one.
    fn failed(&self, step: Step, failure: &Failure, pause: Option<Duration>);
}

/// Runs one step to its end: `work` returns the step's result and one line about it. Tells the audience, and the
/// boot-server where there is one.
///
/// # Errors
/// The last failure, once trying again cannot help or the attempts are used up.
pub async fn run<T>(
    telemetry: Option<&Telemetry>,
    audience: &impl Audience,
    step: Step,
    attempts: Attempts,
    mut work: impl AsyncFnMut() -> Result<(T, String)>,
) -> Result<T> {
    let tell = |kind| {
        if let Some(telemetry) = telemetry {
            telemetry.event(step, kind);
        }
    };
    audience.started(step);
    tell(EventKind::Started);
    let began = Instant::now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let failure = match work().await {
            Ok((result, detail)) => {
                let took = began.elapsed();
                audience.finished(step, took, &detail);
                tell(EventKind::Finished { duration_ms: millis(took), detail });
                return Ok(result);
            }
            Err(failure) => failure,
        };
        let pause = next_attempt(failure.code, attempt, attempts);
        let goes_back = matches!(attempts, Attempts::BeforeAnEarlierStep(_)) && may_pass(failure.code);
        let told = pause.or(goes_back.then_some(Duration::ZERO));
        audience.failed(step, &failure, told);
        tell(EventKind::Failed { failure: failure.clone(), retry_in_ms: told.map(millis) });
        let Some(pause) = pause else { return Err(failure) };
        tokio::time::sleep(pause).await;
    }
}

/// How long to wait before attempt `attempt + 1`, or `None` where there is to be none.
fn next_attempt(code: Code, attempt: u32, attempts: Attempts) -> Option<Duration> {
    let allowed = match attempts {
        Attempts::UntilItWorks => true,
        Attempts::AtMost(most) | Attempts::BeforeAnEarlierStep(most) => attempt < most,
    };
    (allowed && may_pass(code)).then(|| pause_after(attempt))
}

/// About 1, 2, 4 ... seconds after the first, second, third failure, never much more than a minute.
pub fn pause_after(failures: u32) -> Duration {
    PAUSES.pause(failures, chance())
}

/// Whether a failure may pass without anybody changing anything on this machine.
pub fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Network
            | Code::NoServer
            | Code::ServerUnreachable
            | Code::Busy
            | Code::Tls
            | Code::CacheUnreachable
            | Code::NoSpec
            | Code::WrongState
            | Code::Quarantine
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_refusal_is_not_tried_again() {
        for code in [Code::DiskAmbiguous, Code::DiskForeign, Code::ManifestRefused, Code::ClosureSignature] {
            assert_eq!(next_attempt(code, 1, Attempts::UntilItWorks), None, "{code}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pause = |attempt| PAUSES.pause(attempt, 0.5).as_secs();
        assert_eq!((1..9).map(pause).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX), 60);
        let drawn = next_attempt(Code::Network, 3, Attempts::UntilItWorks).unwrap().as_millis();
        assert!((3200..=4800).contains(&drawn));
    }

    #[test]
    fn attempts_are_counted() {
        assert!(next_attempt(Code::CacheUnreachable, 2, Attempts::AtMost(3)).is_some());
        assert!(next_attempt(Code::CacheUnreachable, 3, Attempts::AtMost(3)).is_none());
    }

    struct Heard(Mutex<Vec<String>>);

    impl Audience for Heard {
        fn started(&self, step: Step) {
            self.0.lock().unwrap().push(format!("{} starts", step.name()));
        }

        fn finished(&self, step: Step, _: Duration, detail: &str) {
            self.0.lock().unwrap().push(format!("{}: {detail}", step.name()));
        }

        fn failed(&self, step: Step, failure: &Failure, pause: Option<Duration>) {
            self.0.lock().unwrap().push(format!("{} fails with {}, {pause:?}", step.name(), failure.code));
        }
    }

    #[tokio::test]
    async fn a_step_is_told_to_people_and_to_the_server_alike() {
        let (telemetry, heard) = (Telemetry::new("run-1".parse().unwrap(), None), Heard(Mutex::default()));
        let done = run(Some(&telemetry), &heard, Step::Join, Attempts::AtMost(1), async || Ok((7, "in".to_owned())));
        assert_eq!(done.await, Ok(7));
        let refused = Failure::new(Code::DiskForeign, "looking");
        let failed = run(Some(&telemetry), &heard, Step::Ready, Attempts::UntilItWorks, async || {
            Err::<((), String), _>(refused.clone())
        });
        assert_eq!(failed.await, Err(refused.clone()));
        assert_eq!(
            *heard.0.lock().unwrap(),
            ["join starts", "join: in", "ready starts", "ready fails with E-DISK-FOREIGN, None"]
        );
        let kinds: Vec<_> = telemetry.everything().events.into_iter().map(|event| (event.seq, event.step)).collect();
        assert_eq!(kinds, [(1, Step::Join), (2, Step::Join), (3, Step::Ready), (4, Step::Ready)]);
    }
}
