//! Trying again: how often, after which wait, and when a transfer counts as stalled.

use crate::fault::Fault;
use host::retry::{Pauses, chance};
use std::time::Duration;

/// How much of the network's patience is used.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long a cache may be silent before the transfer counts as stalled.
    pub stall: Duration,
    /// A cache that gives less for as long as `stall`, in bytes per second, counts as stalled as well.
    pub min_rate: u64,
    /// How often in a row a request may fail at one cache.
    pub attempts: u32,
    /// The wait after the first failed attempt; it doubles each time.
    pub backoff: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall: Duration::from_secs(30), min_rate: 1024, attempts: 5, backoff: Duration::from_millis(500) }
    }
}

/// No wait is longer.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Failures in all that one file may meet, however much came between them.
const MAX_FAILURES: u32 = 1000;
/// So many bytes since the last failure make it forgotten: more than TCP sends before it hears of the peer.
const PROGRESS: u64 = 16 << 10;

/// How much patience is left for one file at one cache. Progress restores it: a large file comes whole over a
/// link that breaks again and again.
#[derive(Debug)]
pub struct Budget {
    attempts: u32,
    backoff: Duration,
    failures: u32,
    all_failures: u32,
    bytes: u64,
}

impl Budget {
    /// Patience for `attempts` failures in a row.
    pub fn new(patience: &Patience, attempts: u32) -> Self {
        Self { attempts, backoff: patience.backoff, failures: 0, all_failures: 0, bytes: 0 }
    }

    /// Bytes that had not come before.
    pub fn progress(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// What came since the last failure restores no patience.
    pub fn forget_progress(&mut self) {
        self.bytes = 0;
    }

    /// Waits for the next attempt, unless it was going well.
    ///
    /// # Errors
    /// The fault, final, where another attempt is no use or there have been enough.
    pub async fn spend(&mut self, mut fault: Fault) -> Result<(), Fault> {
        let progressed = std::mem::take(&mut self.bytes) >= PROGRESS;
        if progressed {
            self.failures = 0;
        }
        self.failures += 1;
        self.all_failures += 1;
        if !fault.again {
            return Err(fault);
        }
        if self.failures >= self.attempts || self.all_failures >= MAX_FAILURES {
            if self.failures > 1 {
                fault.failure.cause.push_str(&format!(" (tried {} times)", self.failures));
            }
            return Err(Fault { again: false, ..fault });
        }
        tracing::debug!("attempt {} of {}: {fault}", self.failures, self.attempts);
        if !progressed {
            let pauses = Pauses { base: self.backoff, cap: MAX_DELAY };
            tokio::time::sleep(pauses.pause(self.failures, chance())).await;
        }
        Ok(())
    }
}

/// Runs `attempt` until it succeeds, fails for good, or has failed `attempts` times.
///
/// # Errors
/// The last fault.
pub async fn retry<T, F>(patience: &Patience, attempts: u32, attempt: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut budget = Budget::new(patience, attempts);
    loop {
        match attempt().await {
            Err(fault) => budget.spend(fault).await?,
            Ok(value) => return Ok(value),
        }
    }
}

/// Judges the rate of a transfer by the time spent waiting for the network: time in which the disk or the
/// decompressor held the transfer up is not the cache's fault.
#[derive(Debug)]
pub struct Rate {
    window: Duration,
    /// Bytes per second.
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Judges over windows of this length; `least` is in bytes per second.
    pub fn new(window: Duration, least: u64) -> Self {
        Self { window, least, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a piece that came after a wait; false where the transfer is too slow to go on.
    #[must_use]
    pub fn keeps_up(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return true;
        }
        let enough = self.bytes >= self.least.saturating_mul(self.waited.as_secs());
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn patience() -> Patience {
        Patience { backoff: Duration::ZERO, ..Patience::default() }
    }

    #[tokio::test]
    async fn what_may_get_better_is_tried_again_and_the_rest_is_not() {
        for (again, expected) in [(true, 3), (false, 1)] {
            let count = AtomicU32::new(0);
            let result: Result<(), Fault> = retry(&patience(), 3, || async {
                count.fetch_add(1, Ordering::Relaxed);
                Err(if again { Fault::unreachable("x") } else { Fault::missing("x") })
            })
            .await;
            assert!(result.is_err());
            assert_eq!(count.into_inner(), expected);
        }
    }

    #[tokio::test]
    async fn progress_restores_patience_but_not_without_end() {
        let mut budget = Budget::new(&patience(), 2);
        let mut failures = 0;
        loop {
            budget.progress(PROGRESS as usize);
            failures += 1;
            if budget.spend(Fault::unreachable("x")).await.is_err() {
                break;
            }
        }
        assert_eq!(failures, MAX_FAILURES);
        let mut budget = Budget::new(&patience(), 2);
        assert!(budget.spend(Fault::unreachable("x")).await.is_ok());
        budget.progress(PROGRESS as usize - 1);
        let fault = budget.spend(Fault::unreachable("x")).await.unwrap_err();
        assert!(!fault.again && fault.failure.cause.contains("tried 2 times"), "{fault}");
    }

    #[test]
    fn a_trickle_is_a_stall_and_a_slow_disk_is_not() {
        let mut trickle = Rate::new(Duration::from_secs(10), 1024);
        assert!((0..9).all(|_| trickle.keeps_up(Duration::from_secs(1), 1)));
        assert!(!trickle.keeps_up(Duration::from_secs(1), 1));
        let mut held_up = Rate::new(Duration::from_secs(10), 1024);
        assert!((0..1000).all(|_| held_up.keeps_up(Duration::ZERO, 1)));
    }
}
