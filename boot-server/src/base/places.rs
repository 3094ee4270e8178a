//! Places for peers: so many in all, and so many of one source, so that nobody takes all of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many places.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_of_source: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them; free again on drop.
#[derive(Debug)]
pub struct Place {
    places: Arc<Shared>,
    source: IpAddr,
}

/// Why there is none.
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

    /// One for a peer at this address.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let source = source_of(address);
        let mut taken = self.0.lock();
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&source).copied().unwrap_or(0));
        if own >= self.0.most_of_source {
            return Err(Full::Source);
        }
        if all >= self.0.most {
            return Err(Full::All);
        }
        taken.insert(source, own + 1);
        Ok(Place { places: self.0.clone(), source })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.lock().values().sum()
    }

    /// Three of four are taken: peers that do nothing lose theirs sooner.
    pub fn are_scarce(&self) -> bool {
        self.taken() * 4 > self.0.most * 3
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let left = taken.get(&self.source).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.source)
        } else {
            taken.insert(self.source, left)
        };
    }
}

/// A host of IPv6 has as many addresses of its /64 as it likes.
fn source_of(address: IpAddr) -> IpAddr {
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

    #[test]
    fn one_source_cannot_take_the_places_of_others() {
        let places = Places::new(3, 2);
        let own: Vec<Place> = (0..2).map(|_| places.take(address("10.0.0.1")).unwrap()).collect();
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), Full::Source);
        assert_eq!(places.take(address("::ffff:10.0.0.1")).unwrap_err(), Full::Source);
        let other = places.take(address("10.0.0.2")).unwrap();
        assert_eq!((places.take(address("10.0.0.3")).unwrap_err(), places.are_scarce()), (Full::All, true));
        drop(own);
        assert_eq!((places.taken(), places.are_scarce()), (1, false));
        drop((other, places.take(address("10.0.0.1")).unwrap()));
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let places = Places::new(8, 1);
        let _held = places.take(address("2001:db8:0:1::1")).unwrap();
        assert_eq!(places.take(address("2001:db8:0:1:ffff::2")).unwrap_err(), Full::Source);
        assert!(places.take(address("2001:db8:0:2::1")).is_ok());
    }
}
