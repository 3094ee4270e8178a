//! Trying again: how often, after which wait, and when a transfer counts as stalled.

use super::{Limits, fault::Fault};
use std::time::Duration;

/// No wait is longer.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// A cache slower than this, in bytes per second, is no use.
const MIN_RATE: u64 = 1024;

/// Runs `attempt` until it succeeds, fails for good, or has failed `attempts` times.
///
/// # Errors
/// The last fault.
pub async fn retry<T, F>(limits: &Limits, attempts: u32, attempt: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut number = 1;
    loop {
        match attempt().await {
            Err(fault) if fault.again && number < attempts => {
                tracing::debug!("attempt {number} of {attempts}: {fault}");
                tokio::time::sleep(delay(limits.backoff, number)).await;
                number += 1;
            }
            Err(mut fault) => {
                if fault.again && attempts > 1 {
                    fault.failure.cause.push_str(&format!(" (tried {attempts} times)"));
                }
                return Err(fault);
            }
            Ok(value) => return Ok(value),
        }
    }
}

/// The wait after failed attempt `number`, from 1.
fn delay(first: Duration, number: u32) -> Duration {
    first.saturating_mul(1 << (number - 1).min(16)).min(MAX_DELAY)
}

/// Judges the rate of a transfer by the time spent waiting for the network: time in which the disk or the
/// decompressor held the transfer up is not the cache's fault.
#[derive(Debug)]
pub struct Rate {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Judges over windows of this length.
    pub fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a piece that came after a wait; false where the transfer is too slow to go on.
    #[must_use]
    pub fn keeps_up(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return true;
        }
        let enough = self.bytes >= MIN_RATE.saturating_mul(self.waited.as_secs());
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn limits() -> Limits {
        Limits { backoff: Duration::ZERO, ..Limits::default() }
    }

    #[tokio::test]
    async fn what_may_get_better_is_tried_again_and_the_rest_is_not() {
        for (again, expected) in [(true, 3), (false, 1)] {
            let count = AtomicU32::new(0);
            let result: Result<(), Fault> = retry(&limits(), 3, || async {
                count.fetch_add(1, Ordering::Relaxed);
                Err(if again { Fault::unreachable("x") } else { Fault::missing("x") })
            })
            .await;
            assert!(result.is_err());
            assert_eq!(count.into_inner(), expected);
        }
    }

    #[test]
    fn the_wait_doubles_up_to_a_bound() {
        let first = Duration::from_millis(500);
        assert_eq!(delay(first, 1), first);
        assert_eq!(delay(first, 3), first * 4);
        assert_eq!(delay(first, u32::MAX), MAX_DELAY);
    }

    #[test]
    fn a_trickle_is_a_stall_and_a_slow_disk_is_not() {
        let mut trickle = Rate::new(Duration::from_secs(10));
        assert!((0..9).all(|_| trickle.keeps_up(Duration::from_secs(1), 1)));
        assert!(!trickle.keeps_up(Duration::from_secs(1), 1));
        let mut held_up = Rate::new(Duration::from_secs(10));
        assert!((0..1000).all(|_| held_up.keeps_up(Duration::ZERO, 1)));
    }
}
