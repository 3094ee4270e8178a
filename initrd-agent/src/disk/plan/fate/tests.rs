use super::*;
use proptest::prelude::*;

const MAY: May = May { policy: WipePolicy::Install, destroy: true, hold: false, reinstall: false };
const FOREIGN: Found = Found { empty: false, own: false, unfinished: false, complete: false, alike: false };
const EMPTY: Found = Found { empty: true, ..FOREIGN };
const UNFINISHED: Found = Found { own: true, unfinished: true, ..FOREIGN };
const COMPLETE: Found = Found { own: true, complete: true, alike: true, ..FOREIGN };
const OTHER_LAYOUT: Found = Found { own: true, ..FOREIGN };

fn code(may: May, found: Found, keeps: bool) -> Code {
    decide(may, found, keeps).unwrap_err().code
}

#[test]
fn only_an_empty_disk_and_the_nodes_own_are_used_unasked() {
    assert_eq!(decide(MAY, EMPTY, false), Ok((Mode::Make, false)));
    assert_eq!(decide(MAY, UNFINISHED, false), Ok((Mode::Make, false)));
    assert_eq!(decide(MAY, COMPLETE, false), Ok((Mode::Make, false)));
    assert_eq!(code(MAY, FOREIGN, false), Code::DiskForeign);
    assert_eq!(code(MAY, Found { alike: true, ..FOREIGN }, false), Code::DiskForeign);
}

#[test]
fn an_own_disk_of_another_layout_goes_only_when_an_installation_was_asked_for() {
    assert_eq!(code(MAY, OTHER_LAYOUT, false), Code::DiskForeign);
    assert_eq!(decide(May { reinstall: true, ..MAY }, OTHER_LAYOUT, false), Ok((Mode::Make, false)));
}

#[test]
fn what_is_foreign_goes_only_by_name_or_with_an_admins_approval() {
    assert_eq!(decide(May { policy: WipePolicy::Wipe, ..MAY }, FOREIGN, false), Ok((Mode::Make, true)));
    assert_eq!(decide(May { hold: true, ..MAY }, FOREIGN, false), Ok((Mode::Make, true)));
}

#[test]
fn what_is_to_be_kept_must_be_there_as_laid_out() {
    let keep = May { policy: WipePolicy::Keep, ..MAY };
    assert_eq!(decide(keep, COMPLETE, false), Ok((Mode::Open, false)));
    assert_eq!(decide(keep, Found { alike: true, ..FOREIGN }, false), Ok((Mode::Open, false)));
    for found in [EMPTY, FOREIGN, UNFINISHED] {
        assert_eq!(code(keep, found, false), Code::DiskUnfit);
    }
    assert_eq!(decide(MAY, COMPLETE, true), Ok((Mode::Reuse, false)));
    assert_eq!(decide(MAY, EMPTY, true), Ok((Mode::Make, false)));
    assert_eq!(code(May { policy: WipePolicy::Wipe, ..MAY }, FOREIGN, true), Code::DiskUnfit);
}

#[test]
fn diskos_destroy_false_outweighs_the_wipe_policy() {
    let spared = May { destroy: false, ..MAY };
    assert_eq!(code(May { policy: WipePolicy::Wipe, ..spared }, COMPLETE, false), Code::Layout);
    assert_eq!(code(May { hold: true, ..spared }, FOREIGN, false), Code::DiskUnfit);
    assert_eq!(decide(spared, COMPLETE, false), Ok((Mode::Open, false)));
    assert_eq!(decide(spared, EMPTY, false), Ok((Mode::Make, false)));
}

proptest! {
    /// The one thing that must never happen.
    #[test]
    fn nothing_foreign_is_made_over_without_a_word_of_the_operators(
        bits in any::<[bool; 8]>(), policy in 0usize..4, keeps in any::<bool>(),
    ) {
        let [empty, own, unfinished, complete, alike, destroy, hold, reinstall] = bits;
        let policy = [WipePolicy::Install, WipePolicy::Wipe, WipePolicy::Keep, WipePolicy::Ignore][policy];
        let found = Found { empty, own, unfinished, complete, alike };
        if let Ok((Mode::Make, destroys)) = decide(May { policy, destroy, hold, reinstall }, found, keeps) {
            let is_own = unfinished || complete || (own && reinstall);
            prop_assert!(empty || is_own || (destroys && (policy == WipePolicy::Wipe || hold)));
        }
    }
}
