//! In which order paths are copied: each after what it refers to. Pure.

use nix_store::narinfo::NarInfo;
use protocol::names::StorePath;
use std::collections::{BTreeMap, VecDeque};

/// Paths that wait for others.
#[derive(Debug, Default)]
pub struct Queue {
    ready: VecDeque<StorePath>,
    /// How many each still waits for.
    waiting: BTreeMap<StorePath, usize>,
    /// Who waits for it.
    waiters: BTreeMap<StorePath, Vec<StorePath>>,
}

impl Queue {
    /// A queue of these; what they refer to beside is taken as done.
    pub fn new<'a>(infos: impl Iterator<Item = &'a NarInfo> + Clone) -> Self {
        let mut queue = Self { waiting: infos.clone().map(|info| (info.path.clone(), 0)).collect(), ..Self::default() };
        for info in infos {
            for reference in info.references.iter().filter(|path| **path != info.path) {
                if queue.waiting.contains_key(reference) {
                    queue.waiters.entry(reference.clone()).or_default().push(info.path.clone());
                    queue.waiting.entry(info.path.clone()).and_modify(|count| *count += 1);
                }
            }
        }
        queue.release();
        queue
    }

    /// The next one, where one is ready.
    pub fn next(&mut self) -> Option<StorePath> {
        self.ready.pop_front()
    }

    /// It has been copied.
    pub fn done(&mut self, path: &StorePath) {
        for waiter in self.waiters.remove(path).unwrap_or_default() {
            self.waiting.entry(waiter).and_modify(|count| *count -= 1);
        }
        self.release();
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.waiting.is_empty()
    }

    fn release(&mut self) {
        let free = self.waiting.extract_if(.., |_, count| *count == 0).map(|(path, _)| path);
        self.ready.extend(free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix_store::narinfo;
    use proptest::prelude::*;

    fn info(number: usize, references: &[usize]) -> NarInfo {
        let base = |number: &usize| format!("{number:0>32}-p");
        let references: Vec<String> = references.iter().map(base).collect();
        let hash = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        let text = format!(
            "StorePath: /nix/store/{}\nURL: nar/x\nCompression: none\nNarHash: {hash}\nNarSize: 1\nReferences: {}\n",
            base(&number),
            references.join(" ")
        );
        narinfo::parse(&text).unwrap()
    }

    proptest! {
        #[test]
        fn each_comes_once_and_after_what_it_refers_to(drawn in prop::collection::vec(prop::collection::vec(0usize..20, 0..4), 0..20)) {
            let below = |(number, refs): (usize, &Vec<usize>)| {
                info(number, &refs.iter().copied().filter(|other| *other <= number).collect::<Vec<_>>())
            };
            let infos: Vec<NarInfo> = drawn.iter().enumerate().map(below).collect();
            let mut queue = Queue::new(infos.iter());
            let mut done: Vec<StorePath> = Vec::new();
            while let Some(path) = queue.next() {
                let info = infos.iter().find(|info| info.path == path).unwrap();
                prop_assert!(info.references.iter().all(|path| *path == info.path || done.contains(path)));
                queue.done(&path);
                done.push(path);
            }
            prop_assert!(queue.is_empty());
            prop_assert_eq!(done.len(), infos.len());
        }
    }
}
