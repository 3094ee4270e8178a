//! Taking a node's members out of the services of its cluster, through members that stay.

use super::Teller;
use crate::{
    arbiter::cluster_of,
    cluster::{
        admin_api::AdminApi,
        caller::Caller,
        discovery::{self, Endpoint},
        etcd::{self, Etcd},
        quorum,
        survey::{self, client_of},
    },
    server::{Server, now},
    state::{self, Write, audit, clusters, nodes::Node},
};
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

impl Server {
    /// Removes the node's member from every service of its cluster; this installation has no turn any more.
    ///
    /// # Errors
    /// `E-QUORUM` where a service would lose its quorum, `E-CLUSTER-UNREACHABLE` where nobody could be asked: both
    /// only without `force`.
    pub async fn remove_node(&self, name: &NodeName, force: bool, actor: &str, teller: &Teller) -> Result<()> {
        let _one_at_a_time = self.operating()?;
        let node = self.known_node(name).await?;
        if let Some(operation) = self.state.operation(name).await? {
            return Err(super::under_way(name, operation.kind));
        }
        self.remove_members(&node, force, actor, teller).await?;
        let mut write = self.state.write().await?;
        clusters::forget_memberships(&mut write, name).await?;
        state::commit(write).await?;
        teller.tell(format!("node {name} is no member any more; its installation is given no turn to join again"));
        Ok(())
    }

    pub(super) async fn known_node(&self, name: &NodeName) -> Result<Node> {
        let node = self.state.node(name.as_str()).await?;
        node.ok_or_else(|| Failure::new(Code::NotFound, format!("looking for node {name}: there is none")))
    }

    /// One operation at a time: two removals at once could cost a quorum that each alone would keep.
    pub(super) fn operating(&self) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        self.operating.try_lock().map_err(|_| {
            Failure::new(Code::WrongState, "operating on a node: another operation runs")
                .with_remedy("wait until it has ended, then run the verb again")
        })
    }

    pub(super) async fn remove_members(&self, node: &Node, force: bool, actor: &str, teller: &Teller) -> Result<()> {
        let Ok(config) = cluster_of(node) else {
            teller.tell("its spec names no cluster: there is nothing to remove it from");
            return Ok(());
        };
        let caller = Caller::new(&self.ca, now())?;
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
        let mut write = self.state.write().await?;
        self.unseat(&mut write, node).await?;
        let text = format!("removed from cluster {}", config.cluster_name);
        audit::note(&mut write, now(), actor, Some(&node.name), text).await?;
        state::commit(write).await
    }

    /// The arbiter gives this installation no turn any more.
    async fn unseat(&self, write: &mut Write, node: &Node) -> Result<()> {
        let Ok(config) = cluster_of(node) else { return Ok(()) };
        for (cluster, service, _) in self.state.clusters().await? {
            if cluster == config.cluster_name {
                let memory = clusters::load(write, &cluster, service).await?;
                if let Some(seat) = memory.seats.get(&node.name) {
                    let next = memory.removed(&node.name, seat.generation);
                    clusters::save(write, &cluster, service, &next).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the node was a member of the service.
async fn remove_from(
    caller: &Caller,
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
async fn settled(caller: &Caller, service: Service, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
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
    caller: &Caller,
    service: Service,
    via: &Peer,
    member: &MemberView,
    target: &Endpoint,
) -> Result<()> {
    match service {
        Service::Etcd => Etcd { caller, peer: via }.remove(etcd::parse_id(&member.id)?).await,
        Service::Chainfire | Service::Flaredb | Service::Iam => {
            AdminApi { caller, peer: via }.remove(&target.node_id).await
        }
    }
}

async fn listed(caller: &Caller, service: Service, via: &Peer, target: &Endpoint) -> Result<bool> {
    Ok(match service {
        Service::Etcd => {
            let members = Etcd { caller, peer: via }.members().await?;
            members.iter().any(|member| survey::is_of(member, target))
        }
        Service::Chainfire | Service::Flaredb | Service::Iam => {
            let members = AdminApi { caller, peer: via }.members().await?;
            members.iter().any(|member| member.id == target.node_id)
        }
    })
}
