use super::*;
use crate::domain::{lifecycle::Record, tpm::Tpm};
use proptest::prelude::*;
use protocol::{
    Timestamp,
    admin::{Missing, Need, NodeState},
    claims::Claims,
    encoding::Sha256,
    enrol_token::Bound,
    names::{Mac, RunId},
    spec::{Admission, Match, Way},
};
use time::Duration;

pub fn mac(n: u8) -> Mac {
    format!("52:54:00:00:00:{n:02x}").parse().unwrap()
}

pub fn claims(n: u8) -> Claims {
    Claims { uuid: Some(format!("uuid-{n}")), serial: None, macs: vec![mac(n)] }
}

fn key(n: u8) -> Sha256 {
    Sha256::of(&[n])
}

pub fn entry(name: &str, n: u8) -> Entry {
    Entry {
        name: name.parse().unwrap(),
        matches: Some(Match { macs: vec![mac(n)], ..Match::default() }),
        claims: None,
        asked_in: None,
        window: None,
        address: None,
        founds: None,
        key: None,
        next_key: None,
        certificate_ends: None,
        tpm: None,
        admission: None,
        profile: "vm".parse().unwrap(),
        record: Record { generation: 1, ..Record::default() },
    }
}

fn policy(admission: impl Into<Admission>) -> Policy {
    Policy {
        admission: admission.into(),
        by_profile: [].into(),
        listed_tpms: [].into(),
        return_within: Duration::days(30),
    }
}

fn decided(entries: &[Entry], key_of: u8, claims_of: u8, admission: impl Into<Admission>) -> Decision {
    shown(entries, key_of, claims_of, &policy(admission), &Shown::Nothing)
}

fn shown(entries: &[Entry], key_of: u8, claims_of: u8, policy: &Policy, token: &Shown) -> Decision {
    let (key, claims) = (key(key_of), claims(claims_of));
    let asking = Asking { key: &key, claims: &claims, code: "AAAA-BBBB", token, tpm: &Tpm::Absent };
    decide(entries, asking, policy, &|_: &RunId| None, Timestamp::UNIX_EPOCH)
}

fn approved(node: &str, by: By) -> Decision {
    Decision::Approve { node: node.parse().unwrap(), by }
}

fn token(bound: Bound) -> Shown {
    let expires = Timestamp::UNIX_EPOCH + Duration::HOUR;
    Shown::Known(OneTime { id: "4f1c".into(), bound, expires, used: false })
}

#[test]
fn a_node_that_was_off_comes_back_by_its_key_within_the_window_and_by_an_admin_after_it() {
    let ended = |days| Some(Timestamp::UNIX_EPOCH - Duration::days(days));
    let record = Record { used: true, generation: 1, state: NodeState::Ready, ..Record::default() };
    let away =
        |days| [Entry { key: Some(key(1)), certificate_ends: ended(days), record: record.clone(), ..entry("a", 1) }];
    for days in [-7, 0, 29, 30] {
        assert_eq!(decided(&away(days), 1, 1, Way::Approval), approved("a", By::Key), "{days}");
    }
    let Decision::Wait { node: Some(_), missing } = decided(&away(31), 1, 1, Way::OpenLab) else { panic!() };
    assert!(missing[0].need == Need::Code && missing[0].text.contains("approve AAAA-BBBB"), "{missing:?}");
    let changing = [Entry { next_key: Some(key(2)), key: Some(key(1)), record, ..entry("a", 1) }];
    assert_eq!(decided(&changing, 2, 1, Way::Approval), approved("a", By::Key));
}

#[test]
fn a_key_in_another_machine_needs_an_admin_unless_the_spec_names_that_machine() {
    let moved = |matches| [Entry { key: Some(key(1)), claims: Some(claims(1)), matches, ..entry("a", 1) }];
    let named = |n| Some(Match { macs: vec![mac(n)], ..Match::default() });
    assert!(matches!(decided(&moved(named(1)), 1, 1, Way::Approval), Decision::Approve { .. }));
    assert!(matches!(decided(&moved(named(2)), 1, 2, Way::Approval), Decision::Approve { .. }), "the board is new");
    for policy in [Way::Approval, Way::OpenLab] {
        let Decision::Wait { node: Some(_), missing } = decided(&moved(named(1)), 1, 2, policy) else { panic!() };
        assert!(missing[0].text.contains("in another machine") && missing[0].need == Need::Code, "{missing:?}");
    }
}

#[test]
fn an_open_lab_admits_a_machine_that_a_spec_matches() {
    let entries = [entry("a", 1), entry("b", 2)];
    assert_eq!(decided(&entries, 9, 2, Way::OpenLab), approved("b", By::OpenLab));
}

#[test]
fn nobody_is_admitted_without_a_spec_and_the_answer_says_so() {
    let Decision::Wait { node: None, missing } = decided(&[], 9, 2, Way::OpenLab) else { panic!() };
    assert_eq!(missing, [Missing::new(Need::NodeSpec, "a NodeSpec that matches this machine")]);
    let Decision::Wait { missing, .. } = decided(&[], 9, 2, Way::Approval) else { panic!() };
    assert!(missing[1].text.contains("approve AAAA-BBBB"), "{missing:?}");
}

#[test]
fn two_specs_that_match_are_named() {
    let entries = [entry("a", 1), entry("b", 1)];
    let Decision::Wait { missing, .. } = decided(&entries, 9, 1, Way::OpenLab) else { panic!() };
    assert!(missing[0].text.contains("a and b"), "{missing:?}");
}

#[test]
fn the_spec_is_stricter_than_the_server_s_default() {
    let entries = [Entry { admission: Some(Way::Approval.into()), ..entry("a", 1) }];
    assert!(matches!(decided(&entries, 9, 1, Way::OpenLab), Decision::Wait { .. }));
}

#[test]
fn another_key_for_an_installed_node_is_a_conflict_even_in_an_open_lab() {
    let record = Record { used: true, generation: 1, state: NodeState::Ready, ..Record::default() };
    let entries = [Entry { key: Some(key(1)), record, ..entry("a", 1) }];
    let conflict = Decision::Conflict { node: "a".parse().unwrap(), with: Rival::Installed };
    assert_eq!(decided(&entries, 2, 1, Way::OpenLab), conflict);
    assert_eq!(decided(&entries, 1, 1, Way::OpenLab), approved("a", By::Key));
}

#[test]
fn another_key_for_a_node_that_is_not_installed_needs_the_code_again() {
    let record = Record { generation: 1, state: NodeState::Installing, ..Record::default() };
    let entries = [Entry { key: Some(key(1)), record, ..entry("a", 1) }];
    assert!(matches!(decided(&entries, 2, 1, Way::Approval), Decision::Wait { node: Some(_), .. }));
    assert!(matches!(decided(&entries, 1, 1, Way::Approval), Decision::Approve { .. }));
}

#[test]
fn a_second_key_while_a_machine_installs_is_a_conflict_until_that_machine_falls_silent() {
    let run: RunId = "r1".parse().unwrap();
    let at = |seconds| Timestamp::UNIX_EPOCH + Duration::seconds(seconds);
    let installing =
        Record { state: NodeState::Installing, run: Some(run.clone()), generation: 1, ..Record::default() };
    let asked = Entry { asked_in: Some(run.clone()), ..entry("a", 1) };
    for entry in [Entry { record: installing, ..entry("a", 1) }, asked] {
        let entries = [Entry { key: Some(key(1)), ..entry }];
        let of = |key_of, seconds, way: Way| {
            let (key, claims) = (key(key_of), claims(1));
            let asking =
                Asking { key: &key, claims: &claims, code: "AAAA-BBBB", token: &token(Bound::Any), tpm: &Tpm::Absent };
            decide(&entries, asking, &policy(way), &|of| (*of == run).then(|| at(0)), at(seconds))
        };
        for way in [Way::OpenLab, Way::Token, Way::Approval] {
            let conflict = Decision::Conflict { node: "a".parse().unwrap(), with: Rival::Installing };
            assert_eq!(of(2, 29, way), conflict);
            assert_eq!(of(1, 29, way), approved("a", By::Key));
            assert!(!matches!(of(2, 30, way), Decision::Conflict { .. }));
        }
    }
}

#[test]
fn an_open_window_admits_once_what_the_spec_knows_by_serial_and_card_until_it_closes() {
    let at = |seconds| Timestamp::from_unix_timestamp(seconds).ok();
    let known = Match { serial: Some("S1".into()), macs: vec![mac(1)], ..Match::default() };
    let of = |until, matches: &Match, serial: &str| {
        let entries = [Entry { window: at(until), matches: Some(matches.clone()), ..entry("a", 1) }, entry("b", 2)];
        let (key, claims) = (key(9), Claims { serial: Some(serial.into()), ..claims(1) });
        let asking =
            Asking { key: &key, claims: &claims, code: "AAAA-BBBB", token: &Shown::Nothing, tpm: &Tpm::Absent };
        decide(&entries, asking, &policy(Way::Approval), &|_| None, Timestamp::UNIX_EPOCH)
    };
    assert_eq!(of(1, &known, "S1"), approved("a", By::Window));
    assert!(matches!(of(0, &known, "S1"), Decision::Wait { node: Some(_), .. }), "it has closed");
    assert!(matches!(of(1, &known, "S2"), Decision::Wait { node: None, .. }), "another machine");
    let labels = [Match { macs: vec![], ..known.clone() }, Match { serial: None, ..known }];
    for label in labels {
        assert!(matches!(of(1, &label, "S1"), Decision::Wait { node: Some(_), .. }), "one label is too little");
    }
}

#[test]
fn a_one_time_token_admits_where_the_policy_takes_tokens() {
    let entries = [entry("a", 1)];
    let of = |admission: Admission, token: &Shown| shown(&entries, 9, 1, &policy(admission), token);
    let by_token = approved("a", By::Token { id: "4f1c".into() });
    assert_eq!(of(Admission::default(), &token(Bound::Any)), by_token);
    assert_eq!(of(Way::Token.into(), &token(Bound::Mac(mac(1)))), by_token);
    let waits = |admission, token: &Shown| {
        let Decision::Wait { node: Some(_), mut missing } = of(admission, token) else { panic!() };
        assert_eq!(missing.len(), 1);
        missing.remove(0)
    };
    let stolen = waits(Admission::default(), &token(Bound::Mac(mac(2))));
    assert!(
        stolen.need == Need::Code && stolen.text.contains("is for the card") && stolen.text.contains(", or an admin")
    );
    let alone = waits(Way::Token.into(), &Shown::Nothing);
    assert!(alone.need == Need::Token && alone.text.contains("enrol-token create"), "{alone:?}");
    let by_code = waits(Way::Approval.into(), &token(Bound::Any));
    assert!(by_code.text.contains("counts for nothing here"), "{by_code:?}");
}

#[test]
fn the_spec_says_how_its_node_is_admitted_then_its_profile_then_the_server() {
    let by_profile = [("vm".parse().unwrap(), Way::OpenLab.into())].into();
    let policy = Policy { by_profile, ..policy(Way::Approval) };
    assert_eq!(shown(&[entry("a", 1)], 9, 1, &policy, &Shown::Nothing), approved("a", By::OpenLab));
    let strict = Entry { admission: Some(Way::Token.into()), ..entry("a", 1) };
    assert!(matches!(shown(&[strict], 9, 1, &policy, &Shown::Nothing), Decision::Wait { .. }));
    let other = Entry { profile: "worker".parse().unwrap(), ..entry("a", 1) };
    assert!(matches!(shown(&[other], 9, 1, &policy, &Shown::Nothing), Decision::Wait { .. }));
}

proptest! {
    #[test]
    fn approval_never_admits_a_key_that_no_admin_has_seen(k in 0u8..9, c in 0u8..9, bound in 0u8..9) {
        let entries = [Entry { key: Some(key(bound)), ..entry("a", 1) }, entry("b", 2)];
        let admitted = matches!(decided(&entries, k, c, Way::Approval), Decision::Approve { .. });
        prop_assert_eq!(admitted, k == bound);
    }
}
