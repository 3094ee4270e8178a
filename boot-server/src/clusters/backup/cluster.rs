//! Brings back what a cluster held: etcd by its founders, who begin with the snapshot when they are installed anew;
//! Chainfire and FlareDB by the operator's hook.

use super::sums;
use crate::{
    base::health::Health,
    clusters::{
        founding,
        members::discovery::{self, Endpoint},
    },
    config::Config,
    state::{self, State, nodes::Node},
};
use protocol::{Code, Failure, failure::Result, names::NodeName, service::Service};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// A machine that is up takes a connection sooner.
const PATIENCE: Duration = Duration::from_secs(3);

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
/// needed and there is none; `E-WRONG-STATE` where etcd lives; `E-TOOL` of the hook. etcd has not been touched then.
pub async fn restore(wanted: &Wanted<'_>, tell: impl Fn(&str)) -> Result<Option<Refounding>> {
    sums::check(wanted.from)?;
    let parts = parts(wanted)?;
    let config = Config::load(&wanted.dir.join("config.toml"))?;
    let state = State::open(&state::path_in(wanted.dir), Health::default()).await?;
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
    let mut nodes = state.nodes().await?;
    nodes.retain(|node| node.is_in(cluster));
    let members = discovery::endpoints(cluster, &nodes, &state.memberships().await?);
    let hook = config.cluster.restore_hook.as_deref();
    if let Some((service, _)) = parts.iter().find(|(service, _)| *service != Service::Etcd && hook.is_none()) {
        let cause = format!("restoring {service} of {cluster}: no [cluster] restore_hook is configured");
        return Err(Failure::new(Code::Config, cause)
            .with_remedy("configure one, or name the services that can do without: --service etcd"));
    }
    let refounding = if parts.iter().any(|(service, _)| *service == Service::Etcd) {
        if !force {
            refuse_living(cluster, &nodes).await?;
        }
        Some(to_reinstall(cluster, &nodes, &members)?)
    } else {
        None
    };
    // Where a hook fails, nothing is staged yet.
    for (service, path) in parts.iter().rev() {
        if let (true, Some(hook)) = (*service != Service::Etcd, hook) {
            let members = members.get(service).map(Vec::as_slice).unwrap_or_default();
            super::hook(hook, config, *service, cluster, members, path).await?;
            tell(&format!("{service} of {cluster}, by the hook"));
        } else {
            let snapshot = founding::stage(state, dir, cluster, *service, path).await?;
            tell(&format!("{service} of {cluster}: its founders begin with the snapshot of {} bytes", snapshot.size));
        }
    }
    Ok(refounding)
}

/// What of the cluster is in the backup, in the order of [`Service::ALL`].
fn parts(wanted: &Wanted<'_>) -> Result<Vec<(Service, PathBuf)>> {
    let Wanted { from, cluster, services, .. } = *wanted;
    let path = |service: Service| match service {
        Service::Etcd => from.join(super::snapshot_name(cluster)),
        Service::Chainfire | Service::Flaredb | Service::Iam => from.join(super::folder_name(service, cluster)),
    };
    let missing = |what: &str| {
        let cause = format!("restoring cluster {cluster}: {} has nothing of {what}", from.display());
        Failure::new(Code::NotFound, cause)
            .with_remedy("etcd is in etcd-CLUSTER.snapshot, Chainfire and FlareDB in SERVICE-CLUSTER")
    };
    let there: Vec<_> = Service::ALL.map(|service| (service, path(service))).into();
    let (there, absent): (Vec<_>, Vec<_>) = there.into_iter().partition(|(_, path)| path.exists());
    if let Some((service, _)) = absent.iter().find(|(service, _)| services.contains(service)) {
        return Err(missing(service.name()));
    }
    if there.is_empty() {
        return Err(missing("it"));
    }
    Ok(there.into_iter().filter(|(service, _)| services.is_empty() || services.contains(service)).collect())
}

/// A cluster that lives would be founded a second time beside itself. Every node that a spec puts into the cluster is
/// looked at, whatever it has reported; what listens there counts as a member, whatever it would say.
async fn refuse_living(cluster: &str, nodes: &[Node]) -> Result<()> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let endpoint = discovery::endpoint(&node.name, node.cluster()?, Service::Etcd);
        asked.spawn(async move {
            let address = (endpoint.client.host.clone(), endpoint.client.port);
            let listens = timeout(PATIENCE, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok());
            listens.then(|| format!("{} ({})", endpoint.label(), endpoint.client))
        });
    }
    let mut living: Vec<String> = asked.join_all().await.into_iter().flatten().collect();
    living.sort();
    if living.is_empty() {
        return Ok(());
    }
    let cause = format!("restoring etcd of {cluster}: it still runs on {}", living.join(", "));
    Err(Failure::new(Code::WrongState, cause)
        .with_remedy("power these off, or stop their etcd; a single member that is lost is replaced: cluster replace"))
}

fn to_reinstall(cluster: &str, nodes: &[Node], members: &BTreeMap<Service, Vec<Endpoint>>) -> Result<Refounding> {
    let founds = |node: &&Node| node.cluster().is_ok_and(|config| config.bootstrap);
    let founders: Vec<NodeName> = nodes.iter().filter(founds).map(|node| node.name.clone()).collect();
    if founders.is_empty() {
        let cause = format!("restoring etcd of {cluster}: no spec has a founder of it (cluster.bootstrap = true)");
        return Err(Failure::new(Code::NotFound, cause).with_remedy("apply the specs of its founders first"));
    }
    let members = members.get(&Service::Etcd).into_iter().flatten().filter_map(|member| member.node.clone());
    Ok(Refounding { others: members.filter(|name| !founders.contains(name)).collect(), founders })
}
