//! One member taken out of one service, through a member that stays.

use crate::clusters::members::{
    caller::refused,
    discovery::Endpoint,
    quorum,
    survey::{self, at, client_of},
};
use cluster::{
    admin_api::AdminApi,
    client::PeerClient,
    etcd::{self, Etcd},
};
use hyper::StatusCode;
use protocol::{
    Code, Failure,
    cluster_address::Peer,
    failure::Result,
    operations::{MemberRole, MemberStatus, MemberView},
    service::Service,
};
use std::time::Duration;

/// An election takes a second or two.
const ELECTION: Duration = Duration::from_secs(1);
const ELECTIONS: u32 = 3;
/// etcd refuses to change its members until all of them have been connected for five seconds.
const CALM: Duration = Duration::from_secs(1);
const CALMS: u32 = 10;

/// Who is to go.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A node of this server, by its names and addresses.
    Node(&'a Endpoint),
    /// Whoever is listed by this id or name.
    Member(&'a str),
}

impl Target<'_> {
    /// Whether the member is meant.
    pub fn is(&self, member: &MemberView) -> bool {
        match self {
            Self::Node(node) => {
                (node.node.is_some() && member.node == node.node) || node.is(&member.name, &member.address)
            }
            Self::Member(text) => member.id == *text || member.name == *text,
        }
    }

    fn is_endpoint(&self, endpoint: &Endpoint) -> bool {
        matches!(self, Self::Node(node) if node.node == endpoint.node)
    }

    fn label(&self) -> &str {
        match self {
            Self::Node(node) => node.label(),
            Self::Member(text) => text,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was a member, and is none any more.
    Removed,
    /// It was none.
    NotListed,
}

/// Takes it out.
///
/// # Errors
/// `E-QUORUM` where the service would lose its quorum (not with `force`) or goes on refusing, with who is in the way;
/// `E-CLUSTER-UNREACHABLE` where nobody can be asked; `E-CLUSTER-SPLIT`.
pub async fn remove_from(
    caller: &PeerClient,
    service: Service,
    endpoints: &[Endpoint],
    target: Target<'_>,
    force: bool,
) -> Result<Outcome> {
    let removing = format!("removing {} from {service}", target.label());
    let members = settled(caller, service, endpoints).await.map_err(|failure| failure.context(&removing))?;
    let own: Vec<&MemberView> = members.iter().filter(|member| target.is(member)).collect();
    let Some(first) = own.first() else { return Ok(Outcome::NotListed) };
    if !force && first.role != MemberRole::Learner && !quorum::keeps_quorum_without(&members, &first.id) {
        let standing = quorum::Standing::of(&members);
        let cause = format!(
            "{removing}: {} of {} voters are healthy, and without it too few would be left",
            standing.healthy, standing.voters
        );
        return Err(Failure::new(Code::Quorum, cause));
    }
    let others = others(&members, target);
    if others.is_empty() {
        return Err(Failure::new(Code::ClusterUnreachable, format!("{removing}: no other member answers"))
            .with_remedy("bring another member back first; see the guide to disaster recovery where they are lost"));
    }
    for member in &own {
        remove_by(caller, service, &others, &member.id).await.map_err(|answer| match answer {
            Answer::Refused(said) => in_the_way(&removing, &said, &members, target),
            Answer::Elsewhere(failure) | Answer::Failed(failure) => failure.context(&removing),
        })?;
    }
    // Who was removed may speak for a moment of what it was a member of.
    let staying: Vec<Endpoint> = endpoints.iter().filter(|endpoint| !target.is_endpoint(endpoint)).cloned().collect();
    let left = match staying.is_empty() {
        true => Vec::new(),
        false => survey::members(caller, service, &staying).await.map_err(|failure| failure.context(&removing))?,
    };
    if left.iter().any(|member| own.iter().any(|gone| gone.id == member.id)) {
        return Err(Failure::new(Code::ClusterUnreachable, format!("{removing}: it is still listed")));
    }
    Ok(Outcome::Removed)
}

/// The members; where there is no quorum, once more after a moment: they may be electing a leader.
async fn settled(caller: &PeerClient, service: Service, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let mut members = survey::members(caller, service, endpoints).await?;
    for _ in 0..ELECTIONS {
        if quorum::Standing::of(&members).has_quorum() {
            break;
        }
        tokio::time::sleep(ELECTION).await;
        members = survey::members(caller, service, endpoints).await?;
    }
    Ok(members)
}

/// The members of others that can be asked, the best first: healthy, the leader.
fn others(members: &[MemberView], target: Target<'_>) -> Vec<Peer> {
    let mut others: Vec<&MemberView> = members
        .iter()
        .filter(|member| !target.is(member) && member.role != MemberRole::Learner && client_of(member).is_some())
        .filter(|member| !matches!(member.status, MemberStatus::Unreachable | MemberStatus::Unstarted))
        .collect();
    others.sort_by_key(|member| (member.status != MemberStatus::Healthy, member.role != MemberRole::Leader));
    others.into_iter().filter_map(client_of).collect()
}

/// Asks the best, and the others where it says that it does not lead.
async fn remove_by(caller: &PeerClient, service: Service, others: &[Peer], id: &str) -> Result<(), Answer> {
    let mut last = None;
    for via in others {
        match remove_one(caller, service, via, id).await {
            Err(Answer::Elsewhere(failure)) => last = Some(Answer::Elsewhere(failure)),
            answered => return answered,
        }
    }
    last.map_or(Ok(()), Err)
}

/// Why a member is still there.
enum Answer {
    /// The service goes on refusing; what it says.
    Refused(String),
    /// Another member leads.
    Elsewhere(Failure),
    /// Anything else.
    Failed(Failure),
}

/// A refusal that may pass is asked again for some seconds.
async fn remove_one(caller: &PeerClient, service: Service, via: &Peer, id: &str) -> Result<(), Answer> {
    match service {
        Service::Etcd => {
            let etcd = Etcd::new(caller, at(via));
            let number = etcd::parse_id(id).map_err(Answer::Failed)?;
            for asked in 1.. {
                match etcd.remove(number).await.map_err(Answer::Failed)? {
                    Ok(()) => return Ok(()),
                    Err(refusal) if !refusal.may_pass() => {
                        return Err(Answer::Failed(refused(refusal.failure(&format!("asking {via}")))));
                    }
                    Err(refusal) if asked >= CALMS => return Err(Answer::Refused(refusal.message)),
                    Err(_) => tokio::time::sleep(CALM).await,
                }
            }
            Ok(())
        }
        Service::Chainfire | Service::Flaredb | Service::Iam => {
            let answer = AdminApi::new(caller, at(via)).remove(id).await.map_err(Answer::Failed)?;
            let gone = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
            match gone && !answer.denied {
                true => Ok(()),
                false if answer.leads_elsewhere() => Err(Answer::Elsewhere(refused(answer.failure()))),
                false => Err(Answer::Failed(refused(answer.failure()))),
            }
        }
    }
}

/// Who keeps the service from changing its members.
fn in_the_way(removing: &str, said: &str, members: &[MemberView], target: Target<'_>) -> Failure {
    let unwell: Vec<String> = members
        .iter()
        .filter(|member| !target.is(member) && member.status != MemberStatus::Healthy)
        .map(|member| format!("{} ({}, id {}, {})", member.name, member.status, member.id, member.address))
        .collect();
    let who =
        if unwell.is_empty() { "a member that was not connected long enough".to_owned() } else { unwell.join(", ") };
    let cause = format!("{removing}: {said}, asked for {} s: in the way is {who}", (CALM * CALMS).as_secs());
    Failure::new(Code::Quorum, cause).with_remedy(
        "bring back what is named, or remove that first (boot-server cluster remove NODE or ID), then run this again",
    )
}
