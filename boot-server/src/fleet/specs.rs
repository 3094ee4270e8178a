//! What operators want of nodes: checked as a whole, stored as a whole.

use super::spec_check;
use crate::{
    cache::Cache,
    domain::{
        addresses::Network,
        audit::{self, Action, Actor},
        lifecycle::Input,
    },
    state::{State, Unit, nodes::Node},
    trust::admission::Admission,
};
use nix_store::signature::PublicKey;
use protocol::{
    Code, Failure,
    admin::{Applied, ApplyRequest, NodeState},
    failure::Result,
    names::NodeName,
    spec::{Match, NodeSpec},
};
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Nodes in one request.
const MOST_NODES: usize = 1000;

/// Takes in what operators apply.
pub struct Specs {
    state: State,
    cache: Arc<Cache>,
    admission: Arc<Admission>,
    /// What DHCP gives addresses of, where this server does.
    network: Option<Network>,
}

impl Specs {
    /// Of the parts it uses.
    pub fn new(state: State, cache: Arc<Cache>, admission: Arc<Admission>, network: Option<Network>) -> Self {
        Self { state, cache, admission, network }
    }

    /// Stores the specs; machines that wait for one of them are admitted where the policy says so.
    ///
    /// # Errors
    /// `E-INPUT` with the path of the key; nothing is stored then.
    pub async fn apply(&self, request: ApplyRequest, actor: &Actor) -> Result<Vec<Applied>> {
        self.check(&request.nodes).await?;
        self.admission.refuse_unissuable(&request.nodes)?;
        // Nothing is collected meanwhile that a spec begins to need.
        let _settled = self.cache.settled().await;
        let mut unit = self.state.begin().await?;
        let mut applied = Vec::new();
        let wanted: Vec<(NodeName, Match)> =
            request.nodes.iter().map(|spec| (spec.name.clone(), spec.matches.clone())).collect();
        let addresses = self.addresses(&request.nodes);
        for spec in request.nodes {
            let mut warnings = self.warnings(&spec, &addresses);
            warnings.extend(self.unsigned(&spec).await);
            applied.push(apply_one(&mut unit, spec, request.reopen, actor, warnings).await?);
        }
        self.refuse_second_claims(&wanted)?;
        unit.commit().await?;
        self.admission.settle_all().await?;
        Ok(applied)
    }

    async fn check(&self, specs: &[NodeSpec]) -> Result<()> {
        if specs.len() > MOST_NODES {
            return Err(Failure::new(Code::Input, format!("checking the request: more than {MOST_NODES} nodes")));
        }
        let mut names = HashSet::new();
        for spec in specs {
            spec_check::check(spec, &self.state.secret_paths(&spec.name).await?)?;
            if !names.insert(&spec.name) {
                let cause = format!("checking the request: node {} is there twice", spec.name);
                return Err(Failure::new(Code::Input, cause));
            }
        }
        Ok(())
    }

    /// A machine that two nodes claim would wait for a person when it boots; who wrote the specs sits here now.
    fn refuse_second_claims(&self, wanted: &[(NodeName, Match)]) -> Result<()> {
        let standing = self.state.memory.directory.with(|entries| {
            let others = entries.iter().filter(|entry| {
                entry.record.state != NodeState::Retired && !wanted.iter().any(|(name, _)| *name == entry.name)
            });
            others.filter_map(|entry| Some((entry.name.clone(), entry.matches.clone()?))).collect::<Vec<_>>()
        });
        for (index, (name, matches)) in wanted.iter().enumerate() {
            let others = wanted[..index].iter().chain(&standing);
            if let Some((other, _)) = others.into_iter().find(|(_, other)| matches.may_be_same(other)) {
                let cause = format!("checking node {name} at match: it names the machine that {other} names as well");
                return Err(Failure::new(Code::Input, cause).with_remedy(
                    "one machine is one node: correct one of the two matches, or decommission the other node first",
                ));
            }
        }
        Ok(())
    }

    /// The addresses that nodes are to have, by the specs that stand and by those to come.
    fn addresses(&self, specs: &[NodeSpec]) -> Vec<(NodeName, Ipv4Addr)> {
        let mut addresses: Vec<_> = self.state.memory.directory.with(|entries| {
            let others = entries.iter().filter(|entry| {
                entry.record.state != NodeState::Retired && !specs.iter().any(|spec| spec.name == entry.name)
            });
            others.filter_map(|entry| Some((entry.name.clone(), entry.address?))).collect()
        });
        addresses.extend(specs.iter().filter_map(|spec| Some((spec.name.clone(), node_ip(spec)?))));
        addresses
    }

    fn warnings(&self, spec: &NodeSpec, addresses: &[(NodeName, Ipv4Addr)]) -> Vec<String> {
        let mut warnings = Vec::new();
        if spec.matches.names_nothing() {
            let name = &spec.name;
            let text = format!("its match names no machine: admit one by boot-server approve CODE --node {name}");
            warnings.push(text);
        }
        let Some(address) = node_ip(spec) else { return warnings };
        if let Some(why) = self.network.as_ref().and_then(|network| network.no_reservation(address)) {
            warnings.push(format!("DHCP gives its machine another address than cluster.node_ip {address}: {why}"));
        }
        if let Some((other, _)) = addresses.iter().find(|(name, other)| *name != spec.name && *other == address) {
            warnings.push(format!(
                "its cluster.node_ip {address} is that of node {other} as well: one of them gets another"
            ));
        }
        warnings
    }

    /// A toplevel of this server's cache that no node would take.
    async fn unsigned(&self, spec: &NodeSpec) -> Option<String> {
        let keys: Vec<PublicKey> =
            spec.system.trusted_public_keys.iter().filter_map(|key| PublicKey::parse(key).ok()).collect();
        let path = &spec.system.toplevel;
        let is_unsigned = self.cache.is_unsigned(path, keys).await.unwrap_or(false);
        is_unsigned.then(|| {
            format!(
                "{path} is in the cache, signed by no key of system.trusted_public_keys: nix store sign --refresh --store \
                 https://SERVER:8443/cache --netrc-file NETRC --key-file KEY --recursive {path}"
            )
        })
    }
}

fn node_ip(spec: &NodeSpec) -> Option<Ipv4Addr> {
    match spec.cluster.as_ref()?.node_ip? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

async fn apply_one(
    unit: &mut Unit,
    spec: NodeSpec,
    reopen: bool,
    actor: &Actor,
    mut warnings: Vec<String>,
) -> Result<Applied> {
    let name = spec.name.clone();
    let known = unit.find_node(&name).await?;
    let retired = known.as_ref().is_some_and(|node| node.record.state == NodeState::Retired);
    let result = match &known {
        None => "created",
        Some(_) if retired && reopen => "reopened",
        Some(node) if node.spec.as_ref() == Some(&spec) => "unchanged",
        Some(_) => "configured",
    };
    if retired && !reopen {
        warnings.push("it is retired, and no machine becomes it: apply --reopen expects one anew".to_owned());
    }
    if let Some(node) = &known
        && node.record.used
        && !retired
        && node.spec.as_ref().is_some_and(|running| running.system.toplevel != spec.system.toplevel)
    {
        warnings.push(format!(
            "its disk keeps the system that is installed: the new one comes with boot-server reinstall {name} --yes"
        ));
    }
    if result != "unchanged" {
        let mut node = known.unwrap_or_else(|| Node::new(name.clone()));
        if result == "reopened" {
            unit.forget_installation(&mut node).await?;
            (node.key, node.next_key, node.certificate_ends, node.enrolment) = (None, None, None, None);
            node.record = node.record.after(&Input::Reopened).map_err(|refusal| refusal.failure(&name))?;
        }
        let (before, after) = audit::specs(node.spec.as_ref(), &spec);
        node.spec = Some(spec);
        node.record = node.record.after(&Input::Applied).map_err(|refusal| refusal.failure(&name))?;
        unit.save_node(&node).await?;
        let deed = Action::SpecApplied.says(format!("applied the spec: {result}"));
        unit.note(actor, Some(&name), deed.changing(before, after)).await?;
    }
    Ok(Applied { name, result: result.to_owned(), warnings })
}
