//! So many lines a second of the same kind: what strangers can have written does not fill a log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// Lets so many through in each second.
#[derive(Debug)]
pub struct Pace {
    most: u32,
    now: Mutex<Option<Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    let_through: u32,
    held_back: u64,
}

impl Pace {
    /// So many a second.
    pub const fn new(most: u32) -> Self {
        Self { most, now: Mutex::new(None) }
    }

    /// Whether this one goes through, and how many were held back since the last one that did.
    pub fn allows(&self, now: Instant) -> Option<u64> {
        let mut window = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match *window {
            Some(window) if now.duration_since(window.began) < SECOND => window,
            Some(Window { held_back, .. }) => Window { began: now, let_through: 0, held_back },
            None => Window { began: now, let_through: 0, held_back: 0 },
        };
        let goes = current.let_through < self.most;
        *window = Some(match goes {
            true => Window { let_through: current.let_through + 1, held_back: 0, ..current },
            false => Window { held_back: current.held_back + 1, ..current },
        });
        goes.then_some(current.held_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_some_go_through_each_second_and_the_next_one_says_how_many_did_not() {
        let (pace, start) = (Pace::new(2), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        let through = [0, 1, 2, 3, 999, 1001, 1002, 1003].map(|ms| pace.allows(after(ms)));
        assert_eq!(through, [Some(0), Some(0), None, None, None, Some(3), Some(0), None]);
    }
}
