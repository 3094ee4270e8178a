//! The arbiter carried out: turns given, noted and kept; memberships taken in; clusters forgotten. What is decided is in
//! [`crate::domain::arbiter`].

use crate::{
    base::clock::now,
    domain::{
        arbiter::{self, Ask, Cluster, Decision, Refusal, Restored},
        audit::{Action, Actor},
        lifecycle::Input,
        operation::{self, Stage},
    },
    fleet::vitals::Vitals,
    state::{State, Unit, nodes::Node},
};
use cluster::address::{Names, client_host, client_port};
use protocol::{
    Code, Failure,
    admin::{Condition, NodeHealth},
    arbiter::{RestartTurn, Turn, TurnRequest},
    cluster::ClusterConfig,
    cluster_address::{HttpsUrl, Peer},
    encoding::Sha256,
    failure::{OrFail, Result},
    names::NodeName,
    operations::{ClusterSummary, Forgotten, ServiceSummary},
    report::{JoinOutcome, ReadyReport},
    service::Service,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// A report of a membership beyond this says nothing that anybody could read, and would be kept and shown.
const MOST_REPORT: usize = 64 << 10;
/// Asking again while another member is restarted, or is not well.
const RETRY_RESTART: u64 = 5;

/// Gives turns.
#[derive(Debug)]
pub struct Arbiter {
    state: State,
    vitals: Arc<Vitals>,
}

impl Arbiter {
    /// Of the parts it uses.
    pub fn new(state: State, vitals: Arc<Vitals>) -> Self {
        Self { state, vitals }
    }

    /// Whether the node founds its cluster, joins now, or waits. What it is told is durable before it is told.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's, or one that was removed from the cluster; `E-NO-SPEC`
    /// where its spec names no cluster; `E-CONFIG` where its list of founders does not name it.
    pub async fn turn(&self, name: &NodeName, key: &Sha256, request: TurnRequest) -> Result<Turn> {
        let TurnRequest { service, generation } = request;
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name))?;
        stays(&mut unit, name).await?;
        let config = node.cluster()?;
        let known = unit.cluster(&config.cluster_name, service).await?;
        let founded_here = self.knows_a_founder(&config.cluster_name);
        let ask = Ask { node: name, generation, config, service, founded_here };
        let (next, decision, notes) = known.ask(&ask, now()).map_err(|refusal| refused(refusal, &ask))?;
        if next != known {
            unit.save_cluster(&config.cluster_name, service, &next).await?;
            for note in notes {
                unit.note("server", Some(name), note).await?;
            }
        }
        let waits_for = match &decision {
            Decision::Wait { reason, .. } => Some(format!("its turn to enter {service}: {reason}")),
            Decision::Found { .. } | Decision::Join { .. } => None,
        };
        unit.waits(name, waits_for);
        unit.commit().await?;
        Ok(match decision {
            Decision::Found { restores } => match next.restored {
                Some(Restored { snapshot, token }) if restores => {
                    Turn::Restore { peers: next.founders, token, snapshot }
                }
                restored => Turn::Found { peers: next.founders, token: restored.map(|restored| restored.token) },
            },
            Decision::Wait { reason, retry } => Turn::Wait { reason, retry_seconds: retry },
            Decision::Join { replaces } => Turn::Join {
                members: self.members_for(name, config, service).await?,
                replaces,
                lease_seconds: arbiter::LEASE.whole_seconds().unsigned_abs(),
            },
        })
    }

    /// Whether the node may restart a service now: the others of the cluster are well, and none of them is restarted or enters.
    ///
    /// # Errors
    /// As [`Arbiter::turn`].
    pub async fn restart(&self, name: &NodeName, key: &Sha256, request: TurnRequest) -> Result<RestartTurn> {
        let TurnRequest { service, generation } = request;
        let unwell = self.unwell_member(name, key, service).await?;
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name))?;
        let cluster = node.cluster()?.cluster_name.clone();
        let known = unit.cluster(&cluster, service).await?;
        let (next, waits) = match unwell {
            Some(other) => (known.restarted(name), Some(format!("{other} is not well"))),
            None => known.restart(name, generation, now()),
        };
        if next != known {
            unit.save_cluster(&cluster, service, &next).await?;
        }
        let begins = next.lease.is_some() && known.lease.as_ref().is_none_or(|lease| lease.node != *name);
        if waits.is_none() && begins {
            unit.note("server", Some(name), format!("has the turn to restart {service} of {cluster}")).await?;
        }
        unit.waits(name, waits.as_ref().map(|reason| format!("its turn to restart {service}: {reason}")));
        unit.commit().await?;
        Ok(match waits {
            None => RestartTurn::Go { lease_seconds: arbiter::LEASE.whole_seconds().unsigned_abs() },
            Some(reason) => RestartTurn::Wait { reason, retry_seconds: RETRY_RESTART },
        })
    }

    /// The node gives its turn to restart back.
    ///
    /// # Errors
    /// As [`Arbiter::turn`].
    pub async fn restarted(&self, name: &NodeName, key: &Sha256, request: TurnRequest) -> Result<()> {
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        let cluster = node.cluster()?.cluster_name.clone();
        let known = unit.cluster(&cluster, request.service).await?;
        let next = known.restarted(name);
        if next != known {
            unit.save_cluster(&cluster, request.service, &next).await?;
        }
        unit.waits(name, None);
        unit.commit().await
    }

    /// Another member of the service that is unhealthy or silent.
    async fn unwell_member(&self, name: &NodeName, key: &Sha256, service: Service) -> Result<Option<NodeName>> {
        let node = self.state.known_node(name).await?;
        node.has_key(key)?;
        let cluster = node.cluster()?.cluster_name.clone();
        let nodes = self.state.nodes().await?;
        let unwell = |other: &NodeName| {
            let health = self.vitals.of(other);
            health.is_some_and(|health| matches!(health.condition, Condition::Unhealthy | Condition::Silent))
        };
        let is_member = |other: &NodeName| nodes.iter().any(|node| node.name == *other && node.is_in(&cluster));
        let memberships = self.state.memberships().await?;
        let others =
            memberships.into_iter().filter(|(other, report)| other != name && report.service == service.name());
        Ok(others.map(|(other, _)| other).find(|other| is_member(other) && unwell(other)))
    }

    /// The node is a healthy member of a service: it gives its turn back, and is ready where it enters no other.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's, or one that is on its way out; `E-INPUT` for a service that
    /// nobody knows, or a report that is too long.
    pub async fn ready(&self, name: &NodeName, key: &Sha256, report: ReadyReport, from: IpAddr) -> Result<()> {
        let service: Service = report.service.parse().or_fail(Code::Input, || "reading the report at service")?;
        let size = serde_json::to_vec(&report).map_or(usize::MAX, |bytes| bytes.len());
        if size > MOST_REPORT {
            return Err(Failure::new(Code::Input, format!("reading the report of {name}: {size} bytes are too many")));
        }
        let mut unit = self.state.begin().await?;
        let mut node = unit.node_of(name, key).await?;
        stays(&mut unit, name).await?;
        let generation = report.generation;
        let last = report.awaits.is_empty();
        let input = if last { Input::Ready { generation } } else { Input::Member { generation } };
        let after = node.record.after(&input).map_err(|refusal| refusal.failure(name))?;
        let (members, by) = (report.members.len(), Actor::from(name).at(from));
        if last && after != node.record {
            unit.note(by, Some(name), Action::Joined.says(format!("ready: {service} with {members} members"))).await?;
        } else if unit.member_since(name, service).await? != Some((generation, report.boot_id)) {
            // Said again, it is no news.
            unit.note(by, Some(name), Action::Joined.says(format!("member of {service} with {members} members")))
                .await?;
        }
        if !node.record.used {
            // It speaks from its own disk, and what it says is about itself alone.
            let text = format!(
                "is a member of {service}, and nobody has reported the installation of generation {generation}"
            );
            unit.note("server", Some(name), text).await?;
        }
        entered(&mut unit, &node, service, &report).await?;
        unit.add_membership(name, service, &report).await?;
        self.vitals.begin_to_watch(&mut unit, name).await?;
        node.record = after;
        node.ready = Some(report);
        unit.save_node(&node).await?;
        unit.commit().await
    }

    fn knows_a_founder(&self, cluster: &str) -> bool {
        let founds = |founds: &Option<String>| founds.as_deref() == Some(cluster);
        self.state.memory.directory.with(|entries| entries.iter().any(|entry| founds(&entry.founds)))
    }

    /// Client addresses of the members that were healthy when they were last heard, a leader first; of all members
    /// where none is known to be.
    async fn members_for(&self, asker: &NodeName, config: &ClusterConfig, service: Service) -> Result<Vec<HttpsUrl>> {
        let nodes = self.state.nodes().await?;
        let of = |name: &NodeName| {
            let node = nodes.iter().find(|node| node.name == *name)?;
            node.cluster().ok().filter(|known| known.cluster_name == config.cluster_name)
        };
        let port = client_port(config, service, service.port());
        let mut ranked = Vec::new();
        for (name, report) in self.state.memberships().await? {
            let Some(member) = of(&name).filter(|_| name != *asker && report.service == service.name()) else {
                continue;
            };
            let rank = rank(self.vitals.of(&name).as_ref(), service, member);
            if let Ok(url) = format!("https://{}", Peer { host: client_host(member), port }).parse() {
                ranked.push((rank, url));
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        let best = ranked.first().map(|(rank, _)| *rank);
        ranked.retain(|(rank, _)| *rank <= Rank::Unheard || best > Some(Rank::Unheard));
        Ok(ranked.into_iter().map(|(_, url)| url).collect())
    }

    /// Every cluster that a spec names or the arbiter remembers.
    pub async fn summaries(&self) -> Result<Vec<ClusterSummary>> {
        let mut found = BTreeMap::<String, ClusterSummary>::new();
        let fresh = |cluster: &str| ClusterSummary { cluster: cluster.to_owned(), services: vec![], nodes: vec![] };
        for node in self.state.nodes().await? {
            if let Ok(config) = node.cluster() {
                let name = &config.cluster_name;
                found.entry(name.clone()).or_insert_with(|| fresh(name)).nodes.push(node.name);
            }
        }
        for (cluster, service, memory) in self.state.clusters().await? {
            found.entry(cluster.clone()).or_insert_with(|| fresh(&cluster)).services.push(summary(service, &memory));
        }
        Ok(found.into_values().collect())
    }

    /// Has the founding set fixed anew by the next founder that asks.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` while members are heard healthy, or the cluster is being restored.
    pub async fn forget(&self, cluster: &str, force: bool, actor: &Actor) -> Result<Forgotten> {
        let healthy = self.healthy_nodes_of(cluster).await?;
        if !force && !healthy.is_empty() {
            let cause = format!("forgetting cluster {cluster}: {} are heard healthy", healthy.join(", "));
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("where it is to be founded anew all the same, stop or reinstall them, or add --force"));
        }
        let mut unit = self.state.begin().await?;
        let known = unit.services_of(cluster).await?;
        let restored = known.iter().find(|(_, memory)| memory.is_being_restored());
        if let Some((service, _)) = restored.filter(|_| !force) {
            let cause = format!("forgetting cluster {cluster}: its founders are to begin with a snapshot of {service}");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("where it is to be founded empty all the same, add --force"));
        }
        if known.is_empty() {
            let cause = format!("forgetting cluster {cluster:?}: nothing is remembered of it");
            return Err(Failure::new(Code::NotFound, cause).with_remedy("boot-server cluster list names them"));
        }
        unit.forget_cluster(cluster).await?;
        let dropped = if restored.is_some() { ", and the snapshot that it was to begin with" } else { "" };
        let text = format!("forgot the founding set of cluster {cluster} ({} services){dropped}", known.len());
        unit.note(actor, None, Action::ClusterForgotten.says(text)).await?;
        unit.commit().await?;
        Ok(Forgotten { services: known.len() as u64 })
    }

    async fn healthy_nodes_of(&self, cluster: &str) -> Result<Vec<String>> {
        let mut nodes = self.state.nodes().await?;
        nodes.retain(|node| node.is_in(cluster));
        let healthy = |name: &NodeName| self.vitals.of(name).is_some_and(|it| it.condition == Condition::Healthy);
        Ok(nodes.into_iter().filter(|node| healthy(&node.name)).map(|node| node.name.into()).collect())
    }
}

/// A node that an operation has taken out of its cluster enters nothing any more, however long its key is still good.
async fn stays(unit: &mut Unit, name: &NodeName) -> Result<()> {
    match unit.operation(name).await? {
        Some(operation) if operation.stage >= Stage::Removed => Err(operation::under_way(name, operation.kind)),
        _ => Ok(()),
    }
}

/// Takes note of a membership.
async fn entered(unit: &mut Unit, node: &Node, service: Service, report: &ReadyReport) -> Result<()> {
    let Ok(config) = node.cluster() else { return Ok(()) };
    let founded_with = match report.outcome {
        JoinOutcome::Bootstrapped => arbiter::founders_of(config, service),
        JoinOutcome::Joined | JoinOutcome::AlreadyMember => &[],
    };
    let known = unit.cluster(&config.cluster_name, service).await?;
    let (next, gave_back) = known.ready(&node.name, report.generation, founded_with);
    if gave_back {
        let text = format!("gave back the turn to join {service} of {}", config.cluster_name);
        unit.note("server", Some(&node.name), text).await?;
    }
    unit.save_cluster(&config.cluster_name, service, &next).await
}

/// How good a node is to ask a service of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Leader,
    Healthy,
    Unheard,
    Unwell,
}

fn rank(health: Option<&NodeHealth>, service: Service, member: &ClusterConfig) -> Rank {
    let Some(health) = health else { return Rank::Unheard };
    let own = health.report.as_ref().and_then(|report| report.services.iter().find(|own| own.service == service));
    // A founder of etcd is called by the host of its entry among the founders.
    let leads = |leader: &String| Names::of(member).is_host(leader);
    match (health.condition, own) {
        (Condition::Silent, _) => Rank::Unwell,
        (_, Some(own)) if !own.healthy => Rank::Unwell,
        (_, Some(own)) if own.leader.as_ref().is_some_and(leads) => Rank::Leader,
        (_, Some(_)) => Rank::Healthy,
        (_, None) => Rank::Unheard,
    }
}

fn summary(service: Service, memory: &Cluster) -> ServiceSummary {
    let ready = memory.seats.iter().filter(|(_, seat)| seat.ready.is_some() && seat.removed.is_none());
    ServiceSummary {
        service,
        founders: memory.founders.iter().map(ToString::to_string).collect(),
        ready: ready.map(|(name, _)| name.clone()).collect(),
        turn: memory.lease.as_ref().filter(|lease| lease.until > now()).map(|lease| lease.node.clone()),
    }
}

fn refused(refusal: Refusal, ask: &Ask<'_>) -> Failure {
    let (node, service, cluster) = (ask.node, ask.service, &ask.config.cluster_name);
    let asking = format!("asking for a turn of node {node} in {service} of {cluster}");
    match refusal {
        Refusal::NotInOwnList => {
            let key = if service == Service::Flaredb { "flaredb_peers" } else { "initial_peers" };
            Failure::new(Code::Config, format!("{asking}: cluster.{key} of its spec does not name it"))
                .with_remedy(format!("name every founder in cluster.{key}, apply the spec, reinstall the node"))
        }
        Refusal::Removed => {
            Failure::new(Code::WrongState, format!("{asking}: generation {} was removed from it", ask.generation))
                .with_remedy(format!("install it anew: boot-server cluster replace {node} --yes"))
        }
    }
}
