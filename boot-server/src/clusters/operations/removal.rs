//! Taking a node's members out of the services of its cluster, through members that stay.

use super::{Operations, Teller};
use crate::{
    base::clock::now,
    clusters::members::{
        caller::{caller, refused},
        discovery::{self, Endpoint},
        quorum,
        survey::{self, at, client_of},
    },
    domain::operation,
    state::{Unit, nodes::Node},
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
    names::NodeName,
    operations::{MemberRole, MemberStatus, MemberView},
    service::Service,
};
use std::time::Duration;

/// An election takes a second or two.
const ELECTION: Duration = Duration::from_secs(1);
const ELECTIONS: u32 = 3;

impl Operations {
    /// Removes the node's member from every service of its cluster; this installation has no turn any more.
    ///
    /// # Errors
    /// `E-QUORUM` where a service would lose its quorum, `E-CLUSTER-UNREACHABLE` where nobody could be asked: both
    /// only without `force`. `E-WRONG-STATE` where something else is done to the node.
    pub async fn remove(&self, name: &NodeName, force: bool, actor: &str, teller: &Teller) -> Result<()> {
        let _one_at_a_time = self.alone()?;
        let (node, seen) = self.state.see(name).await?;
        if let Some(operation) = &seen.operation {
            return Err(operation::under_way(name, operation.kind));
        }
        self.remove_members(&node, force, teller).await?;
        let mut unit = self.state.begin().await?;
        let node = unit.node_as(name, &seen).await?;
        unseat(&mut unit, &node, actor).await?;
        unit.forget_memberships(name).await?;
        unit.commit().await?;
        teller.tell(format!("node {name} is no member any more; its installation is given no turn to join again"));
        Ok(())
    }

    /// Takes the node's members out of every service; the server's own state is not touched.
    pub(super) async fn remove_members(&self, node: &Node, force: bool, teller: &Teller) -> Result<()> {
        let Ok(config) = node.cluster() else {
            teller.tell("its spec names no cluster: there is nothing to remove it from");
            return Ok(());
        };
        let caller = caller(&self.ca, now())?;
        let (nodes, memberships) = (self.state.nodes().await?, self.state.memberships().await?);
        let services = discovery::endpoints(&config.cluster_name, &nodes, &memberships);
        for (service, endpoints) in services {
            let target = discovery::endpoint(&node.name, config, service);
            match remove_from(&caller, service, &endpoints, &target, force).await {
                Ok(true) => teller.tell(format!("removed from {service}")),
                Ok(false) => teller.tell(format!("no member of {service}")),
                Err(failure) if force => {
                    teller.tell(format!("not removed from {service}, as --force allows: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// The arbiter gives this installation no turn any more.
pub(super) async fn unseat(unit: &mut Unit, node: &Node, actor: &str) -> Result<()> {
    let Ok(config) = node.cluster() else { return Ok(()) };
    let cluster = &config.cluster_name;
    for (service, memory) in unit.services_of(cluster).await? {
        if let Some(seat) = memory.seats.get(&node.name) {
            unit.save_cluster(cluster, service, &memory.removed(&node.name, seat.generation)).await?;
        }
    }
    unit.note(actor, Some(&node.name), format!("removed from cluster {cluster}")).await
}

/// Whether the node was a member of the service.
async fn remove_from(
    caller: &PeerClient,
    service: Service,
    endpoints: &[Endpoint],
    target: &Endpoint,
    force: bool,
) -> Result<bool> {
    let removing = format!("removing {} from {service}", target.node);
    let members = settled(caller, service, endpoints).await.map_err(|failure| failure.context(&removing))?;
    let own: Vec<&MemberView> = members.iter().filter(|member| is_target(member, target)).collect();
    let Some(first) = own.first() else { return Ok(false) };
    if !force && first.role != MemberRole::Learner && !quorum::keeps_quorum_without(&members, &first.id) {
        let standing = quorum::Standing::of(&members);
        let cause = format!(
            "{removing}: {} of {} voters are healthy, and without it too few would be left",
            standing.healthy, standing.voters
        );
        return Err(Failure::new(Code::Quorum, cause));
    }
    let via = best_other(&members, target).ok_or_else(|| {
        Failure::new(Code::ClusterUnreachable, format!("{removing}: no other member answers"))
            .with_remedy("bring another member back first; see the guide to disaster recovery where they are lost")
    })?;
    for member in &own {
        remove_one(caller, service, &via, member, target).await.map_err(|failure| failure.context(&removing))?;
    }
    let left = listed(caller, service, &via, target).await?;
    if left {
        return Err(Failure::new(Code::ClusterUnreachable, format!("{removing}: it is still listed")));
    }
    Ok(true)
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

/// The member of another node that is best asked: healthy, the leader first.
fn best_other(members: &[MemberView], target: &Endpoint) -> Option<Peer> {
    let mut others: Vec<&MemberView> = members
        .iter()
        .filter(|member| {
            !is_target(member, target) && member.role != MemberRole::Learner && client_of(member).is_some()
        })
        .filter(|member| !matches!(member.status, MemberStatus::Unreachable | MemberStatus::Unstarted))
        .collect();
    others.sort_by_key(|member| (member.status != MemberStatus::Healthy, member.role != MemberRole::Leader));
    others.first().and_then(|member| client_of(member))
}

fn is_target(member: &MemberView, target: &Endpoint) -> bool {
    member.node.as_ref() == Some(&target.node) || target.is(&member.name, &member.address)
}

async fn remove_one(
    caller: &PeerClient,
    service: Service,
    via: &Peer,
    member: &MemberView,
    target: &Endpoint,
) -> Result<()> {
    match service {
        Service::Etcd => {
            let answer = Etcd::new(caller, at(via)).remove(etcd::parse_id(&member.id)?).await?;
            answer.map_err(|refusal| refused(refusal.failure(&format!("asking {via}"))))
        }
        Service::Chainfire | Service::Flaredb | Service::Iam => {
            let answer = AdminApi::new(caller, at(via)).remove(&target.names.node_id).await?;
            let gone = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
            if gone { Ok(()) } else { Err(refused(answer.failure())) }
        }
    }
}

async fn listed(caller: &PeerClient, service: Service, via: &Peer, target: &Endpoint) -> Result<bool> {
    Ok(match service {
        Service::Etcd => {
            let members = Etcd::new(caller, at(via)).members().await.map_err(refused)?;
            members.iter().any(|member| survey::is_of(member, target))
        }
        Service::Chainfire | Service::Flaredb | Service::Iam => {
            let members = AdminApi::new(caller, at(via)).members().await.map_err(refused)?;
            members.iter().any(|member| member.id == target.names.node_id)
        }
    })
}
