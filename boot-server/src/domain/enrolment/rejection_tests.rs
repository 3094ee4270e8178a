//! The table of docs/design.md section 4: against whom a refusal stands.

use super::{
    tests::{claims, entry, mac},
    *,
};
use crate::domain::{
    operation::WINDOW,
    tpm::{Known, Tpm},
};
use protocol::{
    Timestamp,
    claims::Claims,
    encoding::Sha256,
    enrol_token::Bound,
    measured::Log,
    rejection::Rejection,
    spec::{Match, Way},
    tpm::{ProvenTpm, Vouched},
};
use time::Duration;

fn hash(n: u8) -> Sha256 {
    Sha256::of(&[n])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::seconds(seconds)
}

fn chip(n: u8) -> Tpm {
    let vendor = Vouched::By("CN=v".to_owned());
    Tpm::Proven(ProvenTpm { ek: hash(n), quoting: hash(n), vendor, pcrs: [].into(), log: Log::default(), at: at(0) })
}

/// The machine with this key and these labels, refused at second 10.
fn refused(key: u8, labels: u8) -> Rejection {
    Rejection {
        machine: machine_name(&hash(key)),
        node: Some("a".parse().unwrap()),
        key: hash(key),
        claims: claims(labels),
        ek: None,
        reason: None,
        by: "admin".to_owned(),
        time: at(10),
    }
}

struct Comes {
    key: u8,
    claims: Claims,
    tpm: Tpm,
}

fn comes(key: u8, labels: u8) -> Comes {
    Comes { key, claims: claims(labels), tpm: Tpm::Absent }
}

fn is_refused(decision: &Decision, rejection: &Rejection, entries: &[Entry], comes: &Comes) -> bool {
    let key = hash(comes.key);
    let asking =
        Asking { key: &key, claims: &comes.claims, code: "AAAA-BBBB", token: &Shown::Nothing, tpm: &comes.tpm };
    let after = unless_rejected(decision.clone(), std::slice::from_ref(rejection), entries, asking);
    let is_refused = matches!(&after, Decision::Rejected { node, .. } if node.as_ref() == decision.node());
    assert!(is_refused || after == *decision);
    is_refused
}

fn waits() -> Decision {
    Decision::Wait { node: Some("a".parse().unwrap()), missing: vec![] }
}

fn admitted(by: By) -> Decision {
    Decision::Approve { node: "a".parse().unwrap(), by }
}

#[test]
fn a_refused_machine_stays_refused_with_another_key_and_with_other_labels_and_another_machine_is_not() {
    let rejection = refused(1, 1);
    for decision in [waits(), Decision::Conflict { node: "a".parse().unwrap(), with: Rival::Installed }] {
        assert!(is_refused(&decision, &rejection, &[], &comes(1, 1)), "itself");
        assert!(is_refused(&decision, &rejection, &[], &comes(2, 1)), "rebooted, with another key");
        assert!(is_refused(&decision, &rejection, &[], &comes(1, 2)), "its labels changed");
        assert!(!is_refused(&decision, &rejection, &[], &comes(2, 2)), "another machine");
        let card_alone = Comes { claims: Claims { macs: vec![mac(1)], ..Claims::default() }, ..comes(2, 1) };
        assert!(is_refused(&decision, &rejection, &[], &card_alone), "it says less of itself");
    }
    let all_cards = Claims { macs: (0..32).map(mac).collect(), ..Claims::default() };
    let of_cards = Rejection { claims: all_cards.clone(), ..refused(1, 1) };
    assert!(
        !is_refused(&waits(), &of_cards, &[], &comes(2, 2)),
        "whose card a stranger without serial and UUID has named"
    );
    assert!(is_refused(&waits(), &of_cards, &[], &Comes { claims: all_cards, ..comes(3, 1) }), "that stranger");
    let chipped = Rejection { ek: Some(hash(7)), ..refused(1, 1) };
    let moved = Comes { tpm: chip(7), ..comes(2, 2) };
    assert!(is_refused(&waits(), &chipped, &[], &moved), "its chip, with another key and other labels");
    let claimed = Comes { tpm: Tpm::Broken { why: String::new() }, ..comes(2, 2) };
    assert!(!is_refused(&waits(), &chipped, &[], &claimed));
}

#[test]
fn copied_labels_that_are_refused_lock_out_nobody_who_proves_to_be_another_machine() {
    let rejection = refused(1, 1);
    let own = [Entry { key: Some(hash(9)), claims: Some(claims(1)), tpm: Some(hash(7)), ..entry("a", 1) }];
    let token = || admitted(By::Token { id: "4f1c".to_owned() });
    let by_chip = |known| admitted(By::Tpm { ek: hash(7), known });
    assert!(!is_refused(&admitted(By::Key), &rejection, &own, &comes(9, 1)), "the node's own key");
    assert!(!is_refused(&waits(), &rejection, &own, &comes(9, 1)), "the same, that waits for a code");
    assert!(!is_refused(&token(), &rejection, &own, &comes(2, 1)), "a one-time token");
    let its_chip = Comes { tpm: chip(7), ..comes(2, 1) };
    for known in [Known::BySpec, Known::Listed, Known::Vendor("CN=v".to_owned())] {
        assert!(!is_refused(&by_chip(known), &rejection, &own, &its_chip), "its TPM");
    }
    assert!(!is_refused(&waits(), &rejection, &own, &its_chip), "the node's TPM with a new key, that waits for a code");
    let other = Comes { tpm: chip(8), ..comes(2, 1) };
    assert!(is_refused(&waits(), &rejection, &own, &other), "some TPM proves nothing about the node");
    assert!(is_refused(&admitted(By::OpenLab), &rejection, &own, &comes(2, 1)), "labels alone");
}

#[test]
fn the_machine_itself_is_let_in_by_what_an_admin_has_given_it_since_and_by_no_vendor() {
    let rejection = Rejection { ek: Some(hash(7)), ..refused(1, 1) };
    let itself = Comes { tpm: chip(7), ..comes(1, 1) };
    let by_chip = |known| admitted(By::Tpm { ek: hash(7), known });
    assert!(!is_refused(&admitted(By::Token { id: "4f1c".to_owned() }), &rejection, &[], &itself));
    assert!(!is_refused(&by_chip(Known::BySpec), &rejection, &[], &itself));
    assert!(is_refused(&by_chip(Known::Vendor("CN=v".to_owned())), &rejection, &[], &itself));
    let opened = |seconds| [Entry { window: Some(at(seconds) + WINDOW), ..entry("a", 1) }];
    assert!(is_refused(&admitted(By::Window), &rejection, &opened(11), &comes(1, 1)), "its key");
    assert!(!is_refused(&admitted(By::Window), &rejection, &opened(11), &comes(2, 1)), "replaced after it was refused");
    assert!(is_refused(&admitted(By::Window), &rejection, &opened(9), &comes(2, 1)), "replaced before");
}

#[test]
fn a_copy_of_a_node_s_key_is_refused_in_the_machine_where_it_was_seen_alone() {
    let own = [Entry { key: Some(hash(1)), claims: Some(claims(3)), ..entry("a", 3) }];
    let clone = refused(1, 1);
    assert!(is_refused(&waits(), &clone, &own, &comes(1, 1)), "the clone");
    assert!(!is_refused(&waits(), &clone, &own, &comes(1, 3)), "the node, that waits for a code");
    assert!(!is_refused(&admitted(By::Key), &clone, &own, &comes(1, 3)), "the node");
}

#[test]
fn a_refused_machine_is_given_the_agent_only_where_one_with_its_labels_could_prove_that_it_is_another() {
    let rejections = [refused(1, 1)];
    let policy = |way: Way| Policy {
        admission: way.into(),
        by_profile: [].into(),
        listed_tpms: [].into(),
        return_within: Duration::days(30),
    };
    let of = |entries: &[Entry], way, tokens: &[Bound]| {
        let found = find_for_boot(entries, &claims(1));
        rejected_at_boot(&rejections, entries, found, &claims(1), &policy(way), tokens, at(20)).is_some()
    };
    let plain = entry("a", 1);
    let named = Match { ek: Some(hash(7)), macs: vec![mac(1)], ..Match::default() };
    let by_chip_alone = Entry { matches: Some(Match { ek: Some(hash(7)), ..Match::default() }), ..entry("b", 2) };
    assert!(of(&[], Way::Approval, &[]) && of(std::slice::from_ref(&plain), Way::Approval, &[]));
    assert!(of(std::slice::from_ref(&plain), Way::Token, &[Bound::Mac(mac(2))]), "nobody has a token for it");
    assert!(of(std::slice::from_ref(&plain), Way::Approval, &[Bound::Any]), "tokens count for nothing there");
    for may in [
        Entry { key: Some(hash(9)), ..plain.clone() },
        Entry { matches: Some(named), ..plain.clone() },
        Entry { window: Some(at(15) + WINDOW), ..plain.clone() },
    ] {
        assert!(!of(&[may], Way::Approval, &[]));
    }
    assert!(!of(std::slice::from_ref(&plain), Way::Token, &[Bound::Mac(mac(1))]));
    assert!(!of(&[plain], Way::Tpm, &[]) && !of(&[by_chip_alone], Way::Approval, &[]));
    let other = rejected_at_boot(&rejections, &[], None, &claims(2), &policy(Way::Approval), &[], at(20));
    assert_eq!(other, None);
}
