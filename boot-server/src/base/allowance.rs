//! So many bytes at once of each sender, and so many a second: who tells more is heard again when that is made up for.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Senders that are remembered: those that have made up for what they told are forgotten.
const MOST_SENDERS: usize = 10_000;

/// The allowances of all senders.
#[derive(Debug)]
pub struct Allowances<Sender> {
    at_once: u64,
    a_second: u64,
    told: Mutex<HashMap<Sender, Told>>,
}

/// What a sender has told and not made up for.
#[derive(Debug, Clone, Copy)]
struct Told {
    bytes: u64,
    at: Instant,
}

impl<Sender: Eq + Hash> Allowances<Sender> {
    /// So many bytes at once, and so many a second.
    pub fn new(at_once: u64, a_second: u64) -> Self {
        Self { at_once, a_second, told: Mutex::default() }
    }

    /// Whether the sender may tell so many bytes now. What it may begin may go beyond its bound, and is made up for then.
    ///
    /// # Errors
    /// After how long it is heard again.
    pub fn hears(&self, sender: Sender, bytes: u64, now: Instant) -> Result<(), Duration> {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_SENDERS && !all.contains_key(&sender) {
            all.retain(|_, told| self.left(*told, now) > 0);
            if all.len() >= MOST_SENDERS {
                return Err(Duration::from_secs(1));
            }
        }
        let told = all.entry(sender).or_insert(Told { bytes: 0, at: now });
        let left = self.left(*told, now);
        if left >= self.at_once {
            return Err(Duration::from_secs((left - self.at_once) / self.a_second + 1));
        }
        *told = Told { bytes: left.saturating_add(bytes), at: now };
        Ok(())
    }

    /// How much of it is not made up for.
    fn left(&self, told: Told, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(told.at).as_millis();
        let made_up = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(self.a_second) / 1000;
        told.bytes.saturating_sub(made_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_too_much_is_heard_again_when_it_is_made_up_for_and_others_meanwhile() {
        let (allowances, start) = (Allowances::new(1000, 100), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(allowances.hears("a", 900, start), Ok(()));
        assert_eq!(allowances.hears("a", 450, start), Ok(()), "it may begin");
        assert_eq!(allowances.hears("a", 1, start), Err(Duration::from_secs(4)));
        assert_eq!(allowances.hears("b", 1, start), Ok(()));
        assert_eq!(allowances.hears("a", 1, after(3)), Err(Duration::from_secs(1)));
        assert_eq!(allowances.hears("a", 200, after(4)), Ok(()));
        assert_eq!(allowances.hears("a", 1, after(5)), Err(Duration::from_secs(1)));
        assert_eq!(allowances.hears("a", 1, after(100)), Ok(()));
    }

    #[test]
    fn the_memory_of_senders_is_bounded() {
        let (allowances, start) = (Allowances::new(10, 1), Instant::now());
        for sender in 0..MOST_SENDERS {
            allowances.hears(sender, 5, start).unwrap();
        }
        assert!(
            allowances.hears(MOST_SENDERS, 5, start).is_err(),
            "nobody is forgotten who has told something just now"
        );
        assert!(allowances.hears(MOST_SENDERS, 5, start + Duration::from_secs(5)).is_ok());
        assert_eq!(allowances.told.lock().unwrap().len(), 1);
    }
}
