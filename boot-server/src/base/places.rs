//! Places for peers: so many in all, and so many of one source, so that nobody takes all of them. Where there is none left, an
//! idle peer of the same source gives way, or of the source that has most: a newcomer is served, and a flood displaces itself.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;

/// So many places.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_of_source: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    peers: HashMap<u64, Peer>,
    of_source: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Peer {
    source: IpAddr,
    doing: Doing,
    lost: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// Nothing since then: it may have to give way.
    Idle(Instant),
    /// Something that must not be broken off.
    Busy,
}

/// One of them; free again on drop.
#[derive(Debug)]
pub struct Place {
    places: Arc<Shared>,
    number: u64,
    lost: Arc<Notify>,
}

/// Why there is none: nobody of those who might give way is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// This source has as many as it may have.
    Source,
}

impl Places {
    /// So many, and so many of one source.
    pub fn new(most: usize, most_of_source: usize) -> Self {
        Self(Arc::new(Shared { most, most_of_source, taken: Mutex::default() }))
    }

    /// One for a peer at this address, which is idle at first.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let source = source_of(address);
        let mut taken = self.0.lock();
        if taken.of_source.get(&source).is_some_and(|own| *own >= self.0.most_of_source) {
            taken.displace_one_of(source).ok_or(Full::Source)?;
        } else if taken.peers.len() >= self.0.most {
            let largest = taken.of_source.iter().max_by_key(|(_, count)| **count).map(|(source, _)| *source);
            largest.and_then(|source| taken.displace_one_of(source)).ok_or(Full::All)?;
        }
        taken.last += 1;
        let (number, lost) = (taken.last, Arc::new(Notify::new()));
        taken.peers.insert(number, Peer { source, doing: Doing::Idle(Instant::now()), lost: lost.clone() });
        *taken.of_source.entry(source).or_default() += 1;
        Ok(Place { places: self.0.clone(), number, lost })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().peers.len()
    }

    /// Three of four are taken: peers that do nothing lose theirs sooner.
    pub fn are_scarce(&self) -> bool {
        self.taken() * 4 > self.0.most * 3
    }
}

impl Taken {
    /// The peer of this source that has been idle for longest loses its place.
    fn displace_one_of(&mut self, source: IpAddr) -> Option<()> {
        let of_source = self.peers.iter().filter(|(_, peer)| peer.source == source && peer.doing != Doing::Busy);
        let number = *of_source.min_by_key(|(number, peer)| (peer.doing, **number))?.0;
        self.peers.get(&number)?.lost.notify_one();
        self.free(number);
        Some(())
    }

    fn free(&mut self, number: u64) {
        let Some(peer) = self.peers.remove(&number) else { return };
        if let Some(own) = self.of_source.get_mut(&peer.source) {
            *own -= 1;
            if *own == 0 {
                self.of_source.remove(&peer.source);
            }
        }
    }
}

impl Place {
    /// The peer does something that must not be broken off, or does so no more.
    pub fn is_busy(&self, busy: bool) {
        if let Some(peer) = self.places.lock().peers.get_mut(&self.number) {
            peer.doing = if busy { Doing::Busy } else { Doing::Idle(Instant::now()) };
        }
    }

    /// Ends when another peer has been given the place.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let lost = self.lost.clone();
        async move { lost.notified().await }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().free(self.number);
    }
}

/// Who is one source: a host of IPv6 has as many addresses of its /64 as it likes.
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn one_source_takes_its_own_places_again_and_none_of_others() {
        let places = Places::new(8, 2);
        let own: Vec<Place> = (0..2).map(|_| places.take(address("10.0.0.1")).unwrap()).collect();
        let other = places.take(address("10.0.0.2")).unwrap();
        own[0].is_busy(true);
        let third = places.take(address("::ffff:10.0.0.1")).unwrap();
        own[1].lost().await;
        third.is_busy(true);
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), Full::Source, "nobody of it is idle");
        assert_eq!(places.taken(), 3);
        drop(own);
        assert_eq!(places.taken(), 2, "a place that was lost is not freed twice");
        drop((other, third));
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn where_all_are_taken_the_source_that_has_most_gives_way() {
        let places = Places::new(4, 3);
        let flood: Vec<Place> = (0..3).map(|_| places.take(address("10.0.0.1")).unwrap()).collect();
        let honest = places.take(address("10.0.0.2")).unwrap();
        assert!(places.are_scarce());
        let newcomer = places.take(address("10.0.0.3")).unwrap();
        flood[0].lost().await;
        flood.iter().for_each(|place| place.is_busy(true));
        assert_eq!(places.take(address("10.0.0.4")).unwrap_err(), Full::All);
        drop((honest, newcomer, flood));
        assert!(!places.are_scarce());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let places = Places::new(8, 1);
        places.take(address("2001:db8:0:1::1")).unwrap();
        let held = places.take(address("2001:db8:0:1::1")).unwrap();
        held.is_busy(true);
        assert_eq!(places.take(address("2001:db8:0:1:ffff::2")).unwrap_err(), Full::Source);
        assert!(places.take(address("2001:db8:0:2::1")).is_ok());
    }
}
