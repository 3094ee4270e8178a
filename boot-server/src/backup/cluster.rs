//! Brings back what a cluster held: etcd by its founders, who begin with the snapshot when they are installed anew;
//! Chainfire and FlareDB by the operator's hook.

use super::sums;
use crate::{
    arbiter::{self, cluster_of},
    ca::Ca,
    cluster::{
        caller::Caller,
        discovery::{self, Endpoint},
        etcd::Etcd,
    },
    config::Config,
    server::{now, state_path},
    state::{State, nodes::Node},
};
use protocol::{Code, Failure, failure::Result, names::NodeName, service::Service};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What is brought back, and from where.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The folder of the backup.
    pub from: &'a Path,
    /// The server's folder; the server may run.
    pub dir: &'a Path,
    /// The cluster.
    pub cluster: &'a str,
    /// These alone; all that the backup has where there are none.
    pub services: &'a [Service],
    /// Also where members of its etcd still answer.
    pub force: bool,
}

/// Who has to be installed anew, so that etcd is founded from the snapshot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refounding {
    /// These first, together.
    pub founders: Vec<NodeName>,
    /// These join afterwards.
    pub others: Vec<NodeName>,
}

/// Brings it back, telling each part; who is to be installed anew where etcd is among it.
///
/// # Errors
/// `E-INPUT` for a backup that is not whole; `E-NOT-FOUND` where it has nothing of that; `E-CONFIG` where a hook is
/// needed and there is none; `E-WRONG-STATE` where etcd lives: nothing has been changed then. `E-TOOL` of the hook.
pub async fn restore(wanted: &Wanted<'_>, tell: impl Fn(&str)) -> Result<Option<Refounding>> {
    sums::check(wanted.from)?;
    let parts = parts(wanted)?;
    let config = Config::load(&wanted.dir.join("config.toml"))?;
    let state = State::open(&state_path(wanted.dir)).await?;
    let restored = carry_out(wanted, &parts, &config, &state, tell).await;
    state.close().await;
    restored
}

async fn carry_out(
    wanted: &Wanted<'_>,
    parts: &[(Service, PathBuf)],
    config: &Config,
    state: &State,
    tell: impl Fn(&str),
) -> Result<Option<Refounding>> {
    let Wanted { cluster, dir, force, .. } = *wanted;
    let nodes = state.nodes().await?;
    let members = discovery::endpoints(cluster, &nodes, &state.memberships().await?);
    let hook = config.cluster.restore_hook.as_deref();
    if let Some((service, _)) = parts.iter().find(|(service, _)| *service != Service::Etcd && hook.is_none()) {
        let cause = format!("restoring {service} of {cluster}: no [cluster] restore_hook is configured");
        return Err(Failure::new(Code::Config, cause)
            .with_remedy("configure one, or name the services that can do without: --service etcd"));
    }
    if parts.iter().any(|(service, _)| *service == Service::Etcd) && !force {
        refuse_living(&Caller::new(&Ca::load(dir)?, now())?, cluster, &members).await?;
    }
    let mut refounding = None;
    for (service, path) in parts {
        if let (true, Some(hook)) = (*service != Service::Etcd, hook) {
            let members = members.get(service).map(Vec::as_slice).unwrap_or_default();
            super::hook(hook, config, *service, cluster, members, path).await?;
            tell(&format!("{service} of {cluster}, by the hook"));
        } else {
            let snapshot = arbiter::found_from(state, dir, cluster, *service, path).await?;
            tell(&format!("{service} of {cluster}: its founders begin with the snapshot of {} bytes", snapshot.size));
            refounding = Some(who(cluster, &nodes));
        }
    }
    Ok(refounding)
}

/// What of the cluster is in the backup.
fn parts(wanted: &Wanted<'_>) -> Result<Vec<(Service, PathBuf)>> {
    let Wanted { from, cluster, services, .. } = *wanted;
    let is_wanted = |service: &Service| services.is_empty() || services.contains(service);
    let path = |service: Service| match service {
        Service::Etcd => from.join(super::snapshot_name(cluster)),
        Service::Chainfire | Service::Flaredb | Service::Iam => from.join(super::folder_name(service, cluster)),
    };
    let all = Service::ALL.into_iter().filter(is_wanted).map(|service| (service, path(service)));
    let parts: Vec<_> = all.filter(|(_, path)| path.exists()).collect();
    if parts.is_empty() {
        let cause = format!("restoring cluster {cluster}: {} has nothing that is wanted of it", from.display());
        return Err(Failure::new(Code::NotFound, cause)
            .with_remedy("etcd is in etcd-CLUSTER.snapshot, Chainfire and FlareDB in SERVICE-CLUSTER"));
    }
    Ok(parts)
}

/// A cluster that lives would be founded a second time beside itself.
async fn refuse_living(caller: &Caller, cluster: &str, members: &BTreeMap<Service, Vec<Endpoint>>) -> Result<()> {
    for member in members.get(&Service::Etcd).into_iter().flatten() {
        if (Etcd { caller, peer: &member.client }).status().await.is_ok() {
            let cause = format!("restoring etcd of {cluster}: {} still runs as a member of it", member.node);
            return Err(Failure::new(Code::WrongState, cause).with_remedy(
                "power off every member that is left, or stop its etcd; one that is lost is replaced: cluster replace",
            ));
        }
    }
    Ok(())
}

fn who(cluster: &str, nodes: &[Node]) -> Refounding {
    let mut who = Refounding::default();
    for node in nodes {
        match cluster_of(node) {
            Ok(config) if config.cluster_name != cluster => {}
            Ok(config) if config.bootstrap => who.founders.push(node.name.clone()),
            Ok(_) => who.others.push(node.name.clone()),
            Err(_) => {}
        }
    }
    who
}
