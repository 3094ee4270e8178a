use super::{
    tests::{claims, entry},
    *,
};
use crate::domain::{
    lifecycle::Record,
    tpm::{Claimed, Known, Tpm},
};
use proptest::prelude::*;
use protocol::{
    Timestamp,
    admin::{Missing, Need, NodeState},
    encoding::Sha256,
    measured::Log,
    names::RunId,
    spec::{Admission, Match, Way},
    tpm::{ProvenTpm, Vouched},
};
use time::Duration;

/// Which chip: the endorsement key of `claimed(n)` is that of `proven(n)`.
fn ek(n: u8) -> Sha256 {
    Sha256::of(&[n])
}

fn claimed(n: u8) -> Tpm {
    Tpm::Claimed(Claimed { endorsement: vec![n], quoting: vec![], vendor: Vouched::By("CN=v".to_owned()) })
}

fn proven(n: u8, vendor: Option<&str>) -> Tpm {
    let nobody = || Vouched::Nobody("none".to_owned());
    let vendor = vendor.map_or_else(nobody, |vendor| Vouched::By(vendor.to_owned()));
    Tpm::Proven(ProvenTpm {
        ek: ek(n),
        quoting: ek(n),
        vendor,
        pcrs: [].into(),
        log: Log::default(),
        at: Timestamp::UNIX_EPOCH,
    })
}

fn decided(entries: &[Entry], admission: impl Into<Admission>, tpm: &Tpm) -> Decision {
    with(entries, Asking { key: &Sha256::of(b"new"), claims: &claims(1), tpm, ..ASKING }, admission)
}

const ASKING: Asking<'static> = Asking {
    key: &Sha256([0; 32]),
    claims: &protocol::claims::Claims { uuid: None, serial: None, macs: vec![] },
    code: "AAAA-BBBB",
    token: &Shown::Nothing,
    tpm: &Tpm::Absent,
};

fn with(entries: &[Entry], asking: Asking<'_>, admission: impl Into<Admission>) -> Decision {
    let policy = Policy {
        admission: admission.into(),
        by_profile: [].into(),
        listed_tpms: [ek(7)].into(),
        return_within: Duration::days(30),
    };
    decide(entries, asking, &policy, &|_: &RunId| Some(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH)
}

fn named(n: u8) -> Entry {
    let entry = entry("a", 1);
    let matches = entry.matches.clone().map(|matches| Match { ek: Some(ek(n)), ..matches });
    Entry { matches, ..entry }
}

fn waits(decision: Decision) -> Missing {
    let Decision::Wait { mut missing, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(missing.len(), 1, "{missing:?}");
    missing.remove(0)
}

fn by_tpm(n: u8, known: Known) -> Decision {
    Decision::Approve { node: "a".parse().unwrap(), by: By::Tpm { ek: ek(n), known } }
}

#[test]
fn the_chip_that_the_spec_names_is_the_node_whatever_the_policy_is() {
    for way in [Way::Approval, Way::Token, Way::OpenLab, Way::Tpm] {
        assert_eq!(decided(&[named(1)], way, &proven(1, None)), by_tpm(1, Known::BySpec));
    }
    let alone = Match { ek: Some(ek(1)), ..Match::default() };
    let alone = Entry { matches: Some(alone), ..entry("a", 9) };
    assert_eq!(decided(std::slice::from_ref(&alone), Way::Approval, &proven(1, None)), by_tpm(1, Known::BySpec));
    assert!(matches!(decided(&[alone], Way::OpenLab, &claimed(1)), Decision::Wait { node: None, .. }));
}

#[test]
fn where_no_spec_names_one_a_listed_chip_or_one_of_a_vendor_is_let_in_by_the_way_tpm_alone() {
    let entries = [entry("a", 1)];
    assert_eq!(decided(&entries, Way::Tpm, &proven(7, None)), by_tpm(7, Known::Listed));
    assert_eq!(decided(&entries, Way::Tpm, &proven(1, Some("CN=v"))), by_tpm(1, Known::Vendor("CN=v".to_owned())));
    for tpm in [proven(7, None), proven(1, Some("CN=v"))] {
        assert_eq!(waits(decided(&entries, Way::Approval, &tpm)).need, Need::Code);
    }
    let unknown = waits(decided(&entries, Way::Tpm, &proven(1, None)));
    assert!(unknown.need == Need::Tpm && unknown.text.contains(&ek(1).hex()), "{unknown:?}");
}

#[test]
fn what_is_missing_names_every_way_in_its_order() {
    let both: Admission = serde_json::from_str(r#"["tpm", "approval"]"#).unwrap();
    let missing = waits(decided(&[entry("a", 1)], both.clone(), &Tpm::Absent));
    assert_eq!(missing.need, Need::Code);
    let (tpm, code) = missing.text.split_once(", or ").unwrap();
    assert!(tpm.contains("this machine has none") && code.contains("approve AAAA-BBBB"), "{missing:?}");
    let other = waits(decided(&[named(2)], both, &proven(1, None)));
    assert!(other.text.contains("another one") && other.text.contains("approve AAAA-BBBB"), "{other:?}");
}

#[test]
fn a_node_s_key_beside_another_chip_needs_an_admin_unless_the_spec_names_that_chip() {
    let key = Sha256::of(b"own");
    let own = Entry { key: Some(key), tpm: Some(ek(1)), claims: Some(claims(1)), ..entry("a", 1) };
    let of = |entry: &Entry, tpm: &Tpm| {
        let entries = std::slice::from_ref(entry);
        with(entries, Asking { key: &key, claims: &claims(1), tpm, ..ASKING }, Way::OpenLab)
    };
    let back = Decision::Approve { node: "a".parse().unwrap(), by: By::Key };
    for tpm in [Tpm::Absent, claimed(1), proven(1, None)] {
        assert_eq!(of(&own, &tpm), back);
    }
    for tpm in [claimed(2), proven(2, None)] {
        assert!(waits(of(&own, &tpm)).text.contains("its TPM is another one than before"));
    }
    let board = Entry { matches: named(2).matches, ..own };
    assert_eq!(of(&board, &proven(2, None)), back, "the board is new");
    assert!(matches!(of(&board, &claimed(2)), Decision::Wait { .. }), "that is not proven yet");
}

#[test]
fn the_same_chip_with_a_new_key_is_no_rival_of_itself_while_it_is_being_installed() {
    let run: RunId = "run-1".parse().unwrap();
    let record = Record { state: NodeState::Installing, run: Some(run), generation: 1, ..Record::default() };
    let entries = [Entry { key: Some(Sha256::of(b"own")), tpm: Some(ek(1)), record, ..named(1) }];
    assert_eq!(decided(&entries, Way::Tpm, &proven(1, None)), by_tpm(1, Known::BySpec));
    for tpm in [Tpm::Absent, claimed(1), proven(2, None)] {
        assert!(matches!(decided(&entries, Way::Tpm, &tpm), Decision::Conflict { with: Rival::Installing, .. }));
    }
}

fn tpms() -> impl Strategy<Value = Tpm> {
    prop_oneof![
        Just(Tpm::Absent),
        Just(Tpm::Broken { why: "why".to_owned() }),
        (0u8..9).prop_map(claimed),
        (0u8..9, any::<bool>()).prop_map(|(n, vendor)| proven(n, vendor.then_some("CN=v"))),
    ]
}

proptest! {
    /// Neither labels, a token, a window, a list nor a vendor stand for the chip that is named.
    #[test]
    fn no_other_chip_becomes_the_node_whose_spec_names_one(
        tpm in tpms(), way in prop::sample::select(vec![Way::Token, Way::Tpm, Way::Approval, Way::OpenLab]), window: bool,
    ) {
        let until = window.then(|| Timestamp::UNIX_EPOCH + Duration::HOUR);
        let mut entry = Entry { window: until, ..named(1) };
        if let Some(matches) = &mut entry.matches {
            matches.serial = Some("S1".to_owned());
        }
        let labels = protocol::claims::Claims { serial: Some("S1".to_owned()), ..claims(1) };
        let (id, bound) = ("4f1c".to_owned(), protocol::enrol_token::Bound::Any);
        let token = Shown::Known(OneTime { id, bound, expires: Timestamp::UNIX_EPOCH + Duration::HOUR, used: false });
        let asking = Asking { claims: &labels, token: &token, tpm: &tpm, ..ASKING };
        let admitted = matches!(with(&[entry], asking, way), Decision::Approve { .. });
        prop_assert_eq!(admitted, tpm.proven_ek() == Some(ek(1)));
    }
}
