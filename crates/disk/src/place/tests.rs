use super::*;
use proptest::prelude::*;
use std::process::Command;

const MIB: u64 = 1 << 20;

fn spans(room: Room, wanted: &[(&str, &str)]) -> Result<Vec<Span>, (usize, NoPlace)> {
    let wanted: Vec<Wanted<'_>> =
        wanted.iter().map(|(start, end)| Wanted { start, end: (*end).to_owned(), alignment: 0 }).collect();
    gpt(room, &wanted)
}

/// What sgdisk itself makes of it, or `None` where it refuses one.
fn by_sgdisk(bytes: u64, wanted: &[(String, String)]) -> Option<Vec<Span>> {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(bytes).unwrap();
    // One process for all: sgdisk waits a second before it ends.
    let mut sgdisk = Command::new("sgdisk");
    sgdisk.args(["--clear", "--align-end"]);
    sgdisk.args((1..).zip(wanted).map(|(n, (start, end)): (u32, _)| format!("--new={n}:{start}:{end}")));
    let output = sgdisk.arg("--print").arg(image.path()).output().unwrap();
    let printed = output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())?;
    let rows = printed.lines().filter_map(|line| {
        let words: Vec<u64> = line.split_whitespace().take(3).map_while(|word| word.parse().ok()).collect();
        (words.len() == 3).then(|| (words[0], Span { first: words[1], last: words[2] }))
    });
    let mut rows: Vec<(u64, Span)> = rows.collect();
    rows.sort_by_key(|row| row.0);
    Some(rows.into_iter().map(|row| row.1).collect())
}

#[test]
fn a_gpt_leaves_room_for_both_tables_at_either_sector_size() {
    assert_eq!(Room::new(2048 * MIB, 512).usable(), Some(Span { first: 34, last: 4_194_270 }));
    assert_eq!(Room::new(2048 * MIB, 4096).usable(), Some(Span { first: 6, last: 524_282 }));
    assert_eq!(Room::new(16 << 10, 512).usable(), None);
}

#[test]
fn partitions_begin_at_mebibytes_at_either_sector_size() {
    for sector in [512, 4096] {
        let placed = spans(Room::new(2048 * MIB, sector), &[("0", "+1M"), ("0", "+500M"), ("0", "-0")]).unwrap();
        let first: Vec<u64> = placed.iter().map(|span| span.first * sector / MIB).collect();
        assert_eq!(first, [1, 2, 502]);
        assert_eq!((placed[2].last + 1) * sector, 2047 * MIB);
    }
}

#[test]
fn what_does_not_fit_or_does_not_read_is_refused_with_its_index() {
    let room = Room::new(64 * MIB, 512);
    assert_eq!(spans(room, &[("0", "+65M")]), Err((0, NoPlace::Full)));
    assert_eq!(spans(room, &[("0", "-0"), ("1M", "+1M")]), Err((1, NoPlace::Full)));
    assert!(matches!(spans(room, &[("0", "+10X")]), Err((0, NoPlace::Malformed(_)))));
    assert!(matches!(spans(room, &[("0", "50%")]), Err((0, NoPlace::Malformed(_)))));
}

#[test]
fn a_legacy_table_lies_where_parted_puts_it() {
    let room = Room::new(2048 * MIB, 512);
    let inside = room.usable().unwrap();
    let wanted = [LegacyWanted { start: "1M", end: "500M" }, LegacyWanted { start: "500M", end: "100%" }];
    let placed = legacy(room, inside, &wanted).unwrap();
    assert_eq!(placed, [Span { first: 2048, last: 976_895 }, Span { first: 976_896, last: 4_192_255 }]);
    let overlap = [LegacyWanted { start: "1M", end: "50%" }, LegacyWanted { start: "40%", end: "100%" }];
    assert_eq!(legacy(room, inside, &overlap), Err((1, NoPlace::Full)));
}

/// Starts and ends as layouts have them, and some that they have not.
fn ends() -> impl Strategy<Value = (String, String)> {
    let start = prop_oneof![
        8 => Just("0".to_owned()),
        2 => (1u64..300).prop_map(|n| format!("{n}M")),
        1 => (2048u64..400_000).prop_map(|n| n.to_string()),
    ];
    let end = prop_oneof![
        6 => (1u64..120).prop_map(|n| format!("+{n}M")),
        2 => (1u64..90_000).prop_map(|n| format!("+{n}K")),
        1 => Just("-0".to_owned()),
        2 => (1u64..200).prop_map(|n| format!("-{n}M")),
        2 => (1u64..300).prop_map(|n| format!("{n}M")),
        1 => (1u64..5000).prop_map(|n| format!("+{n}")),
    ];
    (start, end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_gpt_lies_sector_for_sector_as_sgdisk_makes_it(
        megabytes in 40u64..300,
        odd in 0u64..64,
        wanted in prop::collection::vec(ends(), 1..5),
    ) {
        let bytes = megabytes * MIB + odd * 512;
        let texts: Vec<(&str, &str)> = wanted.iter().map(|(start, end)| (start.as_str(), end.as_str())).collect();
        let ours = spans(Room::new(bytes, 512), &texts).ok();
        prop_assert_eq!(ours, by_sgdisk(bytes, &wanted));
    }
}

proptest! {
    #[test]
    fn partitions_never_overlap_nor_leave_the_usable_space(
        megabytes in 1u64..4000,
        sector in prop::sample::select(vec![512u64, 4096]),
        wanted in prop::collection::vec(ends(), 1..8),
    ) {
        let room = Room::new(megabytes * MIB, sector);
        let texts: Vec<(&str, &str)> = wanted.iter().map(|(start, end)| (start.as_str(), end.as_str())).collect();
        if let (Ok(placed), Some(usable)) = (spans(room, &texts), room.usable()) {
            for (n, one) in placed.iter().enumerate() {
                prop_assert!(usable.first <= one.first && one.first <= one.last && one.last <= usable.last);
                for other in &placed[n + 1..] {
                    prop_assert!(one.last < other.first || other.last < one.first);
                }
            }
        }
    }

    #[test]
    fn any_text_is_borne(start in "\\PC{0,12}", end in "\\PC{0,12}", alignment in any::<u64>()) {
        let room = Room::new(256 * MIB, 512);
        let _ = gpt(room, &[Wanted { start: &start, end: end.clone(), alignment }]);
        let inside = Span { first: 34, last: 500_000 };
        let _ = legacy(room, inside, &[LegacyWanted { start: &start, end: &end }]);
    }
}
