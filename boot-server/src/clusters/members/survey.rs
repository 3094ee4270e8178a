//! Asks every member of a service how it is, all at once.

use super::{caller::refused, discovery::Endpoint};
use cluster::{
    admin_api::{self, AdminApi},
    client::PeerClient,
    etcd::{self, Etcd},
};
use protocol::{
    Code, Failure,
    cluster_address::{HttpsUrl, Peer},
    failure::Result,
    operations::{MemberRole, MemberStatus, MemberView},
    service::Service,
};
use tokio::task::JoinSet;

/// The members of the service as they are now, by name.
///
/// # Errors
/// `E-CLUSTER-UNREACHABLE`, `E-TLS` where no member tells who is listed.
pub async fn members(caller: &PeerClient, service: Service, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let mut members = match service {
        Service::Etcd => etcd_members(caller, endpoints).await?,
        Service::Chainfire | Service::Flaredb | Service::Iam => admin_members(caller, endpoints).await?,
    };
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
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
    let list = |caller: PeerClient, peer: Peer| async move { Etcd::new(&caller, at(&peer)).members().await };
    let listed = first_answer(caller, endpoints, list).await?;
    let mut asked = JoinSet::new();
    for member in listed {
        let (caller, own) = (caller.clone(), own_endpoint(&member, endpoints).cloned());
        asked.spawn(async move { etcd_member(&caller, member, own).await });
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

async fn etcd_member(caller: &PeerClient, member: etcd::Member, own: Option<Endpoint>) -> MemberView {
    let advertised = || member.client_urls.iter().find_map(|url| url.parse::<HttpsUrl>().ok());
    let client = own.as_ref().and_then(|own| format!("https://{}", own.client).parse().ok()).or_else(advertised);
    let mut view = MemberView {
        id: etcd::hex(member.id),
        name: if member.name.is_empty() { etcd::hex(member.id) } else { member.name.clone() },
        node: own.map(|own| own.node),
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
        (Ok(status), Ok(healthy)) => {
            view.status =
                if healthy && status.errors.is_empty() { MemberStatus::Healthy } else { MemberStatus::Unhealthy };
            view.role = match view.role {
                MemberRole::Learner => MemberRole::Learner,
                _ if status.leader == member.id => MemberRole::Leader,
                _ if status.leader == 0 => MemberRole::Unknown,
                _ => MemberRole::Follower,
            };
            if !status.errors.is_empty() {
                view.failure =
                    Some(Failure::new(Code::ServiceUnhealthy, format!("etcd alarms: {}", status.errors.join("; "))));
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
        Err(failure) if failure.code == Code::ServiceUnhealthy => Ok(false),
        answered => answered.map(|()| true),
    }
}

async fn admin_members(caller: &PeerClient, endpoints: &[Endpoint]) -> Result<Vec<MemberView>> {
    let list = |caller: PeerClient, peer: Peer| async move { AdminApi::new(&caller, at(&peer)).members().await };
    let listed = first_answer(caller, endpoints, list).await?;
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
    let healthy = member.is_healthy();
    let mut view = MemberView {
        id: member.id.clone(),
        name: member.id,
        client: own.as_ref().and_then(|own| format!("https://{}", own.client).parse().ok()),
        node: own.map(|own| own.node),
        address: member.raft_addr,
        status: if healthy { MemberStatus::Healthy } else { MemberStatus::Unhealthy },
        role: match member.role.as_deref() {
            Some("leader") => MemberRole::Leader,
            Some("follower") => MemberRole::Follower,
            Some("learner") => MemberRole::Learner,
            _ => MemberRole::Unknown,
        },
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
            if health.raft == "leader" {
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

/// Asks all of them at once; the first that answers is believed.
async fn first_answer<T, F>(
    caller: &PeerClient,
    endpoints: &[Endpoint],
    ask: impl Fn(PeerClient, Peer) -> F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for endpoint in endpoints {
        asked.spawn(ask(caller.clone(), endpoint.client.clone()));
    }
    let mut last = Failure::new(Code::NotFound, "looking for the members: no node has reported a membership")
        .with_remedy("boot-server get nodes -o wide shows how far the nodes are");
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => last = refused(failure),
            Err(error) => last = Failure::from_error(Code::Internal, "asking a member", &error),
        }
    }
    Err(last)
}
