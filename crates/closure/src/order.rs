//! The order of fetching and of registering. Pure.
//!
//! A path may be registered when all it refers to is, or is registered with it. So what others refer to is
//! fetched first: then a power cut at any time finds nearly everything that was fetched registered.

use nix_store::narinfo::NarInfo;
use protocol::names::StorePath;
use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
};

/// What to fetch next, while the walk still finds more.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Found, but some of what it refers to has not been taken: its size, and of how much.
    waiting: HashMap<StorePath, (u64, usize)>,
    referrers: HashMap<StorePath, Vec<StorePath>>,
    /// Found, and all it refers to has been taken: the largest first, so that no large one is left for the end.
    open: BinaryHeap<(u64, StorePath)>,
    /// Taken, or there before.
    settled: HashSet<StorePath>,
}

impl Schedule {
    /// A path that is to be fetched.
    pub fn add(&mut self, info: &NarInfo) {
        let missing = info.references.iter().filter(|other| **other != info.path && !self.settled.contains(*other));
        let mut count = 0;
        for other in missing {
            self.referrers.entry(other.clone()).or_default().push(info.path.clone());
            count += 1;
        }
        match count {
            0 => self.open.push((info.nar_size, info.path.clone())),
            _ => drop(self.waiting.insert(info.path.clone(), (info.nar_size, count))),
        }
    }

    /// A path that is there already.
    pub fn settle(&mut self, path: &StorePath) {
        self.settled.insert(path.clone());
        for referrer in self.referrers.remove(path).unwrap_or_default() {
            let Some((size, count)) = self.waiting.get_mut(&referrer) else { continue };
            *count -= 1;
            if *count == 0 {
                self.open.push((*size, referrer.clone()));
                self.waiting.remove(&referrer);
            }
        }
    }

    /// Takes the largest path whose references have all been taken; where there is none and `early` is true, the
    /// largest of all: better than to do nothing, and the way out of a circle, which Nix does not make.
    pub fn take(&mut self, early: bool) -> Option<StorePath> {
        let path = match self.open.pop() {
            Some((_, path)) => path,
            None if early => {
                let largest = self.waiting.iter().max_by_key(|(path, (size, _))| (*size, *path))?;
                let path = largest.0.clone();
                self.waiting.remove(&path);
                path
            }
            None => return None,
        };
        self.settle(&path);
        Some(path)
    }
}

/// What has been unpacked and waits to be registered.
#[derive(Debug, Default)]
pub struct Register {
    waiting: Vec<Arc<NarInfo>>,
}

impl Register {
    /// A path has been unpacked.
    pub fn unpacked(&mut self, info: Arc<NarInfo>) {
        self.waiting.push(info);
    }

    /// Takes the largest set that may be registered now: all they refer to is registered or in the set.
    pub fn take_ready(&mut self, is_registered: impl Fn(&StorePath) -> bool) -> Vec<Arc<NarInfo>> {
        let waiting = std::mem::take(&mut self.waiting);
        let places: HashMap<&StorePath, usize> =
            waiting.iter().enumerate().map(|(place, info)| (&info.path, place)).collect();
        let mut referrers = vec![Vec::new(); waiting.len()];
        let mut unfit = Vec::new();
        for (place, info) in waiting.iter().enumerate() {
            for other in &info.references {
                match places.get(other) {
                    Some(other) => referrers[*other].push(place),
                    None if is_registered(other) => {}
                    None => unfit.push(place),
                }
            }
        }
        let mut fits = vec![true; waiting.len()];
        while let Some(place) = unfit.pop() {
            if std::mem::replace(&mut fits[place], false) {
                unfit.extend(&referrers[place]);
            }
        }
        let mut fits = fits.into_iter();
        let (ready, rest) = waiting.into_iter().partition(|_| fits.next().unwrap_or(false));
        self.waiting = rest;
        ready
    }

    /// Whether everything that was unpacked is registered.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix_store::narinfo;
    use proptest::prelude::*;

    fn path(number: usize) -> StorePath {
        StorePath::from_base(&format!("{}-{number:02}", "0".repeat(32))).unwrap()
    }

    fn info(number: usize, size: u64, references: &[usize]) -> Arc<NarInfo> {
        let references: Vec<String> = references.iter().map(|other| path(*other).base().to_owned()).collect();
        let text = format!(
            "StorePath: {}\nURL: x\nCompression: none\nNarSize: {size}\nReferences: {}\n\
             NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n",
            path(number),
            references.join(" ")
        );
        Arc::new(narinfo::parse(&text).unwrap())
    }

    fn taken(schedule: &mut Schedule, early: bool) -> Vec<StorePath> {
        std::iter::from_fn(|| schedule.take(early)).collect()
    }

    #[test]
    fn references_are_taken_first_and_the_largest_of_what_is_open() {
        // 0 -> 1 -> 2, 3 alone, 4 -> 5, which is there.
        let mut schedule = Schedule::default();
        schedule.settle(&path(5));
        for (number, size, references) in [(0, 9, &[0, 1][..]), (1, 9, &[2]), (2, 5, &[]), (3, 8, &[]), (4, 7, &[5])] {
            schedule.add(&info(number, size, references));
        }
        assert_eq!(taken(&mut schedule, false), [3, 4, 2, 1, 0].map(path));
    }

    #[test]
    fn what_waits_is_taken_early_only_where_nothing_is_open() {
        let mut schedule = Schedule::default();
        schedule.add(&info(0, 9, &[1]));
        assert_eq!(schedule.take(false), None);
        schedule.add(&info(2, 1, &[]));
        assert_eq!(taken(&mut schedule, true), [2, 0].map(path));
        schedule.add(&info(1, 1, &[]));
        assert_eq!(taken(&mut schedule, false), [1].map(path));
    }

    #[test]
    fn a_path_waits_for_what_it_refers_to_and_a_circle_goes_together() {
        let mut register = Register::default();
        let nothing = |_: &StorePath| false;
        register.unpacked(info(0, 1, &[1]));
        register.unpacked(info(1, 1, &[2]));
        assert!(register.take_ready(nothing).is_empty());
        register.unpacked(info(3, 1, &[3]));
        assert_eq!(register.take_ready(nothing).len(), 1);
        register.unpacked(info(2, 1, &[1]));
        assert_eq!(register.take_ready(nothing).len(), 3);
        assert!(register.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_the_graph_and_the_order_all_is_taken_and_registered_and_nothing_before_its_references(
            edges in proptest::collection::vec((0usize..12, 0usize..12), 0..40),
            found in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
            batch in 1usize..5,
            early: bool,
        ) {
            let mut references = vec![Vec::new(); 12];
            for (from, to) in edges {
                references[from].push(to);
            }
            let infos: Vec<_> = references.iter().enumerate().map(|(number, others)| info(number, 1, others)).collect();
            let (mut schedule, mut order) = (Schedule::default(), Vec::new());
            for some in found.chunks(batch) {
                some.iter().for_each(|number| schedule.add(&infos[*number]));
                order.extend(taken(&mut schedule, early));
            }
            order.extend(taken(&mut schedule, true));
            prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), 12);
            prop_assert_eq!(order.len(), 12);

            let (mut register, mut done) = (Register::default(), HashSet::new());
            for some in order.chunks(batch) {
                for path in some {
                    register.unpacked(infos.iter().find(|info| info.path == *path).unwrap().clone());
                }
                let ready = register.take_ready(|path| done.contains(path));
                done.extend(ready.iter().map(|info| info.path.clone()));
                for info in ready {
                    prop_assert!(info.references.iter().all(|other| done.contains(other)));
                }
            }
            prop_assert!(register.is_empty());
        }
    }
}
