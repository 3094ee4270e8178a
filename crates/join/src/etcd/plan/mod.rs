//! Decisions about an etcd cluster: who this node is in it, where it stands, what an answer means.

use super::environment::Identity;
use crate::driver::{Membership, Way};
use cluster::{
    address::peer_of,
    configuration::own_founder,
    etcd::{FAILED_PRECONDITION, Member, Refusal, Status},
};
use host::retry::Attempt;
use protocol::{Code, Failure, cluster::ClusterConfig, cluster_address::Peer, failure::Result};
use std::{collections::BTreeMap, path::Path};

/// What the data folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Nothing.
    None,
    /// The data of this member, as etcd.env says.
    Ours,
    /// Something else's.
    Foreign,
}

/// Where this node stands in a cluster that it wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Unknown.
    Absent,
    /// On the list, but not started yet.
    Promised,
    /// Started, with or without a vote.
    Started,
}

/// Who this node is: a founder as `initial_peers` has it, a joiner by its node_id and raft_addr.
///
/// # Errors
/// `E-CONFIG` where none of `initial_peers` is this node, or several are.
pub fn identity(config: &ClusterConfig, way: Way) -> Result<Identity> {
    let (name, peer_url) = match way {
        Way::Bootstrap => {
            let own = own_founder(config)?;
            (founder_name(own, &config.initial_peers), format!("https://{own}"))
        }
        Way::Join => (config.node_id.clone(), format!("https://{}", config.raft_addr)),
    };
    Ok(Identity { name, peer_url, token: config.cluster_name.clone() })
}

/// `ETCD_INITIAL_CLUSTER` of a founder: the same on every founder, since it follows from the list alone.
pub fn founders(peers: &[Peer]) -> String {
    let entries: Vec<_> = peers.iter().map(|peer| format!("{}=https://{peer}", founder_name(peer, peers))).collect();
    entries.join(",")
}

/// `ETCD_INITIAL_CLUSTER` of a joiner: everybody on the list, itself under its own name. etcd compares the URLs;
/// names only have to differ, so one that cannot stand in such a list becomes `member-ID`.
///
/// # Errors
/// `E-CLUSTER-JOIN` for an address that is none: what members say of themselves goes into a file that systemd reads.
pub fn existing(members: &[Member], us: &Identity) -> Result<String> {
    let mut count = BTreeMap::<&str, usize>::new();
    for member in members {
        *count.entry(&member.name).or_default() += 1;
    }
    let name = |member: &Member| {
        if member.peer_urls.contains(&us.peer_url) {
            us.name.clone()
        } else if !is_name(&member.name) || member.name == us.name || count[member.name.as_str()] > 1 {
            format!("member-{:x}", member.id)
        } else {
            member.name.clone()
        }
    };
    let mut entries = Vec::new();
    for member in members {
        for url in &member.peer_urls {
            if !url.starts_with("https://") || peer_of(url).is_none() {
                let cause =
                    format!("joining as {}: member {:x} is listed at {url:?}, which is no address", us.name, member.id);
                let remedy = format!("every member is https://HOST:PORT: correct or remove member {:x}", member.id);
                return Err(Failure::new(Code::ClusterJoin, cause).with_remedy(remedy));
            }
            entries.push(format!("{}={url}", name(member)));
        }
    }
    Ok(entries.join(","))
}

/// Whether a name may stand in `NAME=URL,...` of a file that systemd and a shell read.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// Judges the member list for a node that wants to join.
///
/// # Errors
/// `E-CLUSTER-LEFTOVER` where the data folder does not fit, `E-CLUSTER-JOIN` where the list does not.
pub fn standing(members: &[Member], us: &Identity, data: Data, data_dir: &Path) -> Result<Standing> {
    let refused = |cause: String, remedy: String| Err(Failure::new(Code::ClusterJoin, cause).with_remedy(remedy));
    let Some(member) = members.iter().find(|member| member.peer_urls.contains(&us.peer_url)) else {
        if data != Data::None {
            return Err(leftover(data_dir, &format!("{} is not in the member list (removed?)", us.peer_url)));
        }
        if let Some(other) = members.iter().find(|member| member.name == us.name) {
            let cause =
                format!("joining as {}: the cluster has {:x} by that name at {:?}", us.name, other.id, other.peer_urls);
            return refused(cause, format!("give this node another node_id, or remove member {:x}", other.id));
        }
        return Ok(Standing::Absent);
    };
    match (member.name.is_empty(), data) {
        (_, Data::Foreign) => Err(leftover(data_dir, "etcd.env does not say that it is this member's")),
        (true, _) => Ok(Standing::Promised),
        (false, Data::Ours) => Ok(Standing::Started),
        (false, Data::None) => {
            let cause = format!(
                "joining as {}: the cluster has member {:x} at {}, but its data is gone",
                us.name, member.id, us.peer_url
            );
            refused(
                cause,
                format!(
                    "remove the old member on the leader (etcdctl member remove {:x}), then restart the join unit",
                    member.id
                ),
            )
        }
    }
}

/// The members that an earlier installation of this node has left: by its address or name, as a joiner or a founder.
pub fn stale<'a>(members: &'a [Member], us: &Identity, config: &ClusterConfig) -> Vec<&'a Member> {
    let founder = identity(config, Way::Bootstrap).ok();
    let is_ours = |member: &&Member| {
        [Some(us), founder.as_ref()].into_iter().flatten().any(|known| {
            member.peer_urls.contains(&known.peer_url) || (!member.name.is_empty() && member.name == known.name)
        })
    };
    members.iter().filter(is_ours).collect()
}

/// The member of this node that was added as a learner and has never started.
pub fn unstarted(members: &[Member], us: &Identity) -> Option<u64> {
    let own = members.iter().find(|member| member.peer_urls.contains(&us.peer_url))?;
    (own.is_learner && own.name.is_empty()).then_some(own.id)
}

/// Who keeps the cluster from changing its members: it takes one learner at a time, and wants every voter started and
/// connected. `silent` are those that do not answer.
pub fn in_the_way(members: &[Member], us: &Identity, silent: &[u64]) -> Vec<String> {
    let what = |member: &Member| match member {
        Member { is_learner: true, name, .. } if name.is_empty() => Some("is a learner that has not started"),
        Member { is_learner: true, .. } => Some("is a learner that has no vote yet"),
        Member { name, .. } if name.is_empty() => Some("has not started"),
        Member { id, .. } if silent.contains(id) => Some("does not answer"),
        _ => None,
    };
    let others = members.iter().filter(|member| !member.peer_urls.contains(&us.peer_url));
    others
        .filter_map(|member| {
            let name = if member.name.is_empty() { "a member" } else { member.name.as_str() };
            Some(format!("{name} (id {:x}) at {} {}", member.id, member.peer_urls.join(","), what(member)?))
        })
        .collect()
}

/// Whether an etcd of this release can join: the cluster refuses one that is older than what it speaks as a whole.
///
/// # Errors
/// `E-PREFLIGHT` with both; what is not known fits.
pub fn fits(own: Option<&str>, cluster: Option<&str>) -> Result<()> {
    let minor = |release: &str| {
        let mut parts = release.split('.').map_while(|part| part.parse::<u32>().ok());
        Some((parts.next()?, parts.next()?))
    };
    match (own.and_then(minor), cluster.and_then(minor)) {
        (Some(ours), Some(theirs)) if ours < theirs => {
            let (own, cluster) = (own.unwrap_or_default(), cluster.unwrap_or_default());
            let cause = format!("checking etcd's release: this node has {own}, and the cluster speaks {cluster}");
            let remedy =
                format!("install etcd {}.{} or later on this node: an older one is refused", theirs.0, theirs.1);
            Err(Failure::new(Code::Preflight, cause).with_remedy(remedy))
        }
        _ => Ok(()),
    }
}

/// The failure for a data folder that is not this member's.
pub fn leftover(data_dir: &Path, why: &str) -> Failure {
    Failure::new(
        Code::ClusterLeftover,
        format!("using {}: it has the data of another member: {why}", data_dir.display()),
    )
}

/// What the answer to `member/add` means: `Done` is to look at the list again.
pub fn after_add(answer: Result<(), Refusal>) -> Attempt<()> {
    let refusal = match answer {
        Ok(()) => return Attempt::Done(()),
        Err(refusal) => refusal,
    };
    // "Peer URLs already exists", "member ID already exist": an add before this one came through.
    if refusal.code == Some(FAILED_PRECONDITION) && refusal.message.contains("already exist") {
        return Attempt::Done(());
    }
    again_or_never(&refusal, "adding this node as a learner")
}

/// What the answer to `member/promote` means.
pub fn after_promote(answer: Result<(), Refusal>) -> Attempt<()> {
    match answer {
        Ok(()) => Attempt::Done(()),
        Err(refusal) => again_or_never(&refusal, "promoting this node"),
    }
}

/// What the answer to `member/remove` means. After a change of the list the cluster refuses the next for a while.
pub fn after_remove(answer: Result<(), Refusal>) -> Attempt<()> {
    match answer {
        Ok(()) => Attempt::Done(()),
        Err(refusal) => again_or_never(&refusal, "removing the member"),
    }
}

fn again_or_never(refusal: &Refusal, activity: &str) -> Attempt<()> {
    let failure = refusal.failure(activity);
    if refusal.may_pass() { Attempt::Again(failure) } else { Attempt::Never(failure) }
}

/// The membership, where this node has a vote and there is a leader.
///
/// # Errors
/// `E-CLUSTER-JOIN` with what is not so yet.
pub fn membership(members: &[Member], us: &Identity, status: &Status) -> Result<Membership> {
    let not_yet = |text: &str| Err(Failure::new(Code::ClusterJoin, format!("checking the cluster: {text}")));
    let Some(member) = members.iter().find(|member| member.peer_urls.contains(&us.peer_url)) else {
        return not_yet(&format!("{} is not in the member list", us.peer_url));
    };
    if member.name.is_empty() {
        return not_yet("this node is on the list but has not started");
    }
    if member.is_learner {
        return not_yet("this node is still a learner");
    }
    if status.leader == 0 {
        return not_yet("there is no leader");
    }
    let shown = |member: &Member| if member.name.is_empty() { format!("{:x}", member.id) } else { member.name.clone() };
    let mut names: Vec<_> = members.iter().map(shown).collect();
    names.sort();
    Ok(Membership {
        members: names,
        leader: members.iter().find(|member| member.id == status.leader).map(shown),
        version: Some(status.version.clone()).filter(|version| !version.is_empty()),
    })
}

/// The host, or host:port where several founders share a host.
fn founder_name(peer: &Peer, all: &[Peer]) -> String {
    let alone = all.iter().filter(|other| other.host == peer.host).count() == 1;
    if alone { peer.host.clone() } else { peer.to_string() }
}

#[cfg(test)]
mod tests;
