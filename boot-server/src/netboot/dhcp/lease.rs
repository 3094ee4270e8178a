//! The table of leases: who has which address until when. Pure; time is seconds since 1970.

use super::request::Client;
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

/// How long an address is held for a client that was offered it.
const OFFER_SECONDS: u64 = 60;
/// How long an address that somebody else was seen to use is left alone.
const DECLINED_SECONDS: u64 = 600;

/// One address in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who; none for an address that was declined.
    pub client: Option<Client>,
    /// When it ends.
    pub expires: u64,
}

/// The addresses to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First address of the pool.
    pub first: Ipv4Addr,
    /// Last address of the pool, included.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether the pool has this address.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }
}

/// All leases. Never more than the pool and the reservations have addresses.
#[derive(Debug, Default)]
pub struct Leases {
    by_address: BTreeMap<Ipv4Addr, Lease>,
    by_client: HashMap<Client, Ipv4Addr>,
}

impl Leases {
    /// Who has the address, ended or not.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.by_address.get(&address)
    }

    /// Every lease by address.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, &Lease)> {
        self.by_address.iter().map(|(address, lease)| (*address, lease))
    }

    /// The address this client has or had last.
    pub fn address_of(&self, client: &Client) -> Option<Ipv4Addr> {
        self.by_client.get(client).copied()
    }

    /// Whether the client may have the address: it is its own, nobody's, or its lease has ended.
    pub fn is_free_for(&self, address: Ipv4Addr, client: &Client, now: u64) -> bool {
        self.get(address).is_none_or(|lease| lease.client.as_ref() == Some(client) || lease.expires <= now)
    }

    /// Notes the lease, taking the client's former address and the address's former client apart.
    pub fn set(&mut self, address: Ipv4Addr, client: &Client, expires: u64) {
        if let Some(former) = self.by_client.insert(client.clone(), address)
            && former != address
        {
            self.by_address.remove(&former);
        }
        let lease = Lease { client: Some(client.clone()), expires };
        if let Some(Lease { client: Some(former), .. }) = self.by_address.insert(address, lease)
            && former != *client
        {
            self.by_client.remove(&former);
        }
    }

    /// Ends the client's lease; the address stays its own until somebody else needs it.
    pub fn release(&mut self, address: Ipv4Addr, client: &Client, now: u64) -> bool {
        match self.by_address.get_mut(&address) {
            Some(lease) if lease.client.as_ref() == Some(client) => {
                lease.expires = now;
                true
            }
            _ => false,
        }
    }

    /// Sets an address aside that the client found in use by somebody else.
    pub fn decline(&mut self, address: Ipv4Addr, client: &Client, now: u64) -> bool {
        let owned = self.address_of(client) == Some(address);
        if owned {
            self.by_client.remove(client);
            self.by_address.insert(address, Lease { client: None, expires: now + DECLINED_SECONDS });
        }
        owned
    }

    /// Chooses and holds an address: the reserved one, the one the client had, the one it asks for, one
    /// never used, the one that ended longest ago. `reserved_for_others` are not given away.
    pub fn offer(
        &mut self,
        client: &Client,
        wishes: Wishes,
        range: Range,
        now: u64,
        reserved_for_others: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        let usable = |address: &Ipv4Addr| {
            range.contains(*address) && !reserved_for_others(*address) && self.is_free_for(*address, client, now)
        };
        let address = wishes
            .reserved
            .filter(|address| self.is_free_for(*address, client, now))
            .or_else(|| self.address_of(client).filter(usable))
            .or_else(|| wishes.requested.filter(usable))
            .or_else(|| range.addresses().find(|address| self.get(*address).is_none() && usable(address)))
            .or_else(|| self.longest_ended(range, now, &usable))?;
        let kept = self.get(address).filter(|lease| lease.client.as_ref() == Some(client)).map_or(0, |l| l.expires);
        self.set(address, client, kept.max(now + OFFER_SECONDS));
        Some(address)
    }

    fn longest_ended(&self, range: Range, now: u64, usable: &impl Fn(&Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        self.by_address
            .range(range.first..=range.last)
            .filter(|(address, lease)| lease.expires <= now && usable(address))
            .min_by_key(|(_, lease)| lease.expires)
            .map(|(address, _)| *address)
    }
}

/// Addresses that a client would get before others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Fixed by the operator; may lie outside the pool.
    pub reserved: Option<Ipv4Addr>,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGE: Range = Range { first: Ipv4Addr::new(10, 0, 0, 10), last: Ipv4Addr::new(10, 0, 0, 12) };

    fn card(number: u8) -> Client {
        Client::Card(format!("52:54:00:00:00:{number:02x}").parse().unwrap())
    }

    fn offer(leases: &mut Leases, number: u8, now: u64) -> Option<Ipv4Addr> {
        leases.offer(&card(number), Wishes::default(), RANGE, now, |_| false)
    }

    #[test]
    fn a_client_keeps_its_address_also_after_its_lease_has_ended() {
        let mut leases = Leases::default();
        let first = offer(&mut leases, 1, 0).unwrap();
        offer(&mut leases, 2, 0).unwrap();
        assert_eq!(offer(&mut leases, 1, 100_000), Some(first));
    }

    #[test]
    fn an_empty_pool_gives_nothing_and_reuses_what_ended_first() {
        let mut leases = Leases::default();
        for number in 1..=3 {
            let address = offer(&mut leases, number, 0).unwrap();
            leases.set(address, &card(number), 100 + u64::from(number));
        }
        assert_eq!(offer(&mut leases, 4, 50), None);
        assert_eq!(offer(&mut leases, 4, 1000), Some(RANGE.first));
        assert_eq!(leases.address_of(&card(1)), None);
    }

    #[test]
    fn a_declined_address_is_left_alone_for_a_while() {
        let mut leases = Leases::default();
        let address = offer(&mut leases, 1, 0).unwrap();
        assert!(!leases.decline(address, &card(2), 0), "only its own");
        assert!(leases.decline(address, &card(1), 0));
        assert_ne!(offer(&mut leases, 1, 1), Some(address));
        assert!(leases.is_free_for(address, &card(1), DECLINED_SECONDS));
    }

    #[test]
    fn an_address_reserved_for_another_is_not_given_away() {
        let mut leases = Leases::default();
        let given = leases.offer(&card(1), Wishes::default(), RANGE, 0, |address| address == RANGE.first);
        assert_eq!(given, Some(Ipv4Addr::new(10, 0, 0, 11)));
    }

    proptest! {
        #[test]
        fn no_two_clients_ever_hold_one_address(steps in proptest::collection::vec((0u8..6, 0u8..4, 0u64..200), 1..80)) {
            let mut leases = Leases::default();
            let mut now = 0;
            for (number, action, wait) in steps {
                now += wait;
                let client = card(number);
                let own = leases.address_of(&client);
                match (action, own) {
                    (0, Some(address)) => { leases.release(address, &client, now); }
                    (1, Some(address)) => { leases.decline(address, &client, now); }
                    (2, Some(address)) => leases.set(address, &client, now + 300),
                    _ => {
                        let before: Vec<_> = leases.iter().map(|(a, l)| (a, l.clone())).collect();
                        if let Some(address) = offer(&mut leases, number, now) {
                            prop_assert!(RANGE.contains(address));
                            let taken = before.iter().any(|(other, lease)| {
                                *other == address && lease.expires > now && lease.client.as_ref() != Some(&client)
                            });
                            prop_assert!(!taken);
                        }
                    }
                }
                prop_assert!(leases.by_address.len() <= 3);
                for (client, address) in &leases.by_client {
                    prop_assert_eq!(leases.get(*address).unwrap().client.as_ref(), Some(client));
                }
            }
        }
    }
}
