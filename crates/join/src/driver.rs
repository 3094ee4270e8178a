//! What every service has in common, seen from a node that wants to be a member.

use super::capacity::Capacity;
use cluster::{
    address::{self, Names},
    client::PeerClient,
    quorum,
};
use host::retry::{Attempt, Backoff, Limit};
use protocol::{
    Code, Failure,
    cluster::ClusterConfig,
    cluster_address::{HttpsUrl, Peer, RaftAddress},
    failure::Result,
    report::JoinOutcome,
    service::Service,
};
use serde::Serialize;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

/// What a join works with.
pub struct Node {
    /// What is joined.
    pub service: Service,
    /// Who this node is and whom it joins.
    pub config: ClusterConfig,
    /// The way in.
    pub way: Way,
    /// A marker says that it is in.
    pub entered: bool,
    /// Members that may take this node in, the best first.
    pub members: Vec<HttpsUrl>,
    /// An earlier installation of this node may still be listed, and is removed first; the generation of this one.
    pub replaces: Option<u64>,
    /// A founder begins with this file; gone once its data is made of it.
    pub snapshot: Option<PathBuf>,
    /// What a founder makes the cluster's ids of, in the place of its name.
    pub token: Option<String>,
    /// Where the node's certificates are.
    pub tls: super::credentials::Paths,
    /// Calls with them.
    pub client: PeerClient,
    /// Calls to the service on this node.
    pub local: PeerClient,
    /// The knobs.
    pub settings: Settings,
}

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ca.crt`, the certificates, iam-admin.json.
    pub secrets_dir: PathBuf,
    /// Markers, etcd.env, reports that were not delivered.
    pub state_dir: PathBuf,
    /// The service's data.
    pub data_dir: PathBuf,
    /// The service's client port on this node.
    pub port: u16,
    /// Starts the service where the joiner does.
    pub start_command: Vec<String>,
    /// How often the cluster is asked.
    pub attempts: u32,
    /// The first pause between attempts.
    pub retry_base: Duration,
    /// How long the service on this node may take to become healthy.
    pub health_timeout: Duration,
    /// Least free bytes below the folders.
    pub least_free: u64,
    /// Least memory and processors.
    pub least: Capacity,
    /// Names the name servers.
    pub resolv_conf: PathBuf,
    /// What listens on the service's ports, once it runs.
    pub process: String,
    /// Prints the end of what the service has said.
    pub journal_command: Vec<String>,
}

/// The way into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a founder: there is nobody to ask.
    Bootstrap,
    /// By a member that takes joins.
    Join,
}

/// The cluster as this node sees it, itself in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Names of the members.
    pub members: Vec<String>,
    /// Name of the leader, where the service tells.
    pub leader: Option<String>,
    /// Release of the service, where it tells.
    pub version: Option<String>,
}

/// A member of a cluster, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// What the cluster removes it by.
    pub id: String,
    /// Its name; empty where it has not started yet.
    pub name: String,
    /// Where it takes Raft traffic.
    pub raft_addr: String,
    /// `healthy`, `started` ... as the service has it.
    pub status: Option<String>,
    /// `leader`, `follower`, `learner`.
    pub role: Option<String>,
    /// Where it takes its clients.
    pub client_urls: Vec<String>,
}

/// What a node that has a marker holds of its membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// What the marker speaks of is there.
    Kept,
    /// It is not: what was found instead.
    Lost(String),
    /// Nothing on this node can tell.
    Unknown,
}

/// What a driver's call returns: drivers are chosen at run time.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// A service. Each call but `prepare` may be repeated at any time; `prepare` after a crash carries on.
pub trait Driver {
    /// Whether what a marker speaks of is still there.
    fn holding(&self) -> Call<'_, Holding>;

    /// One look at the service on this node.
    fn local_health(&self) -> Call<'_, ()>;

    /// What must happen before the service can become healthy: nothing, where it starts by itself.
    fn prepare(&self) -> Call<'_, ()>;

    /// Its service does not become healthy: what `prepare` began is taken back where it stands in the way of others.
    fn withdraw(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// Has the cluster take this healthy node in; a founder is in.
    fn join(&self) -> Call<'_, JoinOutcome>;

    /// One look at the cluster: did the way in lead to a full membership?
    fn verify(&self) -> Call<'_, Membership>;

    /// The node is a full member: what its service starts with from now on must not found anything.
    fn settle(&self) -> Result<()>;

    /// One look for the health check: is this node listed and healthy, is there a leader and a quorum?
    fn check(&self) -> Call<'_, Membership>;

    /// Everybody on the member list, by this node or another.
    fn members(&self) -> Call<'_, Vec<Member>>;

    /// Has another member remove this node; `false` where it is not listed.
    fn leave(&self) -> Call<'_, bool>;
}

impl Node {
    /// `https://ADDRESS:PORT` of the service on this node, by the name that its certificate carries.
    pub fn local_url(&self) -> String {
        format!("https://{}", host_port(self.config.address(), self.settings.port))
    }

    /// [`at_one_of`] the members that may take this node in.
    pub async fn at_a_member<T>(&self, what: &str, attempt: impl AsyncFn(&HttpsUrl) -> Attempt<T>) -> Attempt<T> {
        at_one_of(&self.members, what, attempt).await
    }

    /// The port that the members of the service take their clients on.
    pub fn client_port(&self) -> u16 {
        address::client_port(&self.config, self.service, self.settings.port)
    }

    /// What the service on this node listens on.
    pub fn listens_on(&self) -> Vec<SocketAddr> {
        let client = SocketAddr::new(self.config.address(), self.settings.port);
        match self.service {
            Service::Iam => vec![client],
            Service::Etcd | Service::Chainfire | Service::Flaredb => vec![client, raft_addr(self).0],
        }
    }

    /// Whether a URL is this node's own.
    pub fn is_own(&self, url: &HttpsUrl) -> bool {
        let Peer { host, port } = url.peer();
        let named = host.parse() == Ok(self.config.address()) || Names::of(&self.config).is_host(host);
        named && *port == self.settings.port
    }
}

/// Tries members in order, until one has done it or says that it will never be done. The failure has what each of them
/// said.
pub async fn at_one_of<T>(
    members: &[HttpsUrl],
    what: &str,
    attempt: impl AsyncFn(&HttpsUrl) -> Attempt<T>,
) -> Attempt<T> {
    let (mut failures, mut again) = (Vec::new(), false);
    for member in members {
        match attempt(member).await {
            Attempt::Again(failure) => {
                again = true;
                failures.push(failure);
            }
            // Another member may have another certificate.
            Attempt::Never(failure) if failure.code == Code::Tls => failures.push(failure),
            over => return over,
        }
    }
    let causes: Vec<_> = failures.iter().map(|failure| failure.cause.as_str()).collect();
    let cause = causes.join("; ");
    match failures.into_iter().next() {
        Some(first) if again => Attempt::Again(Failure { cause, ..first }),
        Some(first) => Attempt::Never(Failure { cause, ..first }),
        None => {
            let cause = format!("{what}: no other member is known");
            Attempt::Never(
                Failure::new(Code::ClusterUnreachable, cause)
                    .with_remedy("correct leader_url: it names this node itself; a member that takes joins is meant"),
            )
        }
    }
}

impl Settings {
    /// For requests to the cluster.
    pub fn attempts(&self) -> Backoff {
        Backoff { base: self.retry_base, cap: Duration::from_secs(16), limit: Limit::Attempts(self.attempts) }
    }

    /// For waiting until the service on this node is so far.
    pub fn waiting(&self) -> Backoff {
        Backoff { base: self.retry_base, cap: Duration::from_secs(5), limit: Limit::Within(self.health_timeout) }
    }
}

/// Where the other members reach this node's service.
pub fn raft_addr(node: &Node) -> RaftAddress {
    address::raft_address(&node.config, node.service, node.settings.port)
}

/// The way by the configuration alone.
pub fn decide(service: Service, config: &ClusterConfig) -> Way {
    // IAM has no members, so there is nobody to be taken in by.
    if config.bootstrap || service == Service::Iam { Way::Bootstrap } else { Way::Join }
}

/// Whether the cluster can let a member with a vote go: `others` voters stay, so many of them `healthy`.
///
/// # Errors
/// `E-CLUSTER-JOIN` where nobody would be left, or no majority.
pub fn may_go(others: usize, healthy: usize) -> Result<()> {
    let refused = |cause: String, remedy: &str| Err(Failure::new(Code::ClusterJoin, cause).with_remedy(remedy));
    if others == 0 {
        let remedy = "stop the service and wipe the node instead; nothing of the cluster is left then";
        return refused("leaving the cluster: this node is its last member".to_owned(), remedy);
    }
    let quorum = quorum::needed(others);
    if !quorum::holds(others, healthy) {
        let cause = format!(
            "leaving the cluster: {others} members would stay, {healthy} of them healthy, and {quorum} are needed"
        );
        return refused(cause, "mend or replace the members that are not healthy first");
    }
    Ok(())
}

/// `10.0.0.1:2379`, `[fd00::1]:2379`
pub fn host_port(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// The data folder on an installed system.
pub fn default_data_dir(service: Service) -> PathBuf {
    PathBuf::from("/var/lib").join(service.name())
}

/// What starts the service on an installed system, where the joiner does: not waited for, since a founder is not
/// ready before the other founders are there.
pub fn default_start_command(service: Service) -> Vec<String> {
    match service {
        Service::Etcd => ["systemctl", "start", "--no-block", "etcd.service"].map(str::to_owned).to_vec(),
        Service::Chainfire | Service::Flaredb | Service::Iam => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neither_the_last_member_nor_one_that_the_quorum_needs_may_go() {
        assert!(may_go(0, 0).unwrap_err().cause.contains("last member"));
        assert!(may_go(2, 1).unwrap_err().cause.contains("2 are needed"));
        assert_eq!((may_go(1, 1), may_go(2, 2), may_go(4, 3)), (Ok(()), Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn members_are_asked_in_order_and_all_that_they_said_is_the_failure() {
        let urls: Vec<HttpsUrl> = ["a", "b", "c"].map(|host| format!("https://{host}:1").parse().unwrap()).to_vec();
        let failure = |url: &HttpsUrl, code| Failure::new(code, format!("asking {url}"));
        let second = at_one_of(&urls, "asking", async |url| match url.peer().host.as_str() {
            "b" => Attempt::Done(url.to_string()),
            _ => Attempt::Never(failure(url, Code::Tls)),
        });
        assert_eq!(second.await.into_result().unwrap(), "https://b:1");
        let passing = at_one_of(&urls, "asking", async |url| match url.peer().host.as_str() {
            "b" => Attempt::<()>::Again(failure(url, Code::ClusterUnreachable)),
            _ => Attempt::Never(failure(url, Code::Tls)),
        });
        let Attempt::Again(said) = passing.await else { panic!("one of them may answer later") };
        assert_eq!(said.cause, "asking https://a:1; asking https://b:1; asking https://c:1");
        let refused = at_one_of(&urls, "asking", async |url| Attempt::<()>::Never(failure(url, Code::ClusterJoin)));
        assert_eq!(refused.await.into_result().unwrap_err().cause, "asking https://a:1", "a verdict is final");
        let nobody = at_one_of(&[], "asking", async |_| Attempt::Done(())).await;
        assert!(nobody.into_result().unwrap_err().cause.contains("no other member"));
    }

    proptest! {
        #[test]
        fn who_goes_leaves_a_majority(others in 0usize..20, healthy in 0usize..20) {
            let healthy = healthy.min(others);
            prop_assert_eq!(may_go(others, healthy).is_ok(), healthy * 2 > others);
        }
    }
}
