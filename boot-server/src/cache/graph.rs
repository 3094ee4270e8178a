//! Which paths refer to which, and what follows from it. Pure.

use protocol::{Timestamp, names::StorePath};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A narinfo, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The path.
    pub path: StorePath,
    /// What it refers to, itself left out.
    pub references: BTreeSet<StorePath>,
    /// Somebody has signed it, or its content proves its name.
    pub signed: bool,
    /// The URL of its NAR.
    pub nar: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Bytes of the file that holds it.
    pub file_size: u64,
    /// When it came.
    pub uploaded: Timestamp,
}

/// The narinfos of a cache by the hash part of their path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph(BTreeMap<String, Entry>);

impl Graph {
    /// Adds a narinfo.
    pub fn add(&mut self, entry: Entry) {
        self.0.insert(entry.path.hash_part().to_owned(), entry);
    }

    /// The narinfo of a hash part.
    pub fn get(&self, hash: &str) -> Option<&Entry> {
        self.0.get(hash)
    }

    /// Every narinfo.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }

    /// The hash parts of these and of all that they refer to, also of what is not here.
    pub fn closure<'a>(&'a self, roots: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        reach(roots, |hash| {
            self.get(hash).into_iter().flat_map(|entry| &entry.references).map(StorePath::hash_part).collect()
        })
    }

    /// The hash parts of these and of all that refer to them, also indirectly.
    pub fn referrers<'a>(&'a self, of: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut back: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (hash, entry) in &self.0 {
            for reference in &entry.references {
                back.entry(reference.hash_part()).or_default().push(hash);
            }
        }
        reach(of, |hash| back.get(hash).cloned().unwrap_or_default())
    }

    /// Paths that no other refers to.
    pub fn toplevels(&self) -> impl Iterator<Item = &Entry> {
        let referred: BTreeSet<&StorePath> = self.entries().flat_map(|entry| &entry.references).collect();
        self.entries().filter(move |entry| !referred.contains(&entry.path))
    }

    /// These in an order in which each comes before what it refers to: taken away in it, nothing that is left ever
    /// refers to what has gone.
    pub fn referrers_first<'a>(&'a self, hashes: &BTreeSet<&'a str>) -> Vec<&'a str> {
        let mut count: BTreeMap<&str, usize> = hashes.iter().map(|hash| (*hash, 0)).collect();
        let references = |hash: &str| self.get(hash).into_iter().flat_map(|entry| &entry.references);
        for reference in hashes.iter().flat_map(|hash| references(hash)) {
            count.entry(reference.hash_part()).and_modify(|count| *count += 1);
        }
        let mut free: VecDeque<&str> = hashes.iter().copied().filter(|hash| count[hash] == 0).collect();
        let mut order = Vec::new();
        while let Some(hash) = free.pop_front() {
            order.push(hash);
            for reference in references(hash) {
                if let Some((hash, count)) =
                    hashes.get(reference.hash_part()).and_then(|hash| Some((*hash, count.get_mut(hash)?)))
                {
                    *count -= 1;
                    if *count == 0 {
                        free.push_back(hash);
                    }
                }
            }
        }
        // A circle, which Nix does not make, but a folder may hold.
        let ordered: BTreeSet<&str> = order.iter().copied().collect();
        order.extend(hashes.iter().filter(|hash| !ordered.contains(*hash)));
        order
    }
}

fn reach<'a>(from: impl IntoIterator<Item = &'a str>, next: impl Fn(&'a str) -> Vec<&'a str>) -> BTreeSet<&'a str> {
    let mut seen: BTreeSet<&str> = from.into_iter().collect();
    let mut queue: Vec<&str> = seen.iter().copied().collect();
    while let Some(hash) = queue.pop() {
        queue.extend(next(hash).into_iter().filter(|next| seen.insert(next)));
    }
    seen
}
