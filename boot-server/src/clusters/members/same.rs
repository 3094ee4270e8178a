//! Whether the members of etcd hold the same: their data hashed at one revision, and how far each has come.

use super::survey::{at, client_of};
use cluster::{
    client::PeerClient,
    etcd::{DataHash, Etcd},
};
use protocol::{
    Failure,
    failure::Result,
    operations::{Check, MemberStatus, MemberView},
    service::Service,
};
use std::time::Duration;
use tokio::task::JoinSet;

/// A member reads all that it holds.
const PATIENCE: Duration = Duration::from_secs(30);
const WHAT: &str = "the members hold the same data";

/// What a member holds, at a revision that all have reached.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    by: String,
    revision: u64,
    hash: DataHash,
}

/// The check, where there are members to compare.
pub async fn data(caller: &PeerClient, members: &[MemberView]) -> Option<Check> {
    let there: Vec<(String, String)> = members
        .iter()
        .filter(|member| matches!(member.status, MemberStatus::Healthy | MemberStatus::Alarmed))
        .filter_map(|member| Some((member.name.clone(), at(&client_of(member)?))))
        .collect();
    if there.len() < 2 {
        return None;
    }
    Some(judge(held(&caller.patient(PATIENCE), there).await))
}

async fn held(caller: &PeerClient, there: Vec<(String, String)>) -> Result<Vec<Held>> {
    let mut asked = JoinSet::new();
    for (by, url) in there {
        let caller = caller.clone();
        asked.spawn(async move {
            let revision = Etcd::new(&caller, url.as_str()).status().await.map(|status| status.header.revision);
            revision.map(|revision| (by, url, revision))
        });
    }
    let reached = asked.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let common = reached.iter().map(|(_, _, revision)| *revision).min().unwrap_or_default();
    let mut asked = JoinSet::new();
    for (by, url, revision) in reached {
        let caller = caller.clone();
        asked.spawn(async move {
            let hash = Etcd::new(&caller, url.as_str()).hash_at(common).await?;
            Ok(Held { by, revision, hash })
        });
    }
    let mut held = asked.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    held.sort_by(|a, b| a.by.cmp(&b.by));
    Ok(held)
}

fn judge(held: Result<Vec<Held>>) -> Check {
    let check = |passed: bool, detail: String, remedy: Option<String>| Check {
        service: Service::Etcd,
        what: WHAT.to_owned(),
        passed,
        detail,
        remedy,
    };
    let held = match held {
        Ok(held) => held,
        Err(Failure { cause, remedy, .. }) => {
            return check(false, format!("it could not be compared: {cause}"), Some(remedy));
        }
    };
    let shown = |one: &Held| format!("{} at revision {} with hash {:08x}", one.by, one.revision, one.hash.hash);
    let detail = held.iter().map(shown).collect::<Vec<_>>().join(", ");
    // Members compact by themselves, each at its own moment: what the one has kept is in its hash alone.
    let differ = held.iter().enumerate().any(|(index, one)| {
        held[index + 1..]
            .iter()
            .any(|other| one.hash.compacted == other.hash.compacted && one.hash.hash != other.hash.hash)
    });
    if !differ {
        let pairs = held.iter().enumerate();
        let mut compared = pairs.flat_map(|(at, one)| held[at + 1..].iter().map(move |other| (one, other)));
        return match compared.any(|(one, other)| one.hash.compacted == other.hash.compacted) {
            true => check(true, detail, None),
            false => check(true, format!("{detail}: compacted apart, not comparable now"), None),
        };
    }
    let remedy = "have no client write, save a snapshot of each (etcdctl snapshot save), and find out which data counts; \
                  then replace the members that lack it, one by one";
    check(false, detail, Some(remedy.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Code;

    fn held(by: &str, revision: u64, hash: u64, compacted: u64) -> Held {
        Held { by: by.to_owned(), revision, hash: DataHash { hash, compacted } }
    }

    #[test]
    fn members_that_differ_at_one_revision_fail_and_those_that_compacted_apart_do_not() {
        let same = judge(Ok(vec![held("n1", 30, 7, 0), held("n2", 31, 7, 0)]));
        assert!(same.passed, "{same:?}");
        let apart = judge(Ok(vec![held("n1", 30, 7, 20), held("n2", 30, 8, 10)]));
        assert!(apart.passed && apart.detail.ends_with("not comparable now"), "{apart:?}");
        let differ = judge(Ok(vec![held("n1", 30, 7, 0), held("n2", 31, 8, 0), held("n3", 31, 8, 0)]));
        assert!(!differ.passed && differ.detail.starts_with("n1 at revision 30 with hash 00000007"), "{differ:?}");
        assert!(differ.remedy.is_some_and(|remedy| remedy.contains("snapshot of each")));
        let silent = judge(Err(Failure::new(Code::ClusterUnreachable, "no answer")));
        assert!(!silent.passed && silent.detail.contains("could not be compared"), "{silent:?}");
    }
}
