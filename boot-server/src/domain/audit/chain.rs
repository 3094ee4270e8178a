//! The chain of the audit: each entry's hash covers the hash before it, so that none can be changed, left out or put in
//! between without all hashes behind it being others.

use super::{Action, Deed};
use protocol::{
    audit::{Anchor, Anchored, AuditEntry, AuditVerdict, Broken},
    encoding::Sha256,
};
use serde_json::json;

/// What the first entry's hash covers in the place of a hash before it.
pub const START: Sha256 = Sha256([0; 32]);

/// The hash of an entry, as it is written, behind another: SHA-256 of the hash before it in hex, a line feed, and the entry.
pub fn hash(before: &Sha256, entry: &str) -> Sha256 {
    Sha256::of(format!("{before}\n{entry}").as_bytes())
}

/// The entry with its hash: a line of the export, which without its last field is what the hash covers.
pub fn line(entry: &str, hash: &str) -> String {
    let open = entry.strip_suffix('}').unwrap_or(entry);
    format!("{open},\"hash\":\"{hash}\"}}\n")
}

/// That so many entries were forgotten, and how many in all: told in the chain itself, so that what somebody took out does not
/// pass for forgotten.
pub fn forgot(entries: u64, in_all: u64) -> Deed {
    let text = format!("forgot {entries} entries beyond the bounds, {in_all} in all");
    Action::Forgotten.says(text).changing(None, json!({ "in_all": in_all }))
}

/// How many were forgotten in all, where the entry tells it.
pub fn told(entry: &AuditEntry) -> Option<u64> {
    entry.after.as_ref().filter(|_| entry.action == Action::Forgotten.name())?.get("in_all")?.as_u64()
}

/// One that is kept.
#[derive(Debug, Clone)]
pub enum Link {
    /// An entry as it is written, with its hash.
    Entry {
        /// Its number.
        id: i64,
        /// As it is written.
        entry: String,
        /// Its hash; none where it was never chained.
        hash: Option<String>,
    },
    /// All from the one before up to this were forgotten.
    Forgotten {
        /// The number of the last that was.
        id: i64,
        /// Its hash.
        hash: String,
    },
}

/// Goes along a chain from its beginning.
#[derive(Debug)]
pub struct Walk {
    last: i64,
    hash: Sha256,
    kept: Option<Anchor>,
    /// How many were forgotten, as the newest entry says that tells it.
    told: u64,
    verdict: AuditVerdict,
}

impl Walk {
    /// At the beginning; `kept` is what somebody has kept elsewhere.
    pub fn new(kept: Option<Anchor>) -> Self {
        let verdict = AuditVerdict { entries: 0, forgotten: 0, newest: None, broken: None, anchored: None };
        Self { last: 0, hash: START, kept, told: 0, verdict }
    }

    /// How far it is.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Whether there is anything more to see.
    pub fn is_broken(&self) -> bool {
        self.verdict.broken.is_some()
    }

    /// Takes the next one.
    pub fn take(&mut self, link: &Link) {
        if self.is_broken() {
            return;
        }
        let taken = match link {
            Link::Entry { id, entry, hash } => self.entry(*id, entry, hash.as_deref()),
            Link::Forgotten { id, hash } => self.forgotten(*id, hash),
        };
        if let Err(broken) = taken {
            self.verdict.broken = Some(broken);
        }
    }

    fn entry(&mut self, id: i64, entry: &str, known: Option<&str>) -> Result<(), Broken> {
        let broken = |id: i64, why: &str| Err(Broken { id, why: why.to_owned() });
        if id != self.last + 1 {
            return broken(self.last + 1, "it is missing");
        }
        let written: Result<AuditEntry, _> = serde_json::from_str(entry);
        let Some(written) = written.ok().filter(|written| written.id == id) else {
            return broken(id, "it is not as it was written: another number, or no entry at all");
        };
        let hash = hash(&self.hash, entry);
        match known {
            None => return broken(id, "it has no hash"),
            Some(known) if known != hash.hex() => {
                return broken(id, "it is not as it was written, or what is before it");
            }
            Some(_) => {}
        }
        self.verdict.entries += 1;
        self.told = told(&written).unwrap_or(self.told);
        if self.kept.is_some_and(|kept| kept.id == id) {
            let same = self.kept.is_some_and(|kept| kept.hash == hash);
            self.verdict.anchored = Some(if same { Anchored::Same } else { Anchored::Other });
        }
        self.goes_on(id, hash);
        Ok(())
    }

    fn forgotten(&mut self, id: i64, hash: &str) -> Result<(), Broken> {
        let hash: Sha256 =
            hash.parse().map_err(|_| Broken { id, why: "it was forgotten without its hash".to_owned() })?;
        self.verdict.forgotten += u64::try_from(id - self.last).unwrap_or(0);
        if let Some(kept) = self.kept.filter(|kept| kept.id > self.last && kept.id <= id) {
            let other = kept.id == id && kept.hash != hash;
            self.verdict.anchored = Some(if other { Anchored::Other } else { Anchored::Forgotten });
        }
        self.goes_on(id, hash);
        Ok(())
    }

    fn goes_on(&mut self, id: i64, hash: Sha256) {
        (self.last, self.hash) = (id, hash);
        self.verdict.newest = Some(Anchor { id, hash });
    }

    /// The verdict; `written` is the number of the newest entry that was ever written.
    pub fn end(mut self, written: i64) -> AuditVerdict {
        let Self { told, last, .. } = self;
        if self.verdict.broken.is_none() && self.verdict.forgotten != told {
            let why =
                format!("{} entries before it are gone, and the server has forgotten {told}", self.verdict.forgotten);
            self.verdict.broken = Some(Broken { id: last, why });
        }
        if self.verdict.broken.is_none() && last < written {
            let why = format!("it is missing, and all up to {written} are: the end was taken off");
            self.verdict.broken = Some(Broken { id: last + 1, why });
        }
        if self.kept.is_some() && self.verdict.broken.is_none() {
            self.verdict.anchored = self.verdict.anchored.or(Some(Anchored::Missing));
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Actor, Deed, entry};
    use proptest::prelude::*;
    use protocol::Timestamp;

    fn chain(count: i64) -> Vec<Link> {
        chain_of((1..=count).map(|id| Deed::from(format!("deed {id}"))).collect())
    }

    fn chain_of(deeds: Vec<Deed>) -> Vec<Link> {
        let mut before = START;
        (1..)
            .zip(deeds)
            .map(|(id, deed)| {
                let time = Timestamp::UNIX_EPOCH + time::Duration::milliseconds(id * 1500);
                let entry = serde_json::to_string(&entry(id, time, Actor::from("server"), None, deed)).unwrap();
                before = hash(&before, &entry);
                Link::Entry { id, entry, hash: Some(before.hex()) }
            })
            .collect()
    }

    fn verdict(links: &[Link], written: i64, kept: Option<Anchor>) -> AuditVerdict {
        let mut walk = Walk::new(kept);
        links.iter().for_each(|link| walk.take(link));
        walk.end(written)
    }

    fn newest(links: &[Link]) -> Anchor {
        verdict(links, 0, None).newest.unwrap()
    }

    fn hash_of(link: &Link) -> &str {
        match link {
            Link::Entry { hash: Some(hash), .. } | Link::Forgotten { hash, .. } => hash,
            Link::Entry { hash: None, .. } => panic!("not chained"),
        }
    }

    /// What others compute from an export has to stay what it is.
    #[test]
    fn entries_are_written_and_hashed_as_they_always_were() {
        let Link::Entry { entry, hash, .. } = &chain(2)[1] else { panic!("an entry") };
        assert_eq!(
            entry,
            r#"{"id":2,"time":"1970-01-01T00:00:03.000Z","actor":"server","kind":"server","action":"noted","text":"deed 2"}"#
        );
        let hash = hash.as_ref().unwrap();
        assert_eq!(hash, "f9a094106def589831ddbded5b7dee25960ae57c038a4941b1443b44117d9108");
        let line = line(entry, hash);
        assert!(line.ends_with(&format!("\"text\":\"deed 2\",\"hash\":\"{hash}\"}}\n")), "{line}");
    }

    #[test]
    fn what_was_forgotten_leaves_a_chain_that_is_whole_and_what_is_only_gone_does_not() {
        let deeds = (1..=8).map(|id| Deed::from(format!("deed {id}"))).chain([forgot(2, 5)]);
        let mut links = chain_of(deeds.collect());
        let gone = |link: &Link, id| Link::Forgotten { id, hash: hash_of(link).to_owned() };
        let (first, second) = (gone(&links[2], 3), gone(&links[6], 7));
        links.splice(5..7, [second]);
        links.splice(0..3, [first]);
        let whole = verdict(&links, 9, None);
        assert_eq!((whole.entries, whole.forgotten, whole.broken), (4, 5, None));
        let kept = newest(&links);
        assert_eq!(verdict(&links, 9, Some(kept)).anchored, Some(Anchored::Same));
        let old = newest(&chain(2));
        assert_eq!(verdict(&links, 9, Some(old)).anchored, Some(Anchored::Forgotten));
        let mut hidden = links.clone();
        hidden.remove(2);
        let broken = verdict(&hidden, 9, None).broken.unwrap();
        assert!(broken.why.contains("6 entries before it are gone, and the server has forgotten 5"), "{}", broken.why);
        links.remove(4);
        assert_eq!(verdict(&links, 9, None).broken.unwrap().id, 8);
    }

    #[test]
    fn an_end_that_was_taken_off_is_noticed_and_a_chain_that_was_written_anew_by_what_was_kept() {
        let links = chain(5);
        let broken = verdict(&links[..3], 5, None).broken.unwrap();
        assert_eq!(broken.id, 4);
        let kept = newest(&links);
        assert_eq!(verdict(&links[..3], 3, Some(kept)).anchored, Some(Anchored::Missing));
        let mut other = chain(5);
        let forged = r#"{"id":1,"time":"1970-01-01T00:00:01.500Z","actor":"server","text":"nothing"}"#.to_owned();
        let mut before = START;
        for (link, id) in other.iter_mut().zip(1..) {
            let Link::Entry { entry, hash: known, .. } = link else { continue };
            if id == 1 {
                entry.clone_from(&forged);
            }
            before = hash(&before, entry);
            *known = Some(before.hex());
        }
        assert_eq!(verdict(&other, 5, None).broken, None, "by itself it is whole");
        assert_eq!(verdict(&other, 5, Some(kept)).anchored, Some(Anchored::Other));
    }

    proptest! {
        #[test]
        fn whatever_is_changed_put_in_or_left_out_is_noticed_where_it_is(at in 0..8usize, how in 0..5u8) {
            let mut links = chain(8);
            let other = links[(at + 1) % 8].clone();
            let Link::Entry { id, entry, hash } = &mut links[at] else { panic!("an entry") };
            match how {
                0 => *entry = entry.replace("deed", "did"),
                1 => *hash = Some(START.hex()),
                2 => *hash = None,
                3 => *id += 1,
                _ => {
                    let Link::Entry { entry: foreign, .. } = other else { panic!("an entry") };
                    *entry = foreign;
                }
            }
            let broken = verdict(&links, 8, None).broken.unwrap();
            prop_assert_eq!(broken.id, at as i64 + 1);
            let mut links = chain(8);
            links.remove(at);
            prop_assert_eq!(verdict(&links, 8, None).broken.unwrap().id, at as i64 + 1);
        }
    }
}
