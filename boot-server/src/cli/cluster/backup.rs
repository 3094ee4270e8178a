//! `boot-server cluster backup` and `restore`

use crate::{
    base::health::Health,
    clusters::backup::{cluster, restore, take},
    domain::audit::{Action, Actor},
    state::{self, State},
};
use protocol::{Code, Failure, failure::Result, service::Service};
use std::path::PathBuf;

/// Back up the server and what its clusters hold
///
/// Run it on the server's host; the server may run or not. Makes a new folder below --out with the server's own state
/// (database, CA and keys, configuration), a snapshot of every etcd, checked by its own hash, and what the hook [cluster]
/// backup_hook writes for Chainfire and FlareDB. SHA256SUMS has the sum of every file. The folder appears when it is whole.
/// It holds the keys that own every node: keep it as you keep those. Images and the binary cache are not in it.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Init folder of the server on this host
    #[arg(long, env = "CENTRA_DIR")]
    dir: PathBuf,
    /// Folder to make the backup's folder in
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The server's own state alone: the clusters are not asked
    #[arg(long)]
    server_only: bool,
}

/// Takes a backup.
pub async fn backup(args: Backup) -> Result<()> {
    let parts = take::Parts { clusters: !args.server_only };
    let folder = take::take(&args.dir, &args.out, parts, |part| host::say!("{part}")).await?;
    host::say!("{}", folder.display());
    Ok(())
}

/// Bring the server's own state back from a backup, or what a cluster held
///
/// Checks the sum of every file first. Without --cluster it brings back the server: it refuses a folder that holds a
/// server, unless --force is given, which moves what is there into before-restore-TIME.
///
/// With --cluster it brings back what that cluster held, for the case that all its members are lost, or no majority of
/// them can be mended. The founders begin with etcd's snapshot when they are installed next, and the other nodes join
/// them: nothing is typed on a node. It is refused while something listens on the etcd port of any node of the cluster. For
/// Chainfire and FlareDB the hook [cluster] restore_hook is called now. What was written after the backup is lost. The
/// server may run.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The folder that cluster backup made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Init folder of the server on this host
    #[arg(long, env = "CENTRA_DIR")]
    dir: PathBuf,
    /// Bring back what this cluster held, in the place of the server's own state
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Of the cluster, this service alone; repeat for more
    #[arg(long, value_name = "SERVICE", requires = "cluster")]
    service: Vec<String>,
    /// Yes, what this cluster holds now is given up
    #[arg(long, requires = "cluster")]
    yes: bool,
    /// Also over a server, which is kept aside; also where members of the cluster's etcd still run
    #[arg(long)]
    force: bool,
}

/// Brings back the server, or a cluster.
pub async fn restore(args: &Restore) -> Result<()> {
    match &args.cluster {
        Some(cluster) => restore_cluster(args, cluster).await,
        None => restore_server(args).await,
    }
}

async fn restore_server(args: &Restore) -> Result<()> {
    let restored = restore::restore(&args.from, &args.dir, args.force)?;
    let dir = args.dir.display();
    if let Err(failure) = noted(args).await {
        host::tell!("boot-server: what was restored cannot be opened here: {failure}");
    }
    host::say!("Restored {dir}. Start it: boot-server serve --config {dir}/config.toml");
    if let Some(aside) = restored.aside {
        host::say!("What was there before is in {}.", aside.display());
    }
    host::say!("Images and the binary cache are not in a backup: image-builder deploy, and push the systems again.");
    for cluster in restored.etcd {
        host::say!(
            "Where all members of etcd of {cluster} are lost as well, and only then: \
             boot-server cluster restore --cluster {cluster} --from {} --dir {dir} --yes",
            args.from.display()
        );
    }
    Ok(())
}

async fn noted(args: &Restore) -> Result<()> {
    let state = State::open(&state::path_in(&args.dir), Health::default()).await?;
    let text = format!("brought the server back from {}", args.from.display());
    state.note(Actor::folder(), None, Action::ServerRestored.says(text)).await?;
    state.close().await;
    Ok(())
}

async fn restore_cluster(args: &Restore, name: &str) -> Result<()> {
    // It is a part of names of files.
    super::checked(name)?;
    let wrong = |error| Failure::new(Code::Input, format!("reading --service: {error}"));
    let services = args.service.iter().map(|name| name.parse().map_err(wrong)).collect::<Result<Vec<Service>>>()?;
    if !args.yes {
        let cause = format!("restoring cluster {name}: what it holds now would be given up");
        return Err(Failure::new(Code::Config, cause).with_remedy("add --yes where that is wanted"));
    }
    let Restore { from, dir, force, .. } = args;
    let wanted = cluster::Wanted { from, dir, cluster: name, services: &services, force: *force };
    let Some(who) = cluster::restore(&wanted, |part| host::say!("{part}")).await? else { return Ok(()) };
    host::say!("\nInstall the founders anew, together; then the others, which join them:");
    for node in who.founders.iter().chain(&who.others) {
        host::say!("  boot-server reinstall {node} --yes");
    }
    host::say!(
        "and have them boot from the network. For another machine: boot-server cluster replace NODE --yes --force"
    );
    Ok(())
}
