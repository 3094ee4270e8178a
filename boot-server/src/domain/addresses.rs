//! The addresses that operators fixed for cards.

use super::enrolment::Entry;
use protocol::names::Mac;
use std::{collections::HashMap, net::Ipv4Addr};

/// Which card has which address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedAddresses {
    of_cards: HashMap<Mac, Ipv4Addr>,
    cards_of: HashMap<Ipv4Addr, Vec<Mac>>,
}

impl FromIterator<(Mac, Ipv4Addr)> for FixedAddresses {
    fn from_iter<T: IntoIterator<Item = (Mac, Ipv4Addr)>>(pairs: T) -> Self {
        let mut fixed = Self::default();
        for (card, address) in pairs {
            fixed.cards_of.entry(address).or_default().push(card.clone());
            fixed.of_cards.insert(card, address);
        }
        fixed
    }
}

impl FixedAddresses {
    /// Those of nodes: every card that a spec names, or that the node's machine said it has, has the address of its node.
    /// Where no card is known yet, nobody has it.
    pub fn of(entries: &[Entry]) -> Self {
        let mut fixed = Self::default();
        for (entry, address) in entries.iter().filter_map(|entry| Some((entry, entry.address?))) {
            let named = entry.matches.iter().flat_map(|matches| &matches.macs);
            let said = entry.claims.iter().flat_map(|claims| &claims.macs);
            let cards: Vec<Mac> = named.chain(said).cloned().collect();
            for card in &cards {
                fixed.of_cards.insert(card.clone(), address);
            }
            fixed.cards_of.entry(address).or_default().extend(cards);
        }
        fixed
    }

    /// The address of this card.
    pub fn of_card(&self, card: &Mac) -> Option<Ipv4Addr> {
        self.of_cards.get(card).copied()
    }

    /// Whether the address is fixed, and not for this card.
    pub fn is_anothers(&self, address: Ipv4Addr, card: Option<&Mac>) -> bool {
        self.cards_of.get(&address).is_some_and(|cards| card.is_none_or(|card| !cards.contains(card)))
    }
}

/// The network whose addresses this server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its mask.
    pub mask: Ipv4Addr,
    /// This server.
    pub server: Ipv4Addr,
    /// The default gateway.
    pub router: Option<Ipv4Addr>,
}

impl Network {
    /// Whether the address is in the network.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        address & self.mask == self.address
    }

    /// The broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        self.address | !self.mask
    }

    /// Why no machine can be given this address here; nothing where one can.
    pub fn no_reservation(&self, address: Ipv4Addr) -> Option<&'static str> {
        match address {
            other if !self.has(other) => Some("it is not of the network that dhcp.subnet names"),
            own if own == self.address => Some("it is the address of the network itself"),
            all if all == self.broadcast() => Some("it is the network's broadcast address"),
            server if server == self.server => Some("it is the boot-server's own"),
            router if self.router == Some(router) => Some("it is the router's"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_node_s_whichever_of_its_cards_asks_and_nobody_else_s() {
        let card = |n: u8| format!("52:54:00:00:00:{n:02x}").parse::<Mac>().unwrap();
        let address = Ipv4Addr::new(10, 77, 0, 50);
        let fixed: FixedAddresses = [(card(1), address), (card(2), address)].into_iter().collect();
        for own in [card(1), card(2)] {
            assert_eq!(fixed.of_card(&own), Some(address));
            assert!(!fixed.is_anothers(address, Some(&own)));
        }
        assert_eq!(fixed.of_card(&card(3)), None);
        assert!(fixed.is_anothers(address, Some(&card(3))) && fixed.is_anothers(address, None));
        assert!(!fixed.is_anothers(Ipv4Addr::new(10, 77, 0, 51), None));
    }

    #[test]
    fn only_what_a_machine_of_the_network_can_have_is_reserved() {
        let network = Network {
            address: [10, 77, 0, 0].into(),
            mask: [255, 255, 255, 0].into(),
            server: [10, 77, 0, 1].into(),
            router: Some([10, 77, 0, 254].into()),
        };
        for (last, other, reserved) in
            [(21, 0, true), (0, 0, false), (255, 0, false), (1, 0, false), (254, 0, false), (21, 50, false)]
        {
            let address = Ipv4Addr::new(10, 77, other, last);
            assert_eq!(network.no_reservation(address).is_none(), reserved, "{address}");
        }
    }
}
