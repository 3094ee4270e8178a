//! What was measured otherwise than before, told by what the firmware's log says of it: pure.

use ::tpm::event_log::{self, Thing, What};
use protocol::{
    measured::{EventLog, Log, Started},
    text::cut,
    tpm::{MeasuredStart, Pcrs, pcr_title},
};

/// Things that are named of one PCR.
const MOST_NAMED: usize = 6;
/// Bytes of why a machine has no log.
const MOST_WHY: usize = 256;

/// What a machine started from: it measures differently, and is compared with its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The network: as it enrols.
    Network,
    /// Its disk.
    Disk,
}

impl Start {
    /// Its name, as it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Disk => "disk",
        }
    }
}

/// What was quoted, and what was measured into it where a log says so.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a> {
    /// The PCRs.
    pub pcrs: &'a Pcrs,
    /// Nothing where no log fits them.
    pub things: &'a [Thing],
}

/// The PCRs that are otherwise than before, each with what is otherwise in it. What was not quoted before is no change.
pub fn changes(before: Quoted<'_>, now: Quoted<'_>) -> Vec<String> {
    let other = |index: &u8| before.pcrs.get(index).is_some_and(|before| now.pcrs.get(index) != Some(before));
    now.pcrs.keys().filter(|index| other(index)).map(|index| change(*index, before.things, now.things)).collect()
}

fn change(pcr: u8, before: &[Thing], now: &[Thing]) -> String {
    let title = format!("PCR {pcr} ({})", pcr_title(pcr));
    if before.is_empty() || now.is_empty() {
        return title;
    }
    let (mut gone, mut new) = (of(pcr, before), of(pcr, now));
    gone.retain(|thing| match new.iter().position(|other| other.sha256 == thing.sha256) {
        Some(same) => {
            new.remove(same);
            false
        }
        None => true,
    });
    let mut texts: Vec<String> = Vec::new();
    // What was started says most.
    new.sort_by_key(|thing| matches!(thing.what, What::Named(_)));
    for thing in new {
        // One that is called the same was in its place.
        let place = gone.iter().position(|other| same_name(&other.what, &thing.what)).map(|place| gone.remove(place));
        texts.push(match (&thing.what, place) {
            (What::Started(from), Some(Thing { what: What::Started(before), sha256, .. })) => {
                let (now, before) = (started(from, thing), Started { from: before.clone(), sha256: *sha256 });
                format!("now started {now}, before {before}")
            }
            (What::Started(from), _) => format!("started {} as well", started(from, thing)),
            (What::Named(name), Some(_)) => format!("{name} changed"),
            (What::Named(name), None) => format!("{name} is new"),
        });
    }
    texts.extend(gone.into_iter().map(|thing| match &thing.what {
        What::Started(from) => format!("no longer started {}", started(from, thing)),
        What::Named(name) => format!("{name} is gone"),
    }));
    let more = texts.len().saturating_sub(MOST_NAMED);
    texts.truncate(MOST_NAMED);
    if more > 0 {
        texts.push(format!("{more} more"));
    }
    if texts.is_empty() {
        texts.push("the same in another order, or what is beyond what is kept of a log".to_owned());
    }
    format!("{title}: {}", texts.join(", "))
}

fn of(pcr: u8, things: &[Thing]) -> Vec<&Thing> {
    things.iter().filter(|thing| thing.pcr == pcr).collect()
}

fn same_name(one: &What, other: &What) -> bool {
    match (one, other) {
        (What::Started(_), What::Started(_)) => true,
        (What::Named(one), What::Named(other)) => one == other,
        _ => false,
    }
}

fn started(from: &Option<String>, thing: &Thing) -> Started {
    Started { from: from.clone(), sha256: thing.sha256 }
}

/// What a log says of what was quoted, and what was measured. One that does not fit, or is not there, takes nothing from the quote.
pub fn judged(log: EventLog, pcrs: &Pcrs) -> (Log, Vec<Thing>) {
    match log {
        EventLog::Sent(log) => match event_log::read(&log, pcrs) {
            Ok(said) => (Log::Fits(Box::new(said.measured)), said.things),
            Err(why) => (Log::DoesNotFit(why), vec![]),
        },
        EventLog::Missing(why) => (Log::Missing(cut(why, MOST_WHY)), vec![]),
    }
}

/// A log that says of what was quoted what is not so; not again where it was so before.
pub fn misfit(before: Option<&Log>, now: &Log) -> Option<String> {
    let Log::DoesNotFit(why) = now else { return None };
    (before != Some(now)).then(|| format!("the event log of its firmware does not fit what its TPM has quoted: {why}"))
}

/// What was measured otherwise than when the node's system started last, for the history.
pub fn news_of_start(
    before: Option<&MeasuredStart>,
    things_before: &[Thing],
    now: &MeasuredStart,
    things: &[Thing],
) -> Vec<String> {
    let misfit = misfit(before.map(|before| &before.log), &now.log);
    let changes = before.map_or(vec![], |before| {
        let (was, is) = (Quoted { pcrs: &before.pcrs, things: things_before }, Quoted { pcrs: &now.pcrs, things });
        changes(was, is)
    });
    let changed = (!changes.is_empty()).then(|| {
        let changes = changes.join("; ");
        format!("its TPM has measured otherwise than when its system started last: {changes}")
    });
    changed.into_iter().chain(misfit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::encoding::Sha256;

    fn thing(pcr: u8, name: &str, value: u8) -> Thing {
        Thing { pcr, what: What::Named(name.to_owned()), sha256: Sha256::of(&[value]) }
    }

    fn program(from: &str, value: u8) -> Thing {
        Thing { pcr: 4, what: What::Started(Some(from.to_owned())), sha256: Sha256::of(&[value]) }
    }

    fn pcrs(values: &[(u8, u8)]) -> Pcrs {
        values.iter().map(|(index, value)| (*index, Sha256::of(&[*value]))).collect()
    }

    fn between(before: &[Thing], now: &[Thing]) -> Vec<String> {
        let (was, is) = (pcrs(&[(0, 0), (4, 1), (7, 1)]), pcrs(&[(0, 0), (4, 2), (7, 2)]));
        changes(Quoted { pcrs: &was, things: before }, Quoted { pcrs: &is, things: now })
    }

    #[test]
    fn the_thing_that_was_measured_otherwise_is_named() {
        let before = [thing(7, "db", 1), thing(7, "dbx", 2), program("iPXE", 3)];
        let now = [thing(7, "db", 9), thing(7, "dbx", 2), program("\\EFI\\evil.efi", 4), program("driver", 5)];
        let hash = |value: u8| Sha256::of(&[value]).hex()[..12].to_owned();
        let started = format!(
            "PCR 4 (what the firmware started): now started \\EFI\\evil.efi (SHA-256 {}), before iPXE (SHA-256 {}), started driver \
             (SHA-256 {}) as well",
            hash(4),
            hash(3),
            hash(5)
        );
        assert_eq!(between(&before, &now), [started, "PCR 7 (Secure Boot): db changed".to_owned()]);
        let back = between(&now, &before);
        assert!(back[0].ends_with(&format!("no longer started driver (SHA-256 {})", hash(5))), "{back:?}");
    }

    #[test]
    fn what_is_new_or_gone_is_named_and_much_of_it_is_counted() {
        let many: Vec<Thing> = (0..9).map(|n| thing(7, &format!("setting {n}"), n)).collect();
        let text = &between(&[thing(7, "db", 99)], &many)[1];
        assert!(text.contains("setting 5 is new, 4 more") && !text.contains("setting 6"), "{text}");
        let text = &between(&[thing(7, "db", 1), thing(7, "dbt", 2)], &[thing(7, "db", 1)])[1];
        assert_eq!(text, "PCR 7 (Secure Boot): dbt is gone");
        let text = &between(&[thing(7, "a", 1), thing(7, "b", 2)], &[thing(7, "b", 2), thing(7, "a", 1)])[1];
        assert!(text.contains("in another order"), "{text}");
    }

    #[test]
    fn without_a_log_before_or_now_the_pcr_alone_is_named() {
        let plain = ["PCR 4 (what the firmware started)".to_owned(), "PCR 7 (Secure Boot)".to_owned()];
        assert_eq!(between(&[], &[thing(7, "db", 1)]), plain);
        assert_eq!(between(&[thing(7, "db", 1)], &[]), plain);
        let (was, is) = (pcrs(&[(0, 0)]), pcrs(&[(0, 0), (7, 7)]));
        assert!(changes(Quoted { pcrs: &was, things: &[] }, Quoted { pcrs: &is, things: &[] }).is_empty());
    }

    #[test]
    fn a_log_that_does_not_fit_is_told_once() {
        let misfits = Log::DoesNotFit("it does not make PCR 2".to_owned());
        assert!(misfit(None, &misfits).unwrap().contains("does not make PCR 2"));
        assert!(misfit(Some(&Log::Missing(String::new())), &misfits).is_some());
        assert_eq!(misfit(Some(&misfits), &misfits), None);
        assert_eq!(misfit(None, &Log::default()), None);
    }
}
