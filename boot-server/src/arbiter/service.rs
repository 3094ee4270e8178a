//! The arbiter carried out: turns given, noted and kept; clusters forgotten.

use super::{Ask, Cluster, Decision, Refusal, Restored};
use crate::{
    install::still_current,
    server::{Server, now},
    state::{self, Write, audit, clusters, nodes},
};
use protocol::{
    Code, Failure,
    admin::{Condition, NodeHealth},
    arbiter::{Turn, TurnRequest},
    cluster::ClusterConfig,
    cluster_address::{HttpsUrl, Peer},
    encoding::Sha256,
    failure::Result,
    names::NodeName,
    operations::{ClusterSummary, Forgotten, ServiceSummary},
    report::{JoinOutcome, ReadyReport},
    service::Service,
};

impl Server {
    /// Whether the node founds its cluster, joins now, or waits. What it is told is durable before it is told.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's, or one that was removed from the cluster; `E-NO-SPEC`
    /// where its spec names no cluster; `E-CONFIG` where its list of founders does not name it.
    pub async fn turn(&self, name: &NodeName, key: &Sha256, request: TurnRequest) -> Result<Turn> {
        let TurnRequest { service, generation } = request;
        let mut write = self.state.write().await?;
        let node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name))?;
        let config = cluster_of(&node)?;
        let known = clusters::load(&mut write, &config.cluster_name, service).await?;
        let founded_here = self.knows_a_founder(&config.cluster_name);
        let ask = Ask { node: name, generation, config, service, founded_here };
        let (next, decision, notes) = known.ask(&ask, now()).map_err(|refusal| refused(refusal, &ask))?;
        if next != known {
            clusters::save(&mut write, &config.cluster_name, service, &next).await?;
            for note in notes {
                audit::note(&mut write, now(), "server", Some(name), note).await?;
            }
            state::commit(write).await?;
            self.changed.ring();
        }
        let waits_for = match &decision {
            Decision::Wait { reason, .. } => Some(format!("its turn to enter {service}: {reason}")),
            Decision::Found { .. } | Decision::Join { .. } => None,
        };
        if self.waits.told(name, waits_for, now()) {
            self.changed.ring();
        }
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
                lease_seconds: super::LEASE.whole_seconds().unsigned_abs(),
            },
        })
    }

    /// Takes note of a membership, inside the write of its report.
    pub(crate) async fn entered(
        &self,
        write: &mut Write,
        node: &nodes::Node,
        service: Service,
        report: &ReadyReport,
    ) -> Result<()> {
        let Some(config) = node.spec.as_ref().and_then(|spec| spec.cluster.as_ref()) else { return Ok(()) };
        let founded_with = match report.outcome {
            JoinOutcome::Bootstrapped => super::founders_of(config, service),
            JoinOutcome::Joined | JoinOutcome::AlreadyMember => &[],
        };
        let known = clusters::load(write, &config.cluster_name, service).await?;
        let (next, gave_back) = known.ready(&node.name, report.generation, founded_with);
        if gave_back {
            let text = format!("gave back the turn to join {service} of {}", config.cluster_name);
            audit::note(write, now(), "server", Some(&node.name), text).await?;
        }
        clusters::save(write, &config.cluster_name, service, &next).await
    }

    async fn healthy_nodes_of(&self, cluster: &str) -> Result<Vec<String>> {
        let mut nodes = self.state.nodes().await?;
        nodes.retain(|node| is_of(node, cluster));
        let healthy = |name: &NodeName| self.health_of(name).is_some_and(|it| it.condition == Condition::Healthy);
        Ok(nodes.into_iter().filter(|node| healthy(&node.name)).map(|node| node.name.into()).collect())
    }

    fn knows_a_founder(&self, cluster: &str) -> bool {
        self.with_entries(|entries| entries.iter().any(|entry| entry.founds.as_deref() == Some(cluster)))
    }

    /// Client addresses of the members that were healthy when they were last heard, a leader first; of all members
    /// where none is known to be.
    async fn members_for(&self, asker: &NodeName, config: &ClusterConfig, service: Service) -> Result<Vec<HttpsUrl>> {
        let nodes = self.state.nodes().await?;
        let of = |name: &NodeName| {
            let node = nodes.iter().find(|node| node.name == *name)?;
            node.spec.as_ref()?.cluster.as_ref().filter(|known| known.cluster_name == config.cluster_name)
        };
        let port = client_port(config, service);
        let mut ranked = Vec::new();
        for (name, report) in self.state.memberships().await? {
            let Some(member) = of(&name).filter(|_| name != *asker && report.service == service.name()) else {
                continue;
            };
            let rank = rank(self.health_of(&name).as_ref(), service, member);
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
    ///
    /// # Errors
    /// `E-SYSTEM`.
    pub async fn cluster_summaries(&self) -> Result<Vec<ClusterSummary>> {
        let mut found = std::collections::BTreeMap::<String, ClusterSummary>::new();
        let fresh = |cluster: &str| ClusterSummary { cluster: cluster.to_owned(), services: vec![], nodes: vec![] };
        for node in self.state.nodes().await? {
            if let Some(config) = node.spec.as_ref().and_then(|spec| spec.cluster.as_ref()) {
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
    pub async fn forget_cluster(&self, cluster: &str, force: bool, actor: &str) -> Result<Forgotten> {
        let healthy = self.healthy_nodes_of(cluster).await?;
        if !force && !healthy.is_empty() {
            let cause = format!("forgetting cluster {cluster}: {} are heard healthy", healthy.join(", "));
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("where it is to be founded anew all the same, stop or reinstall them, or add --force"));
        }
        let known = self.state.clusters().await?;
        let restored = known.iter().find(|(name, _, memory)| name == cluster && memory.is_being_restored());
        if let Some((_, service, _)) = restored.filter(|_| !force) {
            let cause = format!("forgetting cluster {cluster}: its founders are to begin with a snapshot of {service}");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("where it is to be founded empty all the same, add --force"));
        }
        let mut write = self.state.write().await?;
        let services = clusters::forget(&mut write, cluster).await?;
        if services == 0 {
            let cause = format!("forgetting cluster {cluster:?}: nothing is remembered of it");
            return Err(Failure::new(Code::NotFound, cause).with_remedy("boot-server cluster list names them"));
        }
        let dropped = if restored.is_some() { ", and the snapshot that it was to begin with" } else { "" };
        let text = format!("forgot the founding set of cluster {cluster} ({services} services){dropped}");
        audit::note(&mut write, now(), actor, None, text).await?;
        state::commit(write).await?;
        Ok(Forgotten { services })
    }
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
    let raft = member.raft_addr.0.ip().to_string();
    let names = [Some(member.node_id.as_str()), member.node_fqdn.as_deref(), Some(&raft)];
    match (health.condition, own) {
        (Condition::Silent, _) => Rank::Unwell,
        (_, Some(own)) if !own.healthy => Rank::Unwell,
        (_, Some(own)) if own.leader.is_some() && names.contains(&own.leader.as_deref()) => Rank::Leader,
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

/// The cluster that a node's spec names.
pub(crate) fn cluster_of(node: &nodes::Node) -> Result<&ClusterConfig> {
    node.spec.as_ref().and_then(|spec| spec.cluster.as_ref()).ok_or_else(|| {
        Failure::new(Code::NoSpec, format!("looking for the cluster of node {}: its spec names none", node.name))
            .with_remedy("give the spec a `cluster` and apply it")
    })
}

/// Whether the node's spec puts it into this cluster.
pub(crate) fn is_of(node: &nodes::Node, cluster: &str) -> bool {
    cluster_of(node).is_ok_and(|config| config.cluster_name == cluster)
}

/// The host that clients reach the node by.
pub(crate) fn client_host(config: &ClusterConfig) -> String {
    config.node_fqdn.clone().unwrap_or_else(|| config.address().to_string())
}

/// The port that clients reach the service by: `services.SERVICE.port` of the configuration, else that of
/// `leader_url`, which is of etcd or Chainfire, else the service's own.
pub(crate) fn client_port(config: &ClusterConfig, service: Service) -> u16 {
    config.port_of(service).unwrap_or_else(|| match service {
        Service::Etcd | Service::Chainfire => config.leader_url.peer().port,
        Service::Flaredb | Service::Iam => service.port(),
    })
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
