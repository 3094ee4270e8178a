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

/// What a sgdisk for each partition makes, as disko calls it: start, end and alignment.
fn one_by_one(bytes: u64, wanted: &[(&str, &str, u64)]) -> Vec<Span> {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(bytes).unwrap();
    let sgdisk = |arguments: &[String]| Command::new("sgdisk").args(arguments).arg(image.path()).output().unwrap();
    sgdisk(&["--clear".to_owned()]);
    for (n, (start, end, alignment)) in (1..).zip(wanted) {
        let alignment = if *alignment == 0 { None } else { Some(format!("--set-alignment={alignment}")) };
        let new = format!("--new={n}:{start}:{end}");
        let done = sgdisk(&["--align-end".to_owned()].into_iter().chain(alignment).chain([new]).collect::<Vec<_>>());
        assert!(done.status.success(), "{done:?}");
    }
    let span = |n: usize| {
        let info = String::from_utf8(sgdisk(&[format!("--info={n}")]).stdout).unwrap();
        let sector = |word: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(word)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Span { first: sector("First sector: "), last: sector("Last sector: ") }
    };
    (1..=wanted.len()).map(span).collect()
}

#[test]
fn the_alignment_is_that_of_the_partitions_that_are_there() {
    for wanted in [
        &[("34", "2047", 1), ("0", "+500M", 0), ("0", "-0", 0)][..],
        &[("64s", "+1M", 1), ("0", "+500M", 0), ("0", "-0", 0)],
        &[("+1M", "+5M", 0), ("-1G", "-0", 0)],
        &[("2048", "+3000", 0), ("0", "+1000", 0), ("0", "-1M", 0)],
    ] {
        for bytes in [20 << 30, 400 << 30] {
            let ours = wanted.iter().map(|(start, end, alignment)| Wanted {
                start,
                end: (*end).to_owned(),
                alignment: *alignment,
            });
            let ours = gpt(Room::new(bytes, 512), &ours.collect::<Vec<_>>()).unwrap();
            assert_eq!(ours, one_by_one(bytes, wanted), "{wanted:?} on {bytes}");
        }
    }
}

#[test]
fn a_legacy_place_behind_the_end_is_refused_and_never_cut() {
    let room = Room::new(16 << 30, 512);
    let one =
        |room: Room, inside: Span, end: &'static str| legacy(room, inside, &[LegacyWanted { start: "1MiB", end }]);
    let inside = room.usable().unwrap();
    for end in ["100GB", "500GiB", "110%", "1e300GB", "17GiB", "34000000s"] {
        assert_eq!(one(room, inside, end), Err((0, NoPlace::Beyond(end.to_owned()))));
    }
    for end in ["100%", "16GiB", "17GB", "-1MiB", "16000MB"] {
        assert!(one(room, inside, end).is_ok(), "{end}");
    }
    let large = Room::new(3 << 40, 512);
    let msdos = Span { first: 1, last: MOST_OF_MSDOS };
    assert_eq!(one(large, msdos, "100%"), Err((0, NoPlace::Beyond("100%".to_owned()))));
    assert!(one(large, msdos, "2TiB").is_ok() && one(Room::new(2 << 40, 512), msdos, "100%").is_ok());
}

#[test]
fn a_legacy_partition_in_front_of_the_first_aligned_sector_lies_where_parted_puts_it() {
    let room = Room::new(1000 << 30, 512);
    let wanted = [LegacyWanted { start: "0", end: "1M" }, LegacyWanted { start: "1M", end: "100%" }];
    let placed = legacy(room, room.usable().unwrap(), &wanted).unwrap();
    assert_eq!((placed[0], placed[1].first), (Span { first: 34, last: 2047 }, 2048));
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
