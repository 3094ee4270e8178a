//! How much a source may ask that shows nothing of who it is: a share at once, and so much a second.

use super::{allowance::Allowances, places::source_of};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// A file, or a script: of them a machine fetches thousands while it installs its system.
    File,
    /// A call, which the state may have to be asked for.
    Call,
}

impl Cost {
    const fn units(self) -> u64 {
        match self {
            Cost::File => 1,
            Cost::Call => 10,
        }
    }
}

const AT_ONCE: u64 = 20_000;
const A_SECOND: u64 = 5_000;

/// The requests of strangers.
#[derive(Debug)]
pub struct Requests(Allowances<IpAddr>);

impl Default for Requests {
    fn default() -> Self {
        Self(Allowances::new(AT_ONCE, A_SECOND))
    }
}

impl Requests {
    /// Whether the source of this address is heard now. Processes of this host always are.
    ///
    /// # Errors
    /// After how long it is heard again.
    pub fn hears(&self, from: IpAddr, cost: Cost, now: Instant) -> Result<(), Duration> {
        if from.to_canonical().is_loopback() {
            return Ok(());
        }
        self.0.hears(source_of(from), cost.units(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_asks_too_much_is_heard_again_a_moment_later_and_others_and_this_host_meanwhile() {
        let (requests, start) = (Requests::default(), Instant::now());
        let heard = |from: &str, cost, at| requests.hears(from.parse().unwrap(), cost, at).is_ok();
        let calls = (0..10_000).take_while(|_| heard("10.0.0.1", Cost::Call, start)).count();
        assert_eq!(calls as u64, AT_ONCE / Cost::Call.units());
        assert!(!heard("10.0.0.1", Cost::File, start) && heard("10.0.0.2", Cost::Call, start));
        assert!((0..10_000).all(|_| heard("127.0.0.1", Cost::Call, start)));
        let second = start + Duration::from_secs(1);
        let files = (0..100_000).take_while(|_| heard("10.0.0.1", Cost::File, second)).count();
        assert_eq!(files as u64, A_SECOND);
        assert!(heard("2001:db8::1", Cost::Call, start));
        assert!(
            (0..10_000).any(|n| !heard(&format!("2001:db8::{n:x}"), Cost::Call, start)),
            "one network is one source"
        );
    }
}
