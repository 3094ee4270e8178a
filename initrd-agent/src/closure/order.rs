//! The order of fetching and of registering. Pure: paths are indices here.
//!
//! A path may be registered when all it refers to is, or is registered with it. So what others refer to is
//! fetched first: then a power cut at any time finds nearly everything that was fetched registered.

use protocol::{names::StorePath, narinfo::NarInfo};
use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
};

/// For each path, which other paths of the list it refers to.
pub fn references(infos: &[&NarInfo]) -> Vec<Vec<usize>> {
    let indices: HashMap<&StorePath, usize> =
        infos.iter().enumerate().map(|(index, info)| (&info.path, index)).collect();
    let of = |(index, info): (usize, &&NarInfo)| {
        info.references.iter().filter_map(|path| indices.get(path).copied()).filter(|other| *other != index).collect()
    };
    infos.iter().enumerate().map(of).collect()
}

/// The order of fetching: by the longest way down to a path without references, the largest first among
/// equals, so that no large one is left alone for the end.
pub fn fetch_order(references: &[Vec<usize>], sizes: &[u64]) -> Vec<usize> {
    let heights = heights(references);
    let mut order: Vec<usize> = (0..references.len()).collect();
    order.sort_by_key(|index| (heights[*index], Reverse(sizes[*index])));
    order
}

/// Paths in a circle, which Nix does not make, come last.
fn heights(references: &[Vec<usize>]) -> Vec<usize> {
    let mut referrers = vec![Vec::new(); references.len()];
    let mut open: Vec<usize> = references.iter().map(Vec::len).collect();
    for (index, others) in references.iter().enumerate() {
        for other in others {
            referrers[*other].push(index);
        }
    }
    let mut heights = vec![usize::MAX; references.len()];
    let mut ready: VecDeque<usize> = (0..references.len()).filter(|index| open[*index] == 0).collect();
    for index in &ready {
        heights[*index] = 0;
    }
    while let Some(index) = ready.pop_front() {
        for referrer in &referrers[index] {
            open[*referrer] -= 1;
            if open[*referrer] == 0 {
                // The last of its references to come is one of the highest.
                heights[*referrer] = heights[index] + 1;
                ready.push_back(*referrer);
            }
        }
    }
    heights
}

/// Keeps account of what has been unpacked and what may be registered.
#[derive(Debug)]
pub struct Register {
    references: Vec<Vec<usize>>,
    registered: Vec<bool>,
    /// Unpacked, not registered.
    waiting: Vec<usize>,
}

impl Register {
    /// Nothing is unpacked yet.
    pub fn new(references: Vec<Vec<usize>>) -> Self {
        Self { registered: vec![false; references.len()], references, waiting: Vec::new() }
    }

    /// A path has been unpacked.
    pub fn unpacked(&mut self, index: usize) {
        self.waiting.push(index);
    }

    /// Takes the largest set that may be registered now: all they refer to is registered or in the set.
    pub fn take_ready(&mut self) -> Vec<usize> {
        let mut inside = vec![false; self.references.len()];
        let mut ready = std::mem::take(&mut self.waiting);
        for index in &ready {
            inside[*index] = true;
        }
        loop {
            let fits =
                |index: &usize| self.references[*index].iter().all(|other| self.registered[*other] || inside[*other]);
            let (fit, unfit): (Vec<usize>, Vec<usize>) = ready.into_iter().partition(fits);
            ready = fit;
            if unfit.is_empty() {
                break;
            }
            for index in &unfit {
                inside[*index] = false;
            }
            self.waiting.extend(unfit);
        }
        for index in &ready {
            self.registered[*index] = true;
        }
        ready
    }

    /// Whether everything is registered.
    pub fn is_complete(&self) -> bool {
        self.registered.iter().all(|registered| *registered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_come_first_and_the_largest_of_equals() {
        // 0 -> 1 -> 2, 3 alone
        let references = vec![vec![1], vec![2], vec![], vec![]];
        assert_eq!(fetch_order(&references, &[1, 1, 5, 9]), [3, 2, 1, 0]);
    }

    #[test]
    fn a_path_waits_for_what_it_refers_to_and_a_circle_goes_together() {
        let mut register = Register::new(vec![vec![1], vec![2], vec![1], vec![]]);
        register.unpacked(0);
        register.unpacked(1);
        assert!(register.take_ready().is_empty());
        register.unpacked(3);
        assert_eq!(register.take_ready(), [3]);
        register.unpacked(2);
        let mut rest = register.take_ready();
        rest.sort_unstable();
        assert_eq!(rest, [0, 1, 2]);
        assert!(register.is_complete());
    }

    proptest! {
        #[test]
        fn whatever_the_graph_and_the_order_all_is_registered_and_nothing_before_its_references(
            edges in proptest::collection::vec((0usize..12, 0usize..12), 0..40),
            unpacked in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
            batch in 1usize..5,
        ) {
            let mut references = vec![Vec::new(); 12];
            for (from, to) in edges {
                if from != to && !references[from].contains(&to) {
                    references[from].push(to);
                }
            }
            prop_assert_eq!(fetch_order(&references, &[1; 12]).len(), 12);
            let mut register = Register::new(references.clone());
            let mut done = [false; 12];
            for some in unpacked.chunks(batch) {
                some.iter().for_each(|index| register.unpacked(*index));
                let ready = register.take_ready();
                ready.iter().for_each(|index| done[*index] = true);
                for index in ready {
                    prop_assert!(references[index].iter().all(|other| done[*other]));
                }
            }
            prop_assert!(register.is_complete());
        }
    }
}
