//! How long to wait before the next attempt, where there is always another one.

use host::retry::{Backoff, Limit};
use std::time::Duration;

/// Pauses that double without an end to the attempts.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The first pause.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
}

impl Patience {
    /// The pause after so many failures. `chance` in 0..1 spreads it, so that a rack that failed together does not come
    /// back together.
    pub fn pause(self, failures: u32, chance: f64) -> Duration {
        let backoff = Backoff { base: self.base, cap: self.cap, limit: Limit::Within(Duration::MAX) };
        backoff.pause(failures, Duration::ZERO, chance).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_carry_jitter_and_never_end() {
        let patience = Patience { base: Duration::from_secs(1), cap: Duration::from_secs(10) };
        let pause = |failures, chance| patience.pause(failures, chance).as_millis();
        assert_eq!((pause(1, 0.0), pause(1, 0.5), pause(1, 1.0)), (800, 1000, 1200));
        assert_eq!((pause(9, 0.5), pause(u32::MAX, 0.5)), (10_000, 10_000));
        let pauses: std::collections::HashSet<_> = (0..32).map(|_| pause(4, host::retry::chance())).collect();
        assert!(pauses.len() > 8, "nodes that failed together do not return together: {pauses:?}");
    }
}
