//! Trying again: the pauses are a pure function, the loop is thin.

use protocol::{Failure, failure::Result};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// After so many attempts.
    Attempts(u32),
    /// When so much time has passed; there is at least one attempt.
    Within(Duration),
}

/// Pauses that double without an end to the attempts.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first pause.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
}

impl Pauses {
    /// The pause after so many failures, [`spread`] by `chance`.
    pub fn pause(self, failures: u32, chance: f64) -> Duration {
        let doubled = self.base.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        spread(doubled.min(self.cap), chance)
    }
}

/// Pauses that double from `base` to `cap`, and their end.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// When to stop.
    pub limit: Limit,
}

/// What came of an attempt.
pub enum Attempt<T> {
    /// It worked.
    Done(T),
    /// It may work later.
    Again(Failure),
    /// It will never work.
    Never(Failure),
}

impl<T> Attempt<T> {
    /// The attempt as it is, where there is no other.
    ///
    /// # Errors
    /// Its failure.
    pub fn into_result(self) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Again(failure) | Self::Never(failure) => Err(failure),
        }
    }
}

impl Backoff {
    /// The pause after `failed` failed attempts, [`spread`] by `chance`, or `None` to give up.
    pub fn pause(&self, failed: u32, elapsed: Duration, chance: f64) -> Option<Duration> {
        let pause = Pauses { base: self.base, cap: self.cap }.pause(failed, chance);
        match self.limit {
            Limit::Attempts(most) => (failed < most).then_some(pause),
            Limit::Within(span) => (elapsed < span).then(|| pause.min(span - elapsed)),
        }
    }
}

/// Tries until it is done, or hopeless, or the back-off gives up.
///
/// # Errors
/// The failure of the last attempt.
pub async fn retry<T>(backoff: Backoff, what: &str, mut attempt: impl AsyncFnMut() -> Attempt<T>) -> Result<T> {
    let start = Instant::now();
    let mut failed = 0;
    loop {
        let failure = match attempt().await {
            Attempt::Done(value) => return Ok(value),
            Attempt::Never(failure) => return Err(failure),
            Attempt::Again(failure) => failure,
        };
        failed += 1;
        let Some(pause) = backoff.pause(failed, start.elapsed(), chance()) else {
            return Err(failure.context(format!("{what}, {failed} attempts")));
        };
        tracing::info!(attempt = failed, retry_in_ms = pause.as_millis() as u64, "{what}: {}", failure.cause);
        sleep(pause).await;
    }
}

/// The pause a fifth shorter or longer, as `chance` in 0..1 has it, so that nodes that wait for the same thing do not return
/// together.
pub fn spread(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

/// A number in 0..1 from the standard library's per-process randomness.
pub fn chance() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::Code;

    const FIVE: Backoff =
        Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(16), limit: Limit::Attempts(5) };

    #[test]
    fn pauses_without_an_end_are_bounded_and_differ_from_node_to_node() {
        let pauses = Pauses { base: Duration::from_secs(1), cap: Duration::from_secs(10) };
        let pause = |failures, chance| pauses.pause(failures, chance).as_millis();
        assert_eq!((pause(1, 0.0), pause(1, 0.5), pause(1, 1.0)), (800, 1000, 1200));
        assert_eq!((pause(9, 0.5), pause(u32::MAX, 0.5)), (10_000, 10_000));
        let drawn: std::collections::HashSet<_> = (0..32).map(|_| pause(4, chance())).collect();
        assert!(drawn.len() > 8, "nodes that failed together do not return together: {drawn:?}");
    }

    #[test]
    fn the_pauses_double_and_end_after_the_last_attempt() {
        let pauses: Vec<_> = (1..=5).map(|failed| FIVE.pause(failed, Duration::ZERO, 0.5)).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), None].map(|s| s.map(Duration::from_secs)));
    }

    #[test]
    fn a_cluster_that_refuses_for_eight_seconds_after_a_join_is_outlasted() {
        let total: Duration = (1..5).filter_map(|failed| FIVE.pause(failed, Duration::ZERO, 0.0)).sum();
        assert!(total >= Duration::from_secs(8));
    }

    #[tokio::test]
    async fn attempts_stop_at_success_at_hopelessness_and_at_the_limit() {
        let quick = Backoff { base: Duration::ZERO, ..FIVE };
        let failure = || Failure::new(Code::ClusterUnreachable, "dialling");
        let mut count = 0;
        let done = retry(quick, "trying", async || {
            count += 1;
            if count < 3 { Attempt::Again(failure()) } else { Attempt::Done(count) }
        });
        assert_eq!(done.await, Ok(3));
        let mut count = 0;
        let over: Result<()> = retry(quick, "trying", async || {
            count += 1;
            Attempt::Again(failure())
        })
        .await;
        assert!(over.unwrap_err().cause.contains("5 attempts"));
        assert_eq!(count, 5);
        let never: Result<()> = retry(quick, "trying", async || Attempt::Never(failure())).await;
        assert_eq!(never.unwrap_err(), failure());
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_cap_or_the_time_left(
            failed in 1u32..u32::MAX, base in 0u64..10_000, span in 0u64..200_000, elapsed in 0u64..300_000, chance in -1.0f64..2.0
        ) {
            let ms = Duration::from_millis;
            let backoff = Backoff { base: ms(base), cap: ms(16_000), limit: Limit::Within(ms(span)) };
            match backoff.pause(failed, ms(elapsed), chance) {
                Some(pause) => {
                    prop_assert!(elapsed < span && pause <= ms(16_000).mul_f64(1.2));
                    prop_assert!(ms(elapsed) + pause <= ms(span));
                }
                None => prop_assert!(elapsed >= span),
            }
        }
    }
}
