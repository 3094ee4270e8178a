//! Taking a node's members out of the services of its cluster, or one that is no node's; and a node installed anew.

use super::{
    Operations, Teller,
    members::{Outcome, Target, remove_from},
};
use crate::{
    base::clock::now,
    clusters::members::{self as asking, caller::caller, discovery},
    domain::{
        audit::{Action, Actor},
        lifecycle::Input,
        operation,
    },
    state::{Unit, nodes::Node},
};
use protocol::{Code, Failure, failure::Result, names::NodeName, operations::ForeignRequest, service::Service};
use serde_json::json;

impl Operations {
    /// Removes the node's member from every service of its cluster; this installation has no turn any more.
    ///
    /// # Errors
    /// `E-QUORUM` where a service would lose its quorum, `E-CLUSTER-UNREACHABLE` where nobody could be asked: both
    /// only without `force`. `E-WRONG-STATE` where something else is done to the node; `E-NOT-FOUND` for one that is no
    /// member of anything, and was none.
    pub async fn remove(&self, name: &NodeName, force: bool, actor: &Actor, teller: &Teller) -> Result<()> {
        let _one_at_a_time = self.alone()?;
        let (node, seen) = self.state.see(name).await?;
        if let Some(operation) = &seen.operation {
            return Err(operation::under_way(name, operation.kind));
        }
        let removed = self.remove_members(&node, force, teller).await?;
        if removed == 0 && !self.was_member(&node).await? {
            return Err(Failure::new(Code::NotFound, format!("removing {name}: it is no member of any service"))
                .with_remedy(
                    "boot-server cluster members lists them; a member that is no node is removed by its id or name",
                ));
        }
        let mut unit = self.state.begin().await?;
        let node = unit.node_as(name, &seen).await?;
        unseat(&mut unit, &node, actor).await?;
        unit.forget_memberships(name).await?;
        unit.commit().await?;
        teller.tell(format!("node {name} is no member any more; its installation is given no turn to join again"));
        Ok(())
    }

    /// Whether the server knows of a membership of the node that no removal has ended.
    async fn was_member(&self, node: &Node) -> Result<bool> {
        let Ok(config) = node.cluster() else { return Ok(false) };
        let seated = self.state.clusters().await?.into_iter().any(|(cluster, _, memory)| {
            cluster == config.cluster_name && memory.seats.get(&node.name).is_some_and(|seat| seat.removed.is_none())
        });
        Ok(seated || !self.state.memberships_of(&node.name).await?.is_empty())
    }

    /// Takes the node's members out of every service; of how many. The server's own state is not touched.
    pub(super) async fn remove_members(&self, node: &Node, force: bool, teller: &Teller) -> Result<usize> {
        let Ok(config) = node.cluster() else {
            teller.tell("its spec names no cluster: there is nothing to remove it from");
            return Ok(0);
        };
        // Two removals at once could cost a quorum that each alone would keep.
        let _one_at_a_time = self.removing.lock().await;
        let caller = caller(&self.ca, now())?;
        let (nodes, memberships) = (self.state.nodes().await?, self.state.memberships().await?);
        let services = discovery::known(&config.cluster_name, &nodes, &memberships);
        let by_spec = asking::is_by_spec(&services);
        let mut removed = 0;
        for (service, endpoints) in services {
            let target = discovery::endpoint(&node.name, config, service);
            match remove_from(&caller, service, &endpoints, Target::Node(&target), force).await {
                Ok(Outcome::Removed) => {
                    removed += 1;
                    teller.tell(format!("removed from {service}"));
                }
                Ok(Outcome::NotListed) => teller.tell(format!("no member of {service}")),
                // Nobody has reported a membership of it: there may be no such service.
                Err(failure) if by_spec && failure.code != Code::ClusterSplit && failure.code != Code::Quorum => {
                    tracing::info!(%failure, "nobody answers for {service}, and nobody has reported a membership");
                }
                Err(failure) if force => {
                    teller.tell(format!("not removed from {service}, as --force allows: {failure}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(removed)
    }

    /// Removes a member that is no node of this server, by its id or name.
    ///
    /// # Errors
    /// As [`Operations::remove`]; `E-NOT-FOUND` where nobody is listed so; `E-WRONG-STATE` for one that is a node.
    pub async fn remove_foreign(
        &self,
        cluster: &str,
        request: &ForeignRequest,
        actor: &Actor,
        teller: &Teller,
    ) -> Result<()> {
        let _one_at_a_time = self.alone()?;
        let _no_other_removal = self.removing.lock().await;
        let member = &request.member;
        let (caller, target) = (caller(&self.ca, now())?, Target::Member(member));
        let (nodes, memberships) = (self.state.nodes().await?, self.state.memberships().await?);
        let (mut removed, mut silent) = (0, None);
        for (service, endpoints) in discovery::known(cluster, &nodes, &memberships) {
            let listed = match asking::survey::members(&caller, service, &endpoints).await {
                Ok(listed) => listed,
                Err(failure) => {
                    silent = silent.or(Some(failure));
                    continue;
                }
            };
            if let Some(node) = listed.iter().find(|one| target.is(one)).and_then(|one| one.node.as_ref()) {
                let cause = format!("removing {member} from {service}: it is node {node}");
                let remedy = format!("boot-server cluster remove {node} --yes");
                return Err(Failure::new(Code::WrongState, cause).with_remedy(remedy));
            }
            if remove_from(&caller, service, &endpoints, target, request.force).await? == Outcome::Removed {
                removed += 1;
                let text = format!("removed the member {member} from {service} of cluster {cluster}");
                self.state.note(actor, None, Action::MemberRemoved.says(text)).await?;
                teller.tell(format!("removed from {service}"));
            }
        }
        match silent {
            _ if removed > 0 => Ok(()),
            Some(failure) => Err(failure.context(format!("removing {member}"))),
            None => {
                let cause =
                    format!("removing {member}: no node and no member of cluster {cluster} has this name or id");
                Err(Failure::new(Code::NotFound, cause).with_remedy("boot-server cluster members lists them"))
            }
        }
    }

    /// Opens the node's next generation: the machine is installed anew at its next network boot. A member of a service
    /// is taken out of it first, for its data goes; what was done. Whoever reinstalls a node has changed his mind about
    /// replacing or decommissioning it.
    ///
    /// # Errors
    /// As [`Operations::remove`], but where nobody of a service answers: there is no quorum that could be kept then, and
    /// the arbiter has the new installation remove its earlier member.
    pub async fn reinstall(&self, name: &NodeName, force: bool, actor: &Actor) -> Result<(u64, Vec<String>)> {
        let (node, seen) = self.state.see(name).await?;
        node.record.after(&Input::Reinstall).map_err(|refusal| refusal.failure(name))?;
        let way = self.make_way(&node, force).await?;
        let mut unit = self.state.begin().await?;
        let mut node = if way.told.is_empty() { unit.node(name).await? } else { unit.node_as(name, &seen).await? };
        let before = json!({ "generation": node.record.generation, "state": node.record.state });
        node.record = node.record.after(&Input::Reinstall).map_err(|refusal| refusal.failure(name))?;
        for service in &way.removed {
            // It is no founder any more, whatever was told it before: it joins.
            let cluster = &node.cluster()?.cluster_name;
            let memory = unit.cluster(cluster, *service).await?;
            unit.save_cluster(cluster, *service, &memory.removed(name, seen.generation)).await?;
        }
        unit.forget_installation(&mut node).await?;
        unit.end_operation(name).await?;
        let generation = node.record.generation;
        let after = json!({ "generation": generation, "state": node.record.state });
        let deed = Action::Reinstall.says(format!("opened generation {generation}: reinstall"));
        unit.note(actor, Some(name), deed.changing(before, after)).await?;
        for step in &way.told {
            unit.note(actor, Some(name), Action::MemberRemoved.says(format!("reinstall: {step}"))).await?;
        }
        unit.save_node(&node).await?;
        unit.commit().await?;
        Ok((generation, way.told))
    }

    /// Takes a node that is installed anew out of the services that it is a member of.
    async fn make_way(&self, node: &Node, force: bool) -> Result<Way> {
        let mut way = Way::default();
        let Ok(config) = node.cluster() else { return Ok(way) };
        let _no_other_removal = self.removing.lock().await;
        let (nodes, memberships) = (self.state.nodes().await?, self.state.memberships().await?);
        for (service, endpoints) in discovery::endpoints(&config.cluster_name, &nodes, &memberships) {
            let target = discovery::endpoint(&node.name, config, service);
            let caller = caller(&self.ca, now())?;
            let asked = asking::survey::members(&caller, service, &endpoints).await;
            if asked.is_err_and(|failure| is_silence(&failure)) {
                way.told.push(format!("nobody of {service} answers: its earlier member is removed when it joins"));
                continue;
            }
            match remove_from(&caller, service, &endpoints, Target::Node(&target), force).await {
                Ok(Outcome::Removed) => {
                    way.told.push(format!("removed from {service}"));
                    way.removed.push(service);
                }
                Ok(Outcome::NotListed) => {}
                Err(failure) if force => {
                    way.told.push(format!("not removed from {service}, as --force allows: {failure}"));
                }
                Err(failure) => return Err(reinstalling(failure, service, &node.name)),
            }
        }
        Ok(way)
    }
}

/// What was done for a node that is installed anew.
#[derive(Debug, Default)]
struct Way {
    /// For people.
    told: Vec<String>,
    /// What it was a member of, and is no more.
    removed: Vec<Service>,
}

/// Nobody could be asked, and so nobody refused.
fn is_silence(failure: &Failure) -> bool {
    matches!(failure.code, Code::ClusterUnreachable | Code::Tls)
}

fn reinstalling(failure: Failure, service: Service, node: &NodeName) -> Failure {
    match failure.code {
        Code::Quorum => {
            let remedy = format!(
                "its data would be lost with its disks: bring the other members of {service} back first (boot-server \
                 cluster health); --force reinstalls {node} all the same, and may stop the service"
            );
            failure.with_remedy(remedy)
        }
        _ => failure,
    }
}

/// The arbiter gives this installation no turn any more.
pub(super) async fn unseat(unit: &mut Unit, node: &Node, actor: &Actor) -> Result<()> {
    let Ok(config) = node.cluster() else { return Ok(()) };
    let cluster = &config.cluster_name;
    for (service, memory) in unit.services_of(cluster).await? {
        if let Some(seat) = memory.seats.get(&node.name) {
            unit.save_cluster(cluster, service, &memory.removed(&node.name, seat.generation)).await?;
        }
    }
    let deed = Action::MemberRemoved.says(format!("removed from cluster {cluster}"));
    unit.note(actor, Some(&node.name), deed).await
}
