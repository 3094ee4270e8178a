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
    /// Those of nodes: every card that a spec names has the address of its node.
    pub fn of(entries: &[Entry]) -> Self {
        let fixed = entries.iter().filter_map(|entry| Some((entry.matches.as_ref()?, entry.address?)));
        fixed.flat_map(|(matches, address)| matches.macs.iter().map(move |card| (card.clone(), address))).collect()
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
}
