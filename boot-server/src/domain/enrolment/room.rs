//! Room for machines that wait: pure. Strangers cost an address nothing, so whoever fills the room makes room for others.

use std::{collections::HashMap, net::IpAddr};
use time::Duration;

/// Machines that wait at once.
pub const MOST: usize = 5_000;
/// Those of one source, as of [`source_of`](crate::base::places::source_of).
pub const MOST_OF_SOURCE: usize = 256;
/// A machine that waits asks at least every minute; one that was silent for longer has been restarted.
pub const STILL_THERE: Duration = Duration::seconds(90);

/// A machine that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its enrolment.
    pub id: i64,
    /// Where it spoke from.
    pub source: IpAddr,
    /// How long it has not asked.
    pub silent: Duration,
}

/// Which bound leaves no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// That of its source.
    Source,
    /// That of all, and no source has more than its own.
    All,
}

/// Which of those that wait give way to one more of this source: those that are silent first, for they greet again when they come
/// back; then, where all are there, the one of the source that has most which was silent for longest.
///
/// # Errors
/// There is no room for it.
pub fn give_way(waiting: &[Waiting], source: IpAddr) -> Result<Vec<i64>, Full> {
    let is_there = |one: &&Waiting| one.silent <= STILL_THERE;
    let ids = |those: &mut dyn Iterator<Item = &Waiting>| -> Vec<i64> { those.map(|one| one.id).collect() };
    let own = || waiting.iter().filter(|one| one.source == source);
    let mut gone = Vec::new();
    if own().count() >= MOST_OF_SOURCE {
        if own().filter(is_there).count() >= MOST_OF_SOURCE {
            return Err(Full::Source);
        }
        gone = ids(&mut own().filter(|one| !is_there(one)));
    }
    if waiting.len() - gone.len() < MOST {
        return Ok(gone);
    }
    let silent = ids(&mut waiting.iter().filter(|one| !is_there(one)));
    if !silent.is_empty() {
        return Ok(silent);
    }
    let mut of_source: HashMap<IpAddr, usize> = HashMap::new();
    for one in waiting {
        *of_source.entry(one.source).or_default() += 1;
    }
    let most = of_source.values().max().copied().unwrap_or_default();
    if of_source.get(&source).copied().unwrap_or_default() >= most {
        return Err(Full::All);
    }
    let of_most = waiting.iter().filter(|one| of_source.get(&one.source) == Some(&most));
    Ok(ids(&mut of_most.max_by_key(|one| one.silent).into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(source: u8, id: i64, silent: i64) -> Waiting {
        Waiting { id, source: from(source), silent: Duration::seconds(silent) }
    }

    fn from(source: u8) -> IpAddr {
        [10, 0, 0, source].into()
    }

    fn many(source: u8, count: usize, silent: i64) -> impl Iterator<Item = Waiting> {
        (0..count as i64).map(move |id| of(source, i64::from(source) * 1000 + id, silent))
    }

    #[test]
    fn a_source_that_has_filled_its_room_and_fallen_silent_has_room_again() {
        let there: Vec<_> = many(1, MOST_OF_SOURCE, 30).collect();
        assert_eq!(give_way(&there, from(1)), Err(Full::Source));
        assert_eq!(give_way(&there, from(2)), Ok(vec![]));
        let some: Vec<_> = many(1, MOST_OF_SOURCE - 1, 30).chain([of(1, 7, 91)]).collect();
        assert_eq!(give_way(&some, from(1)), Ok(vec![7]));
    }

    #[test]
    fn sources_that_fill_all_the_room_and_ask_on_make_room_for_others_and_not_for_themselves() {
        let flood: Vec<_> = (1..=19).flat_map(|source| many(source, MOST_OF_SOURCE, 30)).collect();
        let flood: Vec<_> = flood.into_iter().chain(many(20, MOST - 19 * MOST_OF_SOURCE, 30)).collect();
        assert_eq!(flood.len(), MOST);
        let gone = give_way(&flood, from(99)).unwrap();
        assert!(gone.len() == 1 && flood.iter().any(|one| one.id == gone[0] && one.source != from(20)));
        assert_eq!(give_way(&flood, from(1)), Err(Full::Source));
        let one_each: Vec<_> = (0..MOST as u32)
            .map(|n| Waiting { id: 0, source: (n | 0x0a00_0000).to_be_bytes().into(), silent: Duration::ZERO })
            .collect();
        assert_eq!(give_way(&one_each, from(1)), Err(Full::All));
    }

    proptest! {
        #[test]
        fn who_asks_on_loses_his_place_to_nobody_whose_source_has_as_many(
            counts in prop::collection::vec((1..=8u8, 0..60i64, 0..200usize), 0..12), source in 1..=9u8,
        ) {
            let waiting: Vec<_> =
                counts.iter().flat_map(|(source, silent, count)| many(*source, *count, *silent)).collect();
            let count = |of: u8| waiting.iter().filter(|one| one.source == from(of)).count();
            match give_way(&waiting, from(source)) {
                Ok(gone) => prop_assert!(gone.is_empty(), "there is room, and all are there"),
                Err(full) => prop_assert!(full == Full::Source && count(source) >= MOST_OF_SOURCE),
            }
        }
    }
}
