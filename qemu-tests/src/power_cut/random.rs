//! Numbers that look random and are the same for the same seed.

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// `$CENTRA_SEED`, or one that no run has had; printed, so that a failed run can be had again.
    ///
    /// # Errors
    /// What is set is no number.
    pub fn of_this_run(what: &str) -> anyhow::Result<Self> {
        use anyhow::Context;
        let seed = match std::env::var("CENTRA_SEED") {
            Ok(set) => set.parse().with_context(|| format!("reading CENTRA_SEED={set}"))?,
            Err(_) => std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64),
        };
        println!("{what}: CENTRA_SEED={seed}");
        Ok(Random(seed))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one; 0 below 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// Between 0 and 1.
    pub fn part(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_gives_others() {
        let first = |seed| {
            let mut random = Random::new(seed);
            (random.draw(), random.below(10), random.part())
        };
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
        assert_eq!(Random::new(1).below(0), 0);
    }
}
