//! Who is admitted as what: a pure decision over a machine's claims, its key and what operators applied.

use super::lifecycle::Record;
use protocol::{
    Timestamp,
    admin::{Missing, Need, NodeState},
    claims::Claims,
    encoding::Sha256,
    names::NodeName,
    spec::{Admission, Match},
};
use std::net::Ipv4Addr;
use time::Duration;

/// What the directory knows of one node.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: NodeName,
    /// Which machine the operator says it is; absent before a spec has been applied.
    pub matches: Option<Match>,
    /// Claims of the machine that was admitted as it.
    pub claims: Option<Claims>,
    /// The key of that machine.
    pub key: Option<Sha256>,
    /// The key that it changes to.
    pub next_key: Option<Sha256>,
    /// When the last certificate of its key ends.
    pub certificate_ends: Option<Timestamp>,
    /// Until then one machine with its claims needs no approval: it takes the node's place.
    pub window: Option<Timestamp>,
    /// The address that is fixed for its cards.
    pub address: Option<Ipv4Addr>,
    /// The cluster that it is a founder of.
    pub founds: Option<String>,
    /// How a machine may become it, where the spec says so.
    pub admission: Option<Admission>,
    /// The role it boots with.
    pub profile: NodeName,
    /// Where it stands.
    pub record: Record,
}

/// What the operator has set for all nodes.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How a machine may become a node where its spec does not say.
    pub admission: Admission,
    /// So long after the end of its certificate a node comes back by its key alone.
    pub return_within: Duration,
}

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

/// What becomes of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The machine is this node.
    Approve(NodeName),
    /// It waits.
    Wait {
        /// The node it would become.
        node: Option<NodeName>,
        /// For what.
        missing: Vec<Missing>,
    },
    /// The node is installed and another key is its own.
    Conflict(NodeName),
}

/// The node that these claims are: by the operators' specs first, then by the machines admitted so far.
pub fn find(entries: &[Entry], claims: &Claims) -> Found {
    // A node that is retired claims nobody: its machine may become another one.
    let entries = || entries.iter().filter(|entry| entry.record.state != NodeState::Retired);
    let by_spec = entries().filter(|entry| entry.matches.as_ref().is_some_and(|wanted| wanted.holds(claims)));
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
    match find(entries, claims) {
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

/// Whether two sets of claims name the same machine: boards share UUIDs, so a card in common decides where both
/// name cards.
pub fn same_machine(a: &Claims, b: &Claims) -> bool {
    if !a.macs.is_empty() && !b.macs.is_empty() {
        return a.macs.iter().any(|mac| b.macs.contains(mac));
    }
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    same(&a.uuid, &b.uuid) || same(&a.serial, &b.serial)
}

/// What becomes of a machine with this key and these claims, which shows this code.
pub fn decide(
    entries: &[Entry],
    key: &Sha256,
    claims: &Claims,
    code: &str,
    policy: Policy,
    now: Timestamp,
) -> Decision {
    let default = policy.admission;
    let type_the_code = Missing::new(Need::Code, format!("an admin to type the code: boot-server approve {code}"));
    // The key was admitted before: the machine carries on where a power cut stopped it, or was off for a while.
    if let Some(own) = entries.iter().find(|entry| has_key(entry, key)) {
        let ended = own.certificate_ends.filter(|ends| now - *ends > policy.return_within);
        let why = match ended {
            Some(ends) => format!("its certificate ended {}, too long ago", ends.date()),
            None if is_in_another_machine(own, claims) => "its disk is in another machine than before".to_owned(),
            None => return Decision::Approve(own.name.clone()),
        };
        let text = format!("{}: {why}", type_the_code.text);
        return Decision::Wait { node: Some(own.name.clone()), missing: vec![Missing::new(Need::Code, text)] };
    }
    let wait = |node: Option<NodeName>, spec: String, admission: Admission| {
        let mut missing = vec![Missing::new(Need::NodeSpec, spec)];
        if admission == Admission::Approval {
            missing.push(type_the_code.clone());
        }
        Decision::Wait { node, missing }
    };
    match find(entries, claims) {
        Found::Nobody => wait(None, "a NodeSpec that matches this machine".to_owned(), default),
        Found::Several(names) => {
            let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
            wait(None, format!("one NodeSpec for this machine: {} match it", names.join(" and ")), default)
        }
        Found::One(name) => {
            let entry = entries.iter().find(|entry| entry.name == name);
            let admission = entry.and_then(|entry| entry.admission).unwrap_or(default);
            if entry.is_some_and(|entry| entry.record.used) {
                return Decision::Conflict(name);
            }
            if entry.and_then(|entry| entry.window).is_some_and(|until| now < until) {
                return Decision::Approve(name);
            }
            match admission {
                Admission::OpenLab => Decision::Approve(name),
                Admission::Approval => Decision::Wait { node: Some(name), missing: vec![type_the_code] },
            }
        }
    }
}

/// The node whose key this is, or to which it changes.
pub fn with_key(entries: &[Entry], key: &Sha256) -> Option<NodeName> {
    entries.iter().find(|entry| has_key(entry, key)).map(|entry| entry.name.clone())
}

fn has_key(entry: &Entry, key: &Sha256) -> bool {
    [entry.key, entry.next_key].contains(&Some(*key))
}

/// A node's key came from a machine that is neither the one that was admitted with it nor one that its spec names.
fn is_in_another_machine(own: &Entry, claims: &Claims) -> bool {
    let is_known = own.claims.as_ref().is_none_or(|known| same_machine(known, claims));
    !is_known && !own.matches.as_ref().is_some_and(|wanted| wanted.holds(claims))
}

/// Compares two texts in a time that does not depend on where they differ.
pub fn constant_time_equal(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::of(a.as_bytes()).0, Sha256::of(b.as_bytes()).0);
    a.iter().zip(b).fold(0u8, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// A code as a person may type it, in the form in which it is shown: `k7qf2m9x` is `K7QF-2M9X`.
pub fn normal_code(typed: &str) -> Option<String> {
    let letters: String = typed.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
    let letters = letters.to_ascii_uppercase();
    let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    (letters.len() == 8 && letters.bytes().all(base32)).then(|| format!("{}-{}", &letters[..4], &letters[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{admin::NodeState, names::Mac};

    fn mac(n: u8) -> Mac {
        format!("52:54:00:00:00:{n:02x}").parse().unwrap()
    }

    fn claims(n: u8) -> Claims {
        Claims { uuid: Some(format!("uuid-{n}")), serial: None, macs: vec![mac(n)] }
    }

    fn key(n: u8) -> Sha256 {
        Sha256::of(&[n])
    }

    fn entry(name: &str, n: u8) -> Entry {
        Entry {
            name: name.parse().unwrap(),
            matches: Some(Match { macs: vec![mac(n)], ..Match::default() }),
            claims: None,
            window: None,
            address: None,
            founds: None,
            key: None,
            next_key: None,
            certificate_ends: None,
            admission: None,
            profile: "vm".parse().unwrap(),
            record: Record { generation: 1, ..Record::default() },
        }
    }

    fn decided(entries: &[Entry], key_of: u8, claims_of: u8, default: Admission) -> Decision {
        let policy = Policy { admission: default, return_within: Duration::days(30) };
        decide(entries, &key(key_of), &claims(claims_of), "AAAA-BBBB", policy, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_node_that_was_off_comes_back_by_its_key_within_the_window_and_by_an_admin_after_it() {
        let ended = |days| Some(Timestamp::UNIX_EPOCH - Duration::days(days));
        let record = Record { used: true, generation: 1, state: NodeState::Ready, ..Record::default() };
        let away = |days| {
            [Entry { key: Some(key(1)), certificate_ends: ended(days), record: record.clone(), ..entry("a", 1) }]
        };
        for days in [-7, 0, 29, 30] {
            assert_eq!(
                decided(&away(days), 1, 1, Admission::Approval),
                Decision::Approve("a".parse().unwrap()),
                "{days}"
            );
        }
        let Decision::Wait { node: Some(_), missing } = decided(&away(31), 1, 1, Admission::OpenLab) else { panic!() };
        assert!(missing[0].need == Need::Code && missing[0].text.contains("approve AAAA-BBBB"), "{missing:?}");
        let changing = [Entry { next_key: Some(key(2)), key: Some(key(1)), record, ..entry("a", 1) }];
        assert_eq!(decided(&changing, 2, 1, Admission::Approval), Decision::Approve("a".parse().unwrap()));
    }

    #[test]
    fn a_key_in_another_machine_needs_an_admin_unless_the_spec_names_that_machine() {
        let moved = |matches| [Entry { key: Some(key(1)), claims: Some(claims(1)), matches, ..entry("a", 1) }];
        let named = |n| Some(Match { macs: vec![mac(n)], ..Match::default() });
        assert!(matches!(decided(&moved(named(1)), 1, 1, Admission::Approval), Decision::Approve(_)));
        assert!(
            matches!(decided(&moved(named(2)), 1, 2, Admission::Approval), Decision::Approve(_)),
            "the board is new"
        );
        for policy in [Admission::Approval, Admission::OpenLab] {
            let Decision::Wait { node: Some(_), missing } = decided(&moved(named(1)), 1, 2, policy) else { panic!() };
            assert!(missing[0].text.contains("in another machine") && missing[0].need == Need::Code, "{missing:?}");
        }
    }

    #[test]
    fn an_open_lab_admits_a_machine_that_a_spec_matches() {
        let entries = [entry("a", 1), entry("b", 2)];
        assert_eq!(decided(&entries, 9, 2, Admission::OpenLab), Decision::Approve("b".parse().unwrap()));
    }

    #[test]
    fn nobody_is_admitted_without_a_spec_and_the_answer_says_so() {
        let Decision::Wait { node: None, missing } = decided(&[], 9, 2, Admission::OpenLab) else { panic!() };
        assert_eq!(missing, [Missing::new(Need::NodeSpec, "a NodeSpec that matches this machine")]);
        let Decision::Wait { missing, .. } = decided(&[], 9, 2, Admission::Approval) else { panic!() };
        assert!(missing[1].text.contains("approve AAAA-BBBB"), "{missing:?}");
    }

    #[test]
    fn two_specs_that_match_are_named() {
        let entries = [entry("a", 1), entry("b", 1)];
        let Decision::Wait { missing, .. } = decided(&entries, 9, 1, Admission::OpenLab) else { panic!() };
        assert!(missing[0].text.contains("a and b"), "{missing:?}");
    }

    #[test]
    fn the_spec_is_stricter_than_the_server_s_default() {
        let entries = [Entry { admission: Some(Admission::Approval), ..entry("a", 1) }];
        assert!(matches!(decided(&entries, 9, 1, Admission::OpenLab), Decision::Wait { .. }));
    }

    #[test]
    fn another_key_for_an_installed_node_is_a_conflict_even_in_an_open_lab() {
        let record = Record { used: true, generation: 1, state: NodeState::Ready, ..Record::default() };
        let entries = [Entry { key: Some(key(1)), record, ..entry("a", 1) }];
        assert_eq!(decided(&entries, 2, 1, Admission::OpenLab), Decision::Conflict("a".parse().unwrap()));
        assert_eq!(decided(&entries, 1, 1, Admission::OpenLab), Decision::Approve("a".parse().unwrap()));
    }

    #[test]
    fn another_key_for_a_node_that_is_not_installed_needs_the_code_again() {
        let record = Record { generation: 1, state: NodeState::Installing, ..Record::default() };
        let entries = [Entry { key: Some(key(1)), record, ..entry("a", 1) }];
        assert!(matches!(decided(&entries, 2, 1, Admission::Approval), Decision::Wait { node: Some(_), .. }));
        assert!(matches!(decided(&entries, 1, 1, Admission::Approval), Decision::Approve(_)));
    }

    #[test]
    fn an_open_window_admits_the_claims_of_its_node_alone_until_it_closes() {
        let at = |seconds| Timestamp::from_unix_timestamp(seconds).ok();
        let entries = |until| [Entry { window: at(until), ..entry("a", 1) }, entry("b", 2)];
        assert_eq!(decided(&entries(1), 9, 1, Admission::Approval), Decision::Approve("a".parse().unwrap()));
        assert!(matches!(decided(&entries(0), 9, 1, Admission::Approval), Decision::Wait { .. }));
        assert!(matches!(decided(&entries(1), 9, 2, Admission::Approval), Decision::Wait { .. }));
        assert!(matches!(decided(&entries(1), 9, 3, Admission::OpenLab), Decision::Wait { .. }));
    }

    #[test]
    fn a_machine_that_was_bound_by_hand_is_found_by_its_claims() {
        let entries = [Entry { matches: Some(Match::default()), claims: Some(claims(3)), ..entry("a", 1) }];
        assert_eq!(find(&entries, &claims(3)), Found::One("a".parse().unwrap()));
        assert_eq!(find(&entries, &claims(4)), Found::Nobody);
    }

    #[test]
    fn firmware_that_says_less_than_the_spec_asks_still_boots_as_its_node() {
        let matches = Some(Match { serial: Some("S1".into()), macs: vec![mac(3)], uuid: None });
        let entries = [Entry { matches, claims: Some(claims(3)), ..entry("a", 1) }];
        assert_eq!(find(&entries, &claims(3)), Found::Nobody);
        assert_eq!(find_for_boot(&entries, &claims(3)).unwrap().name.as_str(), "a");
        assert!(find_for_boot(&entries, &claims(4)).is_none());
    }

    #[test]
    fn boards_with_one_uuid_and_different_cards_are_different_machines() {
        let twin = Claims { macs: vec![mac(2)], ..claims(1) };
        assert!(!same_machine(&claims(1), &twin));
    }

    #[test]
    fn a_code_may_be_typed_without_case_and_hyphen() {
        assert_eq!(normal_code(" k7qf 2m5x").as_deref(), Some("K7QF-2M5X"));
        for wrong in ["", "node-01", "K7QF-2M9", "K7QF-2M19", "ÄÄÄÄ"] {
            assert_eq!(normal_code(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn approval_never_admits_a_key_that_no_admin_has_seen(k in 0u8..9, c in 0u8..9, bound in 0u8..9) {
            let entries = [Entry { key: Some(key(bound)), ..entry("a", 1) }, entry("b", 2)];
            let admitted = matches!(decided(&entries, k, c, Admission::Approval), Decision::Approve(_));
            prop_assert_eq!(admitted, k == bound);
        }

        #[test]
        fn codes_of_any_text_never_panic(text in "\\PC{0,20}") {
            let _ = normal_code(&text);
        }

        #[test]
        fn equality_is_equality(a in "[a-c]{0,3}", b in "[a-c]{0,3}") {
            prop_assert_eq!(constant_time_equal(&a, &b), a == b);
        }
    }
}
