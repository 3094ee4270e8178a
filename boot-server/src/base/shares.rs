//! Memory that peers fill, such as the bodies of requests: so much in all, and so much of one source. Who comes when his
//! source has its share waits for what it has begun itself.

use super::places::source_of;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for.
const UNIT: usize = 1024;

/// So much memory.
#[derive(Debug)]
pub struct Shares {
    all: Arc<Semaphore>,
    most_of_source: usize,
    sources: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// A part of it; free again on drop.
#[derive(Debug)]
pub struct Share {
    _all: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
    _source: Arc<Semaphore>,
}

impl Shares {
    /// So many bytes in all, and so many of one source.
    pub fn new(all: usize, of_source: usize) -> Self {
        let all = Arc::new(Semaphore::new(all / UNIT));
        Self { all, most_of_source: of_source / UNIT, sources: Mutex::default() }
    }

    /// So many bytes for a peer at this address, as soon as there is room; never more than all of a source.
    pub async fn take(&self, address: IpAddr, bytes: usize) -> Share {
        let source = self.of(source_of(address));
        let units = u32::try_from(bytes.div_ceil(UNIT).min(self.most_of_source)).unwrap_or(u32::MAX);
        // Nobody closes these.
        let own = source.clone().acquire_many_owned(units).await.ok();
        let all = self.all.clone().acquire_many_owned(units).await.ok();
        Share { _all: all, _own: own, _source: source }
    }

    fn of(&self, source: IpAddr) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.get(&source).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Semaphore::new(self.most_of_source));
        // Those that have gone are counted against a doubling, so that looking through them costs little.
        if sources.len() == sources.capacity() {
            sources.retain(|_, known| known.strong_count() > 0);
        }
        sources.insert(source, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{pin::pin, task::Context};

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    fn now<T>(taking: impl Future<Output = T>) -> Option<T> {
        match pin!(taking).poll(&mut Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_source_waits_for_what_it_has_begun_itself_and_others_have_room() {
        let shares = Shares::new(8 * UNIT, 4 * UNIT);
        let first = now(shares.take(address(1), 3 * UNIT)).unwrap();
        assert!(now(shares.take(address(1), 2 * UNIT)).is_none(), "its share is 4");
        let other = now(shares.take(address(2), 100 * UNIT)).unwrap();
        assert!(now(shares.take(address(3), 2 * UNIT)).is_none(), "3 and 4 of 8 are taken");
        assert!(now(shares.take(address(3), UNIT)).is_some());
        drop(first);
        assert!(now(shares.take(address(1), 4 * UNIT)).is_some());
        drop(other);
        for n in 0..100 {
            drop(now(shares.take(address(n), UNIT)).unwrap());
        }
        assert!(shares.sources.lock().unwrap().len() < 60, "who has gone is forgotten");
    }
}
