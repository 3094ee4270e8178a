use super::*;
use std::{collections::BTreeSet, fs};

const MAY: May = May { policy: WipePolicy::Install, destroy: true, keeps: false, hold: false, reinstall: false };
const KEEPS: May = May { keeps: true, ..MAY };
const STANDINGS: [Standing; 7] = [
    Standing::Empty,
    Standing::Whole,
    Standing::Unfinished,
    Standing::OwnAlike,
    Standing::OwnOther,
    Standing::ForeignAlike,
    Standing::Foreign,
];
const ASKED: [Asked; 5] = [Asked::Keep, Asked::Spare, Asked::SpareAndWipe, Asked::KeepInPart, Asked::Make];
const MAY_GO: [MayGo; 3] = [MayGo::ThisLayout, MayGo::Own, MayGo::Foreign];
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/disk-fate.md");
const HEAD: &str = "# The fate of a disk

Made from `crates/disk/src/plan/fate` by its tests: `UPDATE_FATE=1 cargo test -p disk fate`. What the operator asks is said in
the [operator guide](operator-guide.md#what-may-be-lost).

The first column is what stands on the disk, by identifiers that are made from the node's name, its site and the layout. *Alike*:
it has the partitions and the kinds of file systems that this layout wants. The last three columns are what may be lost without a
further word: nothing but this layout (`initrd-agent disk`, policy `install`), whatever this node's own installations made (an
installation that somebody asked for), or anything (policy `wipe`, or `hold` and an admin's approval).

| stands on it | asked | this layout may go | the node's own may go | anything may go |
|---|---|---|---|---|
";

fn made(loses: Lost) -> Result<Fate, Refusal> {
    Ok(Fate::Make { loses })
}

fn code(standing: Standing, may: May) -> Code {
    decide(standing, may).unwrap_err().code()
}

/// Everything that an operator can say of a disk.
fn everything_said() -> Vec<May> {
    let mut all = Vec::new();
    for policy in [WipePolicy::Install, WipePolicy::Wipe, WipePolicy::Keep, WipePolicy::Ignore] {
        for bits in 0..16 {
            let bit = |n: u32| bits & (1 << n) != 0;
            all.push(May { policy, destroy: bit(0), keeps: bit(1), hold: bit(2), reinstall: bit(3) });
        }
    }
    all
}

#[test]
fn only_an_empty_disk_and_the_nodes_own_are_used_unasked() {
    assert_eq!(decide(Standing::Empty, MAY), made(Lost::Nothing));
    assert_eq!(decide(Standing::Unfinished, MAY), made(Lost::Nothing));
    assert_eq!(decide(Standing::Whole, MAY), made(Lost::Own));
    assert_eq!(code(Standing::Foreign, MAY), Code::DiskForeign);
    assert_eq!(code(Standing::ForeignAlike, MAY), Code::DiskForeign);
}

#[test]
fn an_own_disk_of_another_layout_goes_only_when_an_installation_was_asked_for() {
    assert_eq!(code(Standing::OwnOther, MAY), Code::DiskForeign);
    assert_eq!(decide(Standing::OwnOther, May { reinstall: true, ..MAY }), made(Lost::Own));
}

#[test]
fn what_is_foreign_goes_only_by_name_or_with_an_admins_approval() {
    assert_eq!(decide(Standing::Foreign, May { policy: WipePolicy::Wipe, ..MAY }), made(Lost::Foreign));
    assert_eq!(decide(Standing::Foreign, May { hold: true, ..MAY }), made(Lost::Foreign));
}

#[test]
fn what_is_to_be_kept_must_be_there_as_laid_out() {
    let keep = May { policy: WipePolicy::Keep, ..MAY };
    assert_eq!(decide(Standing::Whole, keep), Ok(Fate::Keep));
    assert_eq!(decide(Standing::ForeignAlike, keep), Ok(Fate::Keep));
    for standing in [Standing::Empty, Standing::Foreign, Standing::Unfinished] {
        assert_eq!(code(standing, keep), Code::DiskUnfit);
    }
    assert_eq!(decide(Standing::Whole, KEEPS), Ok(Fate::KeepInPart { loses: Lost::Own }));
    assert_eq!(decide(Standing::Empty, KEEPS), made(Lost::Nothing));
    assert_eq!(code(Standing::Foreign, May { policy: WipePolicy::Wipe, ..KEEPS }), Code::DiskUnfit);
}

#[test]
fn a_foreign_disk_that_looks_alike_is_kept_in_part_only_by_name_or_with_an_admins_approval() {
    for may in [KEEPS, May { reinstall: true, ..KEEPS }] {
        assert_eq!(code(Standing::ForeignAlike, may), Code::DiskForeign);
    }
    for may in [May { policy: WipePolicy::Wipe, ..KEEPS }, May { hold: true, ..KEEPS }] {
        assert_eq!(decide(Standing::ForeignAlike, may), Ok(Fate::KeepInPart { loses: Lost::Foreign }));
    }
}

#[test]
fn a_first_installation_that_was_cut_off_is_made_again_whatever_it_is_to_keep() {
    assert_eq!(decide(Standing::Unfinished, KEEPS), made(Lost::Nothing));
}

#[test]
fn diskos_destroy_false_outweighs_the_wipe_policy() {
    let spared = May { destroy: false, ..MAY };
    assert_eq!(code(Standing::Whole, May { policy: WipePolicy::Wipe, ..spared }), Code::Layout);
    assert_eq!(code(Standing::Foreign, May { hold: true, ..spared }), Code::DiskUnfit);
    assert_eq!(decide(Standing::Whole, spared), Ok(Fate::Keep));
    assert_eq!(decide(Standing::Empty, spared), made(Lost::Nothing));
    assert_eq!(decide(Standing::Whole, May { keeps: true, ..spared }), Ok(Fate::Keep));
}

/// The one thing that must never happen.
#[test]
fn nothing_foreign_is_written_over_without_a_word_of_the_operators() {
    for (standing, may) in STANDINGS.iter().flat_map(|one| everything_said().into_iter().map(|may| (*one, may))) {
        let Ok(fate) = decide(standing, may) else { continue };
        let foreign = matches!(standing, Standing::Foreign | Standing::ForeignAlike);
        let said = may.destroy && (may.policy == WipePolicy::Wipe || (may.policy == WipePolicy::Install && may.hold));
        match fate {
            Fate::Keep => {}
            Fate::Make { loses } | Fate::KeepInPart { loses } | Fate::Wipe { loses } => {
                assert_eq!(foreign, loses == Lost::Foreign, "{standing:?} {may:?}");
                assert!(!foreign || said, "{standing:?} {may:?}");
            }
        }
        assert!(may.policy != WipePolicy::Keep || fate == Fate::Keep, "{standing:?} {may:?}");
    }
}

#[test]
fn every_row_of_the_table_can_be_asked_for() {
    let said: BTreeSet<String> = everything_said().iter().map(|may| format!("{:?}", may.asked())).collect();
    assert_eq!(said, ASKED.iter().map(|asked| format!("{asked:?}")).collect());
}

#[test]
fn the_published_table_is_that_of_the_code() {
    let mut text = HEAD.to_owned();
    for (standing, asked) in STANDINGS.iter().flat_map(|one| ASKED.map(|asked| (*one, asked))) {
        let cells = MAY_GO.map(|may_go| cell(table(standing, asked, may_go)));
        text += &format!("| {} | {} | {} |\n", standing_in_words(standing), asked_in_words(asked), cells.join(" | "));
    }
    if std::env::var_os("UPDATE_FATE").is_some() {
        fs::write(FILE, &text).unwrap();
    }
    let found = fs::read_to_string(FILE).unwrap_or_default();
    assert!(found == text, "run UPDATE_FATE=1 cargo test -p disk fate, and commit {FILE}");
}

fn cell(fate: Result<Fate, Refusal>) -> String {
    let loses = |lost: Lost| match lost {
        Lost::Nothing => "",
        Lost::Own => ", the node's own is lost",
        Lost::Foreign => ", **what is foreign is lost**",
    };
    match fate {
        Ok(Fate::Make { loses: lost }) => format!("made{}", loses(lost)),
        Ok(Fate::KeepInPart { loses: lost }) => format!("kept in part{}", loses(lost)),
        Ok(Fate::Keep) => "kept".to_owned(),
        Ok(Fate::Wipe { loses: lost }) => format!("wiped{}", loses(lost)),
        Err(refusal) => format!("refused: `{}`", refusal.code()),
    }
}

fn standing_in_words(standing: Standing) -> &'static str {
    match standing {
        Standing::Empty => "nothing",
        Standing::Whole => "this layout, whole",
        Standing::Unfinished => "the node's own, cut off",
        Standing::OwnAlike => "the node's own, another layout, alike",
        Standing::OwnOther => "the node's own, another layout",
        Standing::ForeignAlike => "foreign, alike",
        Standing::Foreign => "foreign",
    }
}

fn asked_in_words(asked: Asked) -> &'static str {
    match asked {
        Asked::Keep => "policy `keep`",
        Asked::Spare => "`destroy = false`",
        Asked::SpareAndWipe => "`destroy = false`, policy `wipe`",
        Asked::KeepInPart => "some of `disks.keep` on it",
        Asked::Make => "to be made",
    }
}
