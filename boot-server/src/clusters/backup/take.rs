//! Takes a backup. It needs the server's folder and not the server: the CA's key is in it, so the members are asked
//! from here.

use super::{DATABASE, SERVER, SERVER_FILES, SUMS, snapshot, sums};
use crate::{
    base::{clock::now, health::Health},
    clusters::members::{
        caller::caller,
        discovery::{self, Endpoint},
        survey,
    },
    config::Config,
    domain::audit::{Action, Actor},
    state::{self, State},
    trust::{ca::Ca, folder},
};
use cluster::client::PeerClient;
use host::file;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    service::Service,
};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What goes in.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// What the clusters hold; else the server's own state alone.
    pub clusters: bool,
}

/// Takes a backup of the server in `dir` into a new folder below `out`; the folder.
///
/// # Errors
/// `E-CONFIG`, `E-SYSTEM`, `E-CLUSTER-UNREACHABLE`, `E-TOOL` of the hook; nothing stands under the final name then.
pub async fn take(dir: &Path, out: &Path, parts: Parts, tell: impl Fn(&str)) -> Result<PathBuf> {
    let config = Config::load(&dir.join("config.toml"))?;
    let stamp = now().format(&time::macros::format_description!("[year][month][day]T[hour][minute][second]Z"));
    let name = format!("centra-backup-{}", stamp.or_fail(Code::Internal, || "writing the time")?);
    let (whole, partial) = (out.join(&name), out.join(format!(".{name}.partial")));
    file::make_private(out, true)?;
    file::make_private(&partial, false)?;
    let taken = fill(dir, &config, &partial, parts, tell).await;
    if let Err(failure) = taken {
        // What is left of it is of no use, and has secrets in it.
        drop(std::fs::remove_dir_all(&partial));
        return Err(failure);
    }
    let activity = || format!("renaming {} to {}", partial.display(), whole.display());
    std::fs::rename(&partial, &whole).or_fail(Code::System, activity)?;
    file::sync(out)?;
    Ok(whole)
}

async fn fill(dir: &Path, config: &Config, to: &Path, parts: Parts, tell: impl Fn(&str)) -> Result<()> {
    let state = State::open(&state::path_in(dir), Health::default()).await?;
    let filled = async {
        // Before it is copied: a backup says of itself that it was taken.
        let deed = Action::BackupTaken.says("takes a backup, with the keys of the server");
        state.note(Actor::folder(), None, deed).await?;
        server_part(dir, &state, &to.join(SERVER)).await?;
        tell("the server's own state");
        if parts.clusters { cluster_part(dir, config, &state, to, &tell).await } else { Ok(()) }
    };
    let filled = filled.await;
    state.close().await;
    filled?;
    for path in sums::files_below(to)? {
        let path = to.join(path);
        let activity = || format!("securing {}", path.display());
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).or_fail(Code::System, activity)?;
        file::sync(&path)?;
    }
    file::write_new(&to.join(SUMS), 0o600, sums::write(to)?.as_bytes())?;
    file::sync(to)
}

async fn server_part(dir: &Path, state: &State, to: &Path) -> Result<()> {
    file::make_private(to, false)?;
    state.copy_to(&to.join(DATABASE)).await?;
    // What is changing there is whole first, and does not change meanwhile.
    let _still = folder::lock(dir)?;
    let more = super::optional_files().into_iter().filter(|name| dir.join(name).exists());
    for name in SERVER_FILES.map(str::to_owned).into_iter().chain(more) {
        super::make_parent(to, &name)?;
        file::copy_new(&dir.join(&name), &to.join(&name), 0o600)?;
    }
    Ok(())
}

async fn cluster_part(dir: &Path, config: &Config, state: &State, to: &Path, tell: &impl Fn(&str)) -> Result<()> {
    let caller = caller(&Ca::load(dir)?, now())?;
    let (nodes, memberships) = (state.nodes().await?, state.memberships().await?);
    let mut clusters: Vec<String> =
        nodes.iter().filter_map(|node| Some(node.spec.as_ref()?.cluster.as_ref()?.cluster_name.clone())).collect();
    clusters.sort();
    clusters.dedup();
    for cluster in clusters {
        for (service, endpoints) in discovery::endpoints(&cluster, &nodes, &memberships) {
            match service {
                Service::Etcd => etcd_part(&caller, &cluster, &endpoints, to, tell).await?,
                Service::Chainfire | Service::Flaredb | Service::Iam => {
                    hook_part(config, service, &cluster, &endpoints, to, tell).await?;
                }
            }
        }
    }
    Ok(())
}

async fn etcd_part(
    caller: &PeerClient,
    cluster: &str,
    endpoints: &[Endpoint],
    to: &Path,
    tell: &impl Fn(&str),
) -> Result<()> {
    // Of two clusters of one name a snapshot would be of either, by chance.
    match survey::members(caller, Service::Etcd, endpoints).await {
        Err(failure) if failure.code == Code::ClusterSplit => return Err(failure),
        _ => {}
    }
    let file = super::snapshot_name(cluster);
    let mut last = Failure::new(Code::NotFound, format!("taking a snapshot of etcd of {cluster}: it has no members"));
    for endpoint in endpoints {
        let path = to.join(&file);
        match snapshot::save(caller, &endpoint.client, &path).await {
            Ok(size) => {
                tell(&format!("etcd of {cluster}: a snapshot of {size} bytes from {}", endpoint.label()));
                return Ok(());
            }
            Err(failure) => last = failure,
        }
        if path.exists() {
            std::fs::remove_file(&path).or_fail(Code::System, || format!("removing {}", path.display()))?;
        }
    }
    Err(last.with_remedy("mend the cluster first, or back up the server alone: --server-only"))
}

async fn hook_part(
    config: &Config,
    service: Service,
    cluster: &str,
    endpoints: &[Endpoint],
    to: &Path,
    tell: &impl Fn(&str),
) -> Result<()> {
    let Some(hook) = &config.cluster.backup_hook else {
        tell(&format!("NOT in this backup: {service} of {cluster}, for no [cluster] backup_hook is configured"));
        return Ok(());
    };
    let folder = to.join(super::folder_name(service, cluster));
    file::make_private(&folder, false)?;
    super::hook(hook, config, service, cluster, endpoints, &folder).await?;
    tell(&format!("{service} of {cluster}, by the hook"));
    Ok(())
}
