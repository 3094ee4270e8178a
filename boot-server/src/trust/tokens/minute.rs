//! How often somebody has done something in this minute, within bounds.

use protocol::Timestamp;
use std::{collections::HashMap, hash::Hash};

/// Of whom is counted at once; who comes then has done it too often.
const MOST: usize = 1000;

/// What was done in a minute, by whom.
#[derive(Debug)]
pub struct Minute<K> {
    minute: i64,
    count: HashMap<K, u32>,
}

impl<K> Default for Minute<K> {
    fn default() -> Self {
        Self { minute: 0, count: HashMap::new() }
    }
}

impl<K: Eq + Hash> Minute<K> {
    /// How often he has done it in this minute, with this time.
    pub fn count(&mut self, source: K, now: Timestamp) -> u32 {
        let minute = now.unix_timestamp() / 60;
        if self.minute != minute {
            *self = Self { minute, count: HashMap::new() };
        }
        if self.count.len() >= MOST && !self.count.contains_key(&source) {
            return u32::MAX;
        }
        let count = self.count.entry(source).or_default();
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn wrong_tokens_are_counted_by_source_and_minute_within_bounds() {
        let at = |seconds| Timestamp::from_unix_timestamp(seconds).unwrap();
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut wrong = Minute::default();
        assert_eq!((1..=3).map(|_| wrong.count(source(1), at(0))).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((wrong.count(source(1), at(59)), wrong.count(source(2), at(59))), (4, 1));
        assert_eq!(wrong.count(source(1), at(60)), 1);
        for n in 0..2 * MOST as u32 {
            wrong.count(source(n), at(60));
        }
        assert_eq!(wrong.count.len(), MOST);
    }
}
