//! Which node a machine is, by what it says of itself, which are labels and never proof; or by its TPM alone.

use super::entry::Entry;
use protocol::{admin::NodeState, claims::Claims, encoding::Sha256, names::NodeName, spec::Match};

/// Which node a machine's claims point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// None.
    Nobody,
    /// Exactly this one.
    One(NodeName),
    /// Several; a person has to say which.
    Several(Vec<NodeName>),
}

/// The node that a machine with these claims and this TPM, which it has proven, is: by the operators' specs first, then by the
/// machines admitted so far.
pub fn find(entries: &[Entry], claims: &Claims, ek: Option<&Sha256>) -> Found {
    // A node that is retired claims nobody: its machine may become another one.
    let entries = || entries.iter().filter(|entry| entry.record.state != NodeState::Retired);
    let by_spec = entries().filter(|entry| entry.matches.as_ref().is_some_and(|wanted| wanted.is_of(claims, ek)));
    match settle(by_spec) {
        Found::Nobody => settle(entries().filter(|entry| {
            entry.matches.as_ref().is_none_or(Match::names_nothing)
                && entry.claims.as_ref().is_some_and(|known| same_machine(known, claims))
        })),
        found => found,
    }
}

/// The node that a machine with these claims boots as. Firmware says less of itself than the agent reads, so a
/// machine that was admitted once is known by any claim it shares with that enrolment: it must come to its disk.
pub fn find_for_boot<'a>(entries: &'a [Entry], claims: &Claims) -> Option<&'a Entry> {
    let admitted = |entry: &&Entry| entry.claims.as_ref().is_some_and(|known| same_machine(known, claims));
    match find(entries, claims, None) {
        Found::One(name) => entries.iter().find(|entry| entry.name == name),
        Found::Nobody => entries.iter().find(admitted),
        Found::Several(names) => entries.iter().filter(|entry| names.contains(&entry.name)).find(admitted),
    }
}

fn settle<'a>(entries: impl Iterator<Item = &'a Entry>) -> Found {
    let mut names: Vec<NodeName> = entries.map(|entry| entry.name.clone()).collect();
    match names.len() {
        0 => Found::Nobody,
        1 => Found::One(names.remove(0)),
        _ => Found::Several(names),
    }
}

/// What admins call a machine that is no node.
pub fn machine_name(key: &Sha256) -> String {
    format!("machine-{}", &key.hex()[..8])
}

/// Whether two sets of claims name the same machine: boards share UUIDs and cards, so whatever differs makes them two, and a
/// card in common decides where both name cards.
pub fn same_machine(a: &Claims, b: &Claims) -> bool {
    let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    if differ(&a.uuid, &b.uuid) || differ(&a.serial, &b.serial) {
        return false;
    }
    if !a.macs.is_empty() && !b.macs.is_empty() {
        return a.macs.iter().any(|mac| b.macs.contains(mac));
    }
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    same(&a.uuid, &b.uuid) || same(&a.serial, &b.serial)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claims, entry, mac};
    use super::*;

    #[test]
    fn a_machine_that_was_bound_by_hand_is_found_by_its_claims() {
        let entries = [Entry { matches: Some(Match::default()), claims: Some(claims(3)), ..entry("a", 1) }];
        assert_eq!(find(&entries, &claims(3), None), Found::One("a".parse().unwrap()));
        assert_eq!(find(&entries, &claims(4), None), Found::Nobody);
    }

    #[test]
    fn firmware_that_says_less_than_the_spec_asks_still_boots_as_its_node() {
        let matches = Some(Match { serial: Some("S1".into()), macs: vec![mac(3)], ..Match::default() });
        let entries = [Entry { matches, claims: Some(claims(3)), ..entry("a", 1) }];
        assert_eq!(find(&entries, &claims(3), None), Found::Nobody);
        assert_eq!(find_for_boot(&entries, &claims(3)).unwrap().name.as_str(), "a");
        assert!(find_for_boot(&entries, &claims(4)).is_none());
    }

    #[test]
    fn boards_with_one_uuid_and_different_cards_are_different_machines() {
        let twin = Claims { macs: vec![mac(2)], ..claims(1) };
        assert!(!same_machine(&claims(1), &twin));
    }

    #[test]
    fn boards_with_one_card_in_common_and_another_uuid_or_serial_are_different_machines() {
        let of = |uuid: &str, serial: Option<&str>| Claims {
            uuid: Some(uuid.into()),
            serial: serial.map(str::to_owned),
            macs: vec![mac(1)],
        };
        assert!(!same_machine(&of("a", None), &of("b", None)));
        assert!(!same_machine(&of("a", Some("S1")), &of("a", Some("S2"))));
        assert!(same_machine(&of("a", Some("S1")), &of("a", None)), "what one of them does not say does not count");
    }
}
