//! Asks every member of a service how it is, all at once.

use super::{
    agreement::{self, Agreement, Told},
    caller::refused,
    discovery::{Endpoint, Source},
};
use cluster::{
    admin_api::{self, AdminApi, Role},
    client::PeerClient,
    etcd::{self, Alarm, Etcd},
};
use protocol::{
    Code, Failure,
    cluster_address::{HttpsUrl, Peer},
    failure::Result,
    names::NodeName,
    operations::{MemberRole, MemberStatus, MemberView},
    service::Service,
};
use std::time::Duration;
use tokio::task::JoinSet;

/// A key that nobody writes.
const PROBE: &str = "centra-probe";
/// A change of the list takes a moment to reach every member.
const CHANGE: Duration = Duration::from_secs(1);
const CHANGES: u32 = 3;

/// The members of the service as they are now, by name.
///
/// # Errors
/// `E-CLUSTER-UNREACHABLE`, `E-TLS` where no member tells who is listed; `E-CLUSTER-SPLIT` where they are not one cluster.
pub async fn members(caller: &PeerClient, service: Service, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let mut members = match service {
        Service::Etcd => etcd_members(caller, endpoints).await?,
        Service::Chainfire | Service::Flaredb | Service::Iam => admin_members(caller, service, endpoints).await?,
    };
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// Nodes that reported a membership and are not among the members.
pub fn missing(members: &[MemberView], endpoints: &[Endpoint]) -> Vec<NodeName> {
    let listed = |name: &NodeName| members.iter().any(|member| member.node.as_ref() == Some(name));
    let reported = endpoints.iter().filter(|endpoint| endpoint.source == Source::Reported);
    reported.filter_map(|endpoint| endpoint.node.clone()).filter(|name| !listed(name)).collect()
}

/// Where a member answers clients.
pub fn client_of(member: &MemberView) -> Option<Peer> {
    member.client.as_ref().map(|url| url.peer().clone())
}

/// The URL of a member's client port.
pub fn at(peer: &Peer) -> String {
    format!("https://{peer}")
}

async fn etcd_members(caller: &PeerClient, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let listed = agreed(caller, Service::Etcd, endpoints, |caller, endpoint| async move {
        let etcd = Etcd::new(&caller, at(&endpoint.client));
        let (listing, status) = tokio::join!(etcd.listing(), etcd.status());
        let listing = listing?;
        Ok(Told {
            by: endpoint.label().to_owned(),
            cluster: etcd::hex(listing.header.cluster_id),
            led: status.is_ok_and(|status| status.leader != 0),
            listed: listing.members.iter().map(shown).collect(),
            list: listing,
        })
    })
    .await?;
    let mut asked = JoinSet::new();
    for member in listed.members {
        let (caller, own) = (caller.clone(), own_endpoint(&member, endpoints).cloned());
        let cluster = listed.header.cluster_id;
        asked.spawn(async move { etcd_member(&caller, cluster, member, own).await });
    }
    Ok(asked.join_all().await)
}

fn own_endpoint<'a>(member: &etcd::Member, endpoints: &'a [Endpoint]) -> Option<&'a Endpoint> {
    endpoints.iter().find(|endpoint| is_of(member, endpoint))
}

/// Whether the listed member is this node.
pub fn is_of(member: &etcd::Member, endpoint: &Endpoint) -> bool {
    endpoint.is(&member.name, "") || member.peer_urls.iter().any(|url| endpoint.is("", url))
}

/// For people: its name, its id where it has not started.
fn shown(member: &etcd::Member) -> String {
    if member.name.is_empty() { etcd::hex(member.id) } else { member.name.clone() }
}

async fn etcd_member(caller: &PeerClient, cluster: u64, member: etcd::Member, own: Option<Endpoint>) -> MemberView {
    let advertised = || member.client_urls.iter().find_map(|url| url.parse::<HttpsUrl>().ok());
    let client = own.as_ref().and_then(|own| format!("https://{}", own.client).parse().ok()).or_else(advertised);
    let mut view = MemberView {
        id: etcd::hex(member.id),
        name: shown(&member),
        node: own.and_then(|own| own.node),
        address: member.peer_urls.first().cloned().unwrap_or_default(),
        client,
        status: MemberStatus::Unreachable,
        role: if member.is_learner { MemberRole::Learner } else { MemberRole::Unknown },
        version: None,
        failure: None,
    };
    let Some(peer) = client_of(&view) else {
        view.status = MemberStatus::Unstarted;
        return view;
    };
    let etcd = Etcd::new(caller, at(&peer));
    match tokio::join!(etcd.status(), healthy(&etcd)) {
        (Ok(status), _) if status.header.cluster_id != cluster => {
            let (own, other) = (etcd::hex(cluster), etcd::hex(status.header.cluster_id));
            view.status = MemberStatus::Unhealthy;
            let text = format!("it answers for cluster {other}, and the others are cluster {own}");
            view.failure = Some(Failure::new(Code::ClusterSplit, text));
        }
        (Ok(status), Ok(healthy)) => {
            let alarms = status.alarms();
            view.status = match alarms.first() {
                None if healthy => MemberStatus::Healthy,
                // A read of the whole cluster is answered by its quorum.
                Some(Alarm::NoSpace(_)) if status.leader != 0 && etcd.get(PROBE).await.is_ok() => MemberStatus::Alarmed,
                _ => MemberStatus::Unhealthy,
            };
            view.role = match view.role {
                MemberRole::Learner => MemberRole::Learner,
                _ if status.leader == member.id => MemberRole::Leader,
                _ if status.leader == 0 => MemberRole::Unknown,
                _ => MemberRole::Follower,
            };
            if let Some(alarm) = alarms.first() {
                view.failure = Some(alarm.failure());
            } else if status.leader == 0 {
                view.failure = Some(Failure::new(Code::ServiceUnhealthy, "this member knows no leader"));
            }
            view.version = Some(status.version).filter(|version| !version.is_empty());
        }
        (Err(failure), _) | (_, Err(failure)) => view.failure = Some(refused(failure)),
    }
    view
}

/// A member that says that it is unwell answers all the same.
async fn healthy(etcd: &Etcd<'_>) -> Result<bool> {
    match etcd.health().await {
        Err(failure) if matches!(failure.code, Code::ServiceUnhealthy | Code::NoSpace) => Ok(false),
        answered => answered.map(|()| true),
    }
}

async fn admin_members(caller: &PeerClient, service: Service, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let listed = agreed(caller, service, endpoints, |caller, endpoint| async move {
        let api = AdminApi::new(&caller, at(&endpoint.client));
        let list = api.members().await?;
        Ok(Told {
            by: endpoint.label().to_owned(),
            cluster: String::new(),
            led: api.has_leader().await.unwrap_or_default(),
            listed: list.iter().map(|member| member.id.clone()).collect(),
            list,
        })
    })
    .await?;
    let mut asked = JoinSet::new();
    for member in listed {
        let of = |endpoint: &&Endpoint| endpoint.is(&member.id, &member.raft_addr);
        let (caller, own) = (caller.clone(), endpoints.iter().find(of).cloned());
        asked.spawn(async move { admin_member(&caller, member, own).await });
    }
    Ok(asked.join_all().await)
}

async fn admin_member(caller: &PeerClient, member: admin_api::Member, own: Option<Endpoint>) -> MemberView {
    let unwell = |text: String| Some(Failure::new(Code::ServiceUnhealthy, text));
    let (healthy, role) = (member.is_healthy(), role_of(&member));
    let mut view = MemberView {
        id: member.id.clone(),
        name: member.id,
        client: own.as_ref().and_then(|own| format!("https://{}", own.client).parse().ok()),
        node: own.and_then(|own| own.node),
        address: member.raft_addr,
        status: if healthy { MemberStatus::Healthy } else { MemberStatus::Unhealthy },
        role,
        version: None,
        failure: None,
    };
    if view.status == MemberStatus::Unhealthy {
        view.failure = unwell(format!("the cluster lists it as {:?}", member.status.unwrap_or_default()));
    }
    // A member that is no node of this server is known by the list alone.
    let Some(peer) = client_of(&view) else { return view };
    match AdminApi::new(caller, at(&peer)).health().await {
        Ok(health) => {
            if !health.is_healthy() {
                view.status = MemberStatus::Unhealthy;
                view.failure = unwell(format!("it says of itself that it is {:?}", health.status));
            }
            // Whoever thinks that it leads counts as one: that is how two leaders are found.
            if health.leads() {
                view.role = MemberRole::Leader;
            } else if view.role == MemberRole::Leader {
                view.role = MemberRole::Follower;
            }
            view.version = health.version;
        }
        Err(failure) => {
            view.status = MemberStatus::Unreachable;
            view.failure = Some(refused(failure));
            if view.role == MemberRole::Leader {
                view.role = MemberRole::Unknown;
            }
        }
    }
    view
}

fn role_of(member: &admin_api::Member) -> MemberRole {
    match member.role() {
        Role::Leader => MemberRole::Leader,
        Role::Follower => MemberRole::Follower,
        Role::Learner => MemberRole::Learner,
        Role::Unknown => MemberRole::Unknown,
    }
}

/// The list that all of them agree on. Where they differ it is asked again: a change may be on its way.
async fn agreed<L, F>(
    caller: &PeerClient,
    service: Service,
    endpoints: &[Endpoint],
    ask: impl Fn(PeerClient, Endpoint) -> F,
) -> Result<L>
where
    L: Send + 'static,
    F: Future<Output = Result<Told<L>>> + Send + 'static,
{
    for asked in 1.. {
        match agreement::of(all_answers(caller, endpoints, &ask).await?) {
            Some(Agreement::One(list)) => return Ok(list),
            Some(Agreement::Split(sides)) => return Err(agreement::split(service, &sides)),
            Some(Agreement::Differing(sides)) if asked >= CHANGES => return Err(agreement::split(service, &sides)),
            Some(Agreement::Differing(_)) => tokio::time::sleep(CHANGE).await,
            None => break,
        }
    }
    Err(Failure::new(Code::NotFound, "looking for the members: no node has reported a membership")
        .with_remedy("boot-server get nodes -o wide shows how far the nodes are"))
}

/// Asks all of them at once.
///
/// # Errors
/// The last one's, where nobody answers.
async fn all_answers<T, F>(
    caller: &PeerClient,
    endpoints: &[Endpoint],
    ask: impl Fn(PeerClient, Endpoint) -> F,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for endpoint in endpoints {
        asked.spawn(ask(caller.clone(), endpoint.clone()));
    }
    let (mut told, mut last) = (Vec::new(), None);
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(answer)) => told.push(answer),
            Ok(Err(failure)) => last = Some(refused(failure)),
            Err(error) => last = Some(Failure::from_error(Code::Internal, "asking a member", &error)),
        }
    }
    match last {
        Some(failure) if told.is_empty() => Err(failure),
        _ => Ok(told),
    }
}
