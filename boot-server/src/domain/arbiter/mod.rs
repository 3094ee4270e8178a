//! Who founds a cluster, and whose turn it is to join: a pure decision, kept per cluster and service.
//!
//! The founding set is fixed by the first founder that asks, and only an operator's `cluster forget` or `cluster
//! restore` fixes it anew.
//! Once a founder has reported ready nobody founds again with another generation than the one it founded with: a
//! reinstalled founder joins. Joiners have their turn one by one, by a lease that expires.

use cluster::address::Names;
use protocol::{
    Timestamp, arbiter::Snapshot, cluster::ClusterConfig, cluster_address::Peer, names::NodeName, service::Service,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use time::Duration;

/// A turn is over after so long without a word of its holder.
pub const LEASE: Duration = Duration::seconds(60);
/// A turn is over after so long in all: who has not used it by then goes behind the others.
pub const LONGEST_TURN: Duration = Duration::minutes(10);
/// Asking again while the cluster is not founded yet.
const RETRY_FOUNDING: u64 = 3;
/// Asking again while another node joins.
const RETRY_TURN: u64 = 2;

/// What is remembered of one service of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The founders; empty until the first of them has asked.
    pub founders: Vec<Peer>,
    /// Every node that ever founded, had a turn or was ready.
    pub seats: BTreeMap<NodeName, Seat>,
    /// Whose turn it is.
    pub lease: Option<Lease>,
    /// Who has used up a turn, and has none again before that time.
    #[serde(default)]
    pub behind: Option<(NodeName, Timestamp)>,
    /// What the founders begin with.
    #[serde(default)]
    pub restored: Option<Restored>,
}

/// A cluster that was lost, and begins with what it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// What it held.
    pub snapshot: Snapshot,
    /// Tells its members from those of the lost one, which have the same names and addresses.
    pub token: String,
}

/// What is remembered of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The generation that last founded or had a turn.
    pub generation: u64,
    /// The generation that was told to found.
    #[serde(default)]
    pub founded: Option<u64>,
    /// The generation that was ready last.
    #[serde(default)]
    pub ready: Option<u64>,
    /// An older generation may still be listed as a member.
    #[serde(default)]
    pub replaces: bool,
    /// The generation that was removed from the cluster: it has no turn any more.
    #[serde(default)]
    pub removed: Option<u64>,
    /// The generation that was handed the snapshot.
    #[serde(default)]
    pub handed: Option<u64>,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whose.
    pub node: NodeName,
    /// The generation on its disk.
    pub generation: u64,
    /// Free after.
    #[serde(with = "time::serde::rfc3339")]
    pub until: Timestamp,
    /// When the turn began.
    #[serde(default = "begun_long_ago", with = "time::serde::rfc3339")]
    pub since: Timestamp,
}

/// A turn that an earlier release gave.
fn begun_long_ago() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A node that asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask<'a> {
    /// Who.
    pub node: &'a NodeName,
    /// The generation on its disk.
    pub generation: u64,
    /// Its cluster configuration.
    pub config: &'a ClusterConfig,
    /// What it wants to enter.
    pub service: Service,
    /// Some node that this server knows is a founder of the cluster; else the cluster is founded elsewhere.
    pub founded_here: bool,
}

/// What the node is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Found the cluster with [`Cluster::founders`], and with [`Cluster::restored`] where this installation was not ready
    /// yet.
    Found {
        /// It is to begin with the snapshot.
        restores: bool,
    },
    /// Join now.
    Join {
        /// An earlier installation may still be listed.
        replaces: bool,
    },
    /// Ask again.
    Wait {
        /// For people.
        reason: String,
        /// Seconds.
        retry: u64,
    },
}

/// What comes of wanting the turn.
enum Claim {
    /// It is another node's.
    Held(NodeName),
    /// It is the node's already.
    Kept(Lease),
    /// The node has it from now on.
    New(Lease),
    /// The node had it for too long; the memory after that.
    UsedUp(Cluster),
}

/// Why no turn is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The list of founders in its configuration is empty, or does not name the node.
    NotInOwnList,
    /// This installation was removed from the cluster.
    Removed,
}

impl Cluster {
    /// What the node is to do; the memory after it, and what is worth noting.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn ask(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(Self, Decision, Vec<String>), Refusal> {
        let seat = self.seats.get(ask.node).cloned().unwrap_or_default();
        if seat.removed == Some(ask.generation) {
            return Err(Refusal::Removed);
        }
        let own = founders_of(ask.config, ask.service);
        if ask.config.bootstrap && self.founders.is_empty() && !is_in(own, ask.config, ask.service) {
            return Err(Refusal::NotInOwnList);
        }
        if self.founds(ask, &seat) { Ok(self.found(ask, seat)) } else { Ok(self.join(ask, seat, now)) }
    }

    /// Whether the node founds: it is one of the set, and no reinstalled founder of a cluster that lives.
    fn founds(&self, ask: &Ask<'_>, seat: &Seat) -> bool {
        let of_the_set = self.founders.is_empty() || is_in(&self.founders, ask.config, ask.service);
        let other_generation = seat.generation != 0 && seat.founded != Some(ask.generation);
        ask.config.bootstrap && of_the_set && !(other_generation && self.lives())
    }

    /// Whether a founder has ever been ready.
    fn lives(&self) -> bool {
        self.ready_founders() > 0
    }

    fn ready_founders(&self) -> usize {
        self.seats.values().filter(|seat| seat.founded.is_some() && seat.ready.is_some()).count()
    }

    fn found(&self, ask: &Ask<'_>, mut seat: Seat) -> (Self, Decision, Vec<String>) {
        let mut next = self.clone();
        let mut notes = Vec::new();
        if next.founders.is_empty() {
            next.founders = founders_of(ask.config, ask.service).to_vec();
            let list: Vec<String> = next.founders.iter().map(ToString::to_string).collect();
            notes.push(format!("fixed the founders of {}: {}", named(ask), list.join(", ")));
        }
        if seat.founded != Some(ask.generation) {
            let with = if self.restored.is_some() { " from its snapshot" } else { "" };
            notes.push(format!("founds {}{with} (generation {})", named(ask), ask.generation));
        }
        (seat.generation, seat.founded, seat.removed) = (ask.generation, Some(ask.generation), None);
        let restores = self.restored.is_some() && seat.ready != Some(ask.generation);
        next.seats.insert(ask.node.clone(), seat);
        (next, Decision::Found { restores }, notes)
    }

    fn join(&self, ask: &Ask<'_>, mut seat: Seat, now: Timestamp) -> (Self, Decision, Vec<String>) {
        let wait = |reason, retry| (self.clone(), Decision::Wait { reason, retry }, vec![]);
        if self.founders.is_empty() && ask.founded_here {
            return wait(format!("no founder of {} has begun yet", named(ask)), RETRY_FOUNDING);
        }
        let (ready, majority) = (self.ready_founders(), self.founders.len() / 2 + 1);
        if !self.founders.is_empty() && ready < majority {
            let reason = format!("{ready} of {} founders of {} are ready", self.founders.len(), named(ask));
            return wait(reason, RETRY_FOUNDING);
        }
        let mut notes = Vec::new();
        let lease = match self.claim(ask.node, ask.generation, now) {
            Claim::Held(by) => return wait(format!("{by} has the turn of {} now", named(ask)), RETRY_TURN),
            Claim::UsedUp(next) => {
                let reason =
                    format!("its turn to join {} took longer than {LONGEST_TURN}: others go first", named(ask));
                return (next, Decision::Wait { reason: reason.clone(), retry: RETRY_TURN }, vec![reason]);
            }
            Claim::Kept(lease) => lease,
            Claim::New(lease) => {
                notes.push(match self.lease.as_ref().filter(|former| former.node != *ask.node) {
                    Some(former) => {
                        format!("has the turn to join {}; {} did not use its own in time", named(ask), former.node)
                    }
                    None => format!("has the turn to join {} (generation {})", named(ask), ask.generation),
                });
                lease
            }
        };
        let replaces = seat.replaces || (seat.generation != 0 && seat.generation != ask.generation);
        seat.replaces = replaces && seat.ready != Some(ask.generation);
        (seat.generation, seat.removed) = (ask.generation, None);
        let decision = Decision::Join { replaces: seat.replaces };
        let mut next = self.clone();
        next.seats.insert(ask.node.clone(), seat);
        next.lease = Some(lease);
        (next, decision, notes)
    }

    /// Whether a node has the turn, or may take it.
    fn claim(&self, node: &NodeName, generation: u64, now: Timestamp) -> Claim {
        let fresh = Lease { node: node.clone(), generation, until: now + LEASE, since: now };
        match &self.lease {
            Some(lease) if lease.until > now && lease.node != *node => Claim::Held(lease.node.clone()),
            Some(lease) if lease.until > now && lease.generation == generation => {
                if now - lease.since < LONGEST_TURN {
                    return Claim::Kept(Lease { since: lease.since, ..fresh });
                }
                Claim::UsedUp(Self { lease: None, behind: Some((node.clone(), now + LEASE)), ..self.clone() })
            }
            _ => match &self.behind {
                Some((last, until)) if last == node && *until > now => Claim::UsedUp(self.clone()),
                _ => Claim::New(fresh),
            },
        }
    }

    /// Whether a member may be restarted now: one at a time, and none while another node enters. The memory after it, and why
    /// it has to wait.
    pub fn restart(&self, node: &NodeName, generation: u64, now: Timestamp) -> (Self, Option<String>) {
        match self.claim(node, generation, now) {
            Claim::Held(by) => (self.clone(), Some(format!("{by} has the turn now"))),
            Claim::UsedUp(next) => (next, Some(format!("its turn took longer than {LONGEST_TURN}: others go first"))),
            Claim::Kept(lease) | Claim::New(lease) => (Self { lease: Some(lease), ..self.clone() }, None),
        }
    }

    /// The member has been restarted.
    pub fn restarted(&self, node: &NodeName) -> Self {
        let lease = self.lease.clone().filter(|lease| lease.node != *node);
        Self { lease, ..self.clone() }
    }

    /// The node is a member; whether it gave a turn back. One that founded without having asked, for this server
    /// was away, brings the list that it founded with.
    pub fn ready(&self, node: &NodeName, generation: u64, founded_with: &[Peer]) -> (Self, bool) {
        let mut next = self.clone();
        let told = self.seats.get(node).is_some_and(|seat| seat.founded == Some(generation));
        if self.restored.is_some() && !founded_with.is_empty() && !told {
            // A late word of the cluster that was lost.
            return (next, false);
        }
        if next.founders.is_empty() {
            next.founders = founded_with.to_vec();
        }
        let seat = next.seats.entry(node.clone()).or_default();
        if !founded_with.is_empty() {
            seat.founded = Some(generation);
        }
        (seat.generation, seat.ready, seat.replaces, seat.removed) = (generation, Some(generation), false, None);
        let held = next.lease.as_ref().is_some_and(|lease| lease.node == *node);
        if held {
            next.lease = None;
        }
        (next, held)
    }

    /// The snapshot, for an installation that was told to begin with it and is not ready yet.
    pub fn snapshot_for(&self, node: &NodeName, generation: u64) -> Option<&Snapshot> {
        let seat = self.seats.get(node)?;
        let current = Some(generation);
        let begins = seat.founded == current && seat.ready != current && seat.removed != current;
        self.restored.as_ref().filter(|_| begins).map(|restored| &restored.snapshot)
    }

    /// Whether an operator has had it begin with a snapshot, and no founder is ready with it yet.
    pub fn is_being_restored(&self) -> bool {
        self.restored.is_some() && !self.lives()
    }

    /// The node's member was removed: that installation has no turn any more, and the next one is not a founder.
    pub fn removed(&self, node: &NodeName, generation: u64) -> Self {
        let mut next = self.clone();
        let seat = next.seats.entry(node.clone()).or_default();
        seat.generation = seat.generation.max(generation);
        (seat.removed, seat.replaces) = (Some(generation), true);
        next.lease = next.lease.filter(|lease| lease.node != *node);
        next
    }
}

fn named(ask: &Ask<'_>) -> String {
    format!("{} of {}", ask.service, ask.config.cluster_name)
}

/// The founders as a node's own configuration has them.
pub fn founders_of(config: &ClusterConfig, service: Service) -> &[Peer] {
    match service {
        Service::Flaredb => &config.flaredb_peers,
        Service::Etcd | Service::Chainfire | Service::Iam => &config.initial_peers,
    }
}

/// Whether the list names the node: by its Raft address, or by its own names. Of FlareDB, whose Raft address is not
/// in the configuration, by the address alone.
fn is_in(peers: &[Peer], config: &ClusterConfig, service: Service) -> bool {
    let raft = config.raft_addr.0;
    let addresses = [Some(raft.ip()), config.node_ip.filter(|_| service == Service::Flaredb)];
    let by_address = |peer: &Peer| {
        let address = peer.host.parse::<IpAddr>().ok();
        let port = peer.port == raft.port() || service == Service::Flaredb;
        address.is_some() && addresses.contains(&address) && port
    };
    let names = Names::of(config);
    let by_name = |peer: &Peer| names.is_name(&peer.host);
    peers.iter().any(|peer| by_address(peer) || by_name(peer))
}

#[cfg(test)]
mod tests;
