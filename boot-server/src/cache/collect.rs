//! What no node needs any more: the decision. Pure.

use super::{Graph, Member};
use protocol::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use time::Duration;

/// A NAR without a narinfo stays for so long: the narinfo may be on its way.
const ORPHANS_STAY: Duration = Duration::days(1);

/// A file below `nar/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarFile {
    /// Bytes.
    pub size: u64,
    /// When it came.
    pub uploaded: Timestamp,
}

/// What goes, in this order: narinfos first, so that none ever names a NAR that has gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage<'a> {
    /// Hash parts, each before what it refers to.
    pub narinfos: Vec<&'a str>,
    /// Names below `nar/`.
    pub nars: Vec<&'a str>,
}

/// Decides what goes. `roots` are hash parts; they, what came within `keep_newer`, and all that these refer to, stays.
pub fn garbage<'a>(
    graph: &'a Graph,
    nars: &'a BTreeMap<String, NarFile>,
    roots: &'a BTreeSet<String>,
    keep_newer: Duration,
    now: Timestamp,
) -> Garbage<'a> {
    // What is dated in the future is newer than anything.
    let young = |uploaded: Timestamp, than: Duration| now - uploaded < than;
    let newer = graph.entries().filter(|entry| young(entry.uploaded, keep_newer)).map(|entry| entry.path.hash_part());
    let live = graph.closure(roots.iter().map(String::as_str).chain(newer));
    let dead: BTreeSet<&str> =
        graph.entries().map(|entry| entry.path.hash_part()).filter(|hash| !live.contains(hash)).collect();
    let named_by = |dead_ones: bool| -> BTreeSet<&str> {
        let entries = graph.entries().filter(|entry| dead.contains(entry.path.hash_part()) == dead_ones);
        entries.filter_map(|entry| nar_name(&entry.nar)).collect()
    };
    let (needed, released) = (named_by(false), named_by(true));
    let goes = |name: &str, file: &NarFile| {
        !needed.contains(name) && (released.contains(name) || !young(file.uploaded, ORPHANS_STAY))
    };
    Garbage {
        narinfos: graph.referrers_first(&dead),
        nars: nars.iter().filter(|(name, file)| goes(name, file)).map(|(name, _)| name.as_str()).collect(),
    }
}

fn nar_name(url: &str) -> Option<&str> {
    match Member::parse(url)? {
        Member::Nar(name) => Some(name),
        Member::Info | Member::NarInfo(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::graph::Entry;
    use proptest::prelude::*;
    use protocol::{encoding::NIX_BASE32, names::StorePath};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const WEEK: Duration = Duration::weeks(1);

    fn hash(number: usize) -> String {
        let digit = |shift: usize| char::from(NIX_BASE32[number >> shift & 31]);
        format!("{}{}{}", "0".repeat(30), digit(5), digit(0))
    }

    fn path(number: usize) -> StorePath {
        StorePath::from_base(&format!("{}-p", hash(number))).unwrap()
    }

    /// References, days of age, the NAR's number, whether it is a root.
    type Drawn = (Vec<usize>, i64, usize, bool);

    fn world(drawn: &[Drawn]) -> (Graph, BTreeMap<String, NarFile>, BTreeSet<String>) {
        let mut graph = Graph::default();
        for (number, (references, days, nar, _)) in drawn.iter().enumerate() {
            graph.add(Entry {
                path: path(number),
                references: references
                    .iter()
                    .filter(|other| **other < number || number % 7 == 6)
                    .map(|n| path(*n))
                    .collect(),
                signed: true,
                nar: format!("nar/{nar}.nar"),
                nar_size: 1,
                file_size: 1,
                uploaded: NOW - Duration::days(*days),
            });
        }
        let file = |number: usize| NarFile { size: 1, uploaded: NOW - Duration::hours(number as i64 * 4) };
        let nars = (0..40).map(|number| (format!("{number}.nar"), file(number))).collect();
        let roots = drawn.iter().enumerate().filter(|(_, drawn)| drawn.3).map(|(number, _)| hash(number)).collect();
        (graph, nars, roots)
    }

    fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
        let one = (prop::collection::vec(0usize..30, 0..4), -1i64..20, 0usize..30, prop::bool::weighted(0.1));
        prop::collection::vec(one, 0..30)
    }

    proptest! {
        #[test]
        fn what_stays_is_whole_and_holds_every_root(drawn in drawn()) {
            let (graph, nars, roots) = world(&drawn);
            let garbage = garbage(&graph, &nars, &roots, WEEK, NOW);
            let gone: BTreeSet<&str> = garbage.narinfos.iter().copied().collect();
            for entry in graph.entries().filter(|entry| !gone.contains(entry.path.hash_part())) {
                prop_assert!(entry.references.iter().all(|path| !gone.contains(path.hash_part())));
                let name = entry.nar.strip_prefix("nar/").unwrap();
                prop_assert!(!garbage.nars.contains(&name));
            }
            prop_assert!(roots.iter().all(|root| !gone.contains(root.as_str())));
            prop_assert!(graph.entries().all(|entry| NOW - entry.uploaded >= WEEK || !gone.contains(entry.path.hash_part())));
        }

        #[test]
        fn what_nothing_needs_goes(drawn in drawn()) {
            let (graph, nars, roots) = world(&drawn);
            let garbage = garbage(&graph, &nars, &roots, WEEK, NOW);
            let gone: BTreeSet<&str> = garbage.narinfos.iter().copied().collect();
            // Whatever stays is a root, new, or referred to by something that stays.
            for entry in graph.entries().filter(|entry| !gone.contains(entry.path.hash_part())) {
                let needed = graph.entries().any(|other| {
                    !gone.contains(other.path.hash_part()) && other.references.contains(&entry.path)
                });
                prop_assert!(needed || roots.contains(entry.path.hash_part()) || NOW - entry.uploaded < WEEK);
            }
            for (name, file) in &nars {
                let url = format!("nar/{name}");
                let namers: Vec<&Entry> = graph.entries().filter(|entry| entry.nar == url).collect();
                let needed = namers.iter().any(|entry| !gone.contains(entry.path.hash_part()));
                let fresh = namers.is_empty() && NOW - file.uploaded < ORPHANS_STAY;
                prop_assert_eq!(garbage.nars.contains(&name.as_str()), !needed && !fresh);
            }
        }

        #[test]
        fn each_goes_before_what_it_refers_to(drawn in drawn()) {
            let drawn: Vec<Drawn> = drawn.into_iter().take(6).collect();
            let (graph, nars, _) = world(&drawn);
            let roots = BTreeSet::new();
            let order = garbage(&graph, &nars, &roots, -WEEK, NOW).narinfos;
            prop_assert_eq!(order.len(), drawn.len());
            for (position, hash) in order.iter().enumerate() {
                let references = &graph.get(hash).unwrap().references;
                prop_assert!(order[..position].iter().all(|before| references.iter().all(|path| path.hash_part() != *before)));
            }
        }
    }
}
