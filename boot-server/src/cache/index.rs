//! All narinfos of a closure in one answer: a node would otherwise ask for each.

use super::{Cache, Folder};
use bytes::Bytes;
use protocol::{Code, Failure, encoding::Sha256, failure::Result};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Closures whose index is kept in memory, and their bytes at most. A large system has 2,000 paths, or 2 MiB.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 64 << 20;
/// Larger than any closure is.
const MAX_BYTES: usize = 32 << 20;
/// A folder that changed this short ago may change again within one tick of its clock.
const SETTLED: Duration = Duration::from_secs(2);

/// The narinfos of a closure, separated by an empty line, the toplevel first.
#[derive(Debug)]
pub struct Index {
    /// As they are in the cache.
    pub text: Bytes,
    /// Changes with the text.
    pub etag: String,
}

/// What was asked for last, newest first, and the state of the folder that it is true for.
#[derive(Default)]
pub struct Indexes {
    state: Option<SystemTime>,
    kept: VecDeque<(String, Arc<Index>)>,
}

impl Cache {
    /// The index of the path with this hash part.
    ///
    /// # Errors
    /// `E-CLOSURE-MISSING` where the path or anything of its closure is not here, `E-CLOSURE-CORRUPT`, `E-SYSTEM`.
    pub async fn index(&self, hash: &str) -> Result<Arc<Index>> {
        // Held while the index is made: a rack that starts at once makes it once.
        let mut indexes = self.indexes.lock().await;
        let state = self.on_disk(Folder::changed).await?;
        if let Some(index) = indexes.find(hash, state) {
            return Ok(index);
        }
        let wanted = hash.to_owned();
        let text = self.on_disk(move |folder| walk(folder, &wanted)).await?;
        let index = Arc::new(Index { etag: format!("\"{}\"", Sha256::of(text.as_bytes())), text: text.into() });
        if state.elapsed().is_ok_and(|age| age > SETTLED) {
            indexes.keep(hash, index.clone());
        }
        Ok(index)
    }
}

impl Indexes {
    fn find(&mut self, hash: &str, state: SystemTime) -> Option<Arc<Index>> {
        if self.state != Some(state) {
            *self = Self { state: Some(state), kept: VecDeque::new() };
        }
        let position = self.kept.iter().position(|(known, _)| known == hash)?;
        let found = self.kept.remove(position)?;
        let index = found.1.clone();
        self.kept.push_front(found);
        Some(index)
    }

    fn keep(&mut self, hash: &str, index: Arc<Index>) {
        self.kept.push_front((hash.to_owned(), index));
        let bytes =
            |kept: &VecDeque<(String, Arc<Index>)>| kept.iter().map(|(_, index)| index.text.len()).sum::<usize>();
        while self.kept.len() > KEPT || bytes(&self.kept) > KEPT_BYTES {
            self.kept.pop_back();
        }
    }
}

/// Reads the narinfos of the closure. Blocks.
fn walk(folder: &Folder, hash: &str) -> Result<String> {
    let (mut text, mut seen) = (String::new(), BTreeSet::from([hash.to_owned()]));
    let mut queue = VecDeque::from([(hash.to_owned(), None)]);
    while let Some((hash, referrer)) = queue.pop_front() {
        let Some((one, info)) = folder.narinfo(&hash)? else { return Err(missing(&hash, referrer)) };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(one.trim_end());
        text.push('\n');
        if text.len() > MAX_BYTES {
            return Err(Failure::new(Code::ClosureMissing, "walking a closure: it is too large for one answer"));
        }
        for path in info.references {
            if seen.insert(path.hash_part().to_owned()) {
                queue.push_back((path.hash_part().to_owned(), Some(info.path.clone())));
            }
        }
    }
    Ok(text)
}

fn missing(hash: &str, referrer: Option<protocol::names::StorePath>) -> Failure {
    let whose = referrer.map(|path| format!(", which {path} refers to")).unwrap_or_default();
    Failure::new(Code::ClosureMissing, format!("walking a closure: the cache has no {hash}.narinfo{whose}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(size: usize) -> Arc<Index> {
        Arc::new(Index { text: vec![b'x'; size].into(), etag: String::new() })
    }

    #[test]
    fn what_was_asked_for_last_stays_within_the_bound() {
        let (mut indexes, state) = (Indexes::default(), SystemTime::UNIX_EPOCH);
        assert!(indexes.find("a", state).is_none());
        for name in ["a", "b", "c"] {
            indexes.keep(name, index(KEPT_BYTES / 3));
        }
        assert!(indexes.find("a", state).is_some());
        indexes.keep("d", index(KEPT_BYTES / 3));
        assert!(indexes.find("b", state).is_none() && indexes.find("a", state).is_some());
    }

    #[test]
    fn nothing_outlives_a_change_of_the_folder() {
        let mut indexes = Indexes::default();
        indexes.find("a", SystemTime::UNIX_EPOCH);
        indexes.keep("a", index(1));
        assert!(indexes.find("a", SystemTime::UNIX_EPOCH).is_some());
        assert!(indexes.find("a", SystemTime::UNIX_EPOCH + SETTLED).is_none());
    }
}
