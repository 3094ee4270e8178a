//! `boot-server cluster backup` and `restore`

use crate::backup::{restore, take};
use protocol::failure::Result;
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
    let folder = take::take(&args.dir, &args.out, parts, |part| println!("{part}")).await?;
    println!("{}", folder.display());
    Ok(())
}

/// Bring the server's own state back from a backup
///
/// Checks the sum of every file first. Refuses a folder that holds a server, unless --force is given, which moves what is
/// there into before-restore-TIME. Then prints what to type on the founders to bring etcd back from its snapshot; the guide
/// to disaster recovery has the whole way.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The folder that cluster backup made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Init folder of the server to bring back
    #[arg(long, env = "CENTRA_DIR")]
    dir: PathBuf,
    /// Also over a server, which is kept aside
    #[arg(long)]
    force: bool,
}

/// Brings the server back.
pub fn restore(args: &Restore) -> Result<()> {
    let restored = restore::restore(&args.from, &args.dir, args.force)?;
    let dir = args.dir.display();
    println!("Restored {dir}. Start it: boot-server serve --config {dir}/config.toml");
    if let Some(aside) = restored.aside {
        println!("What was there before is in {}.", aside.display());
    }
    println!("Images and the binary cache are not in a backup: image-builder deploy, and push the systems again.");
    for commands in restored.etcd {
        println!("\nWhere all members of this etcd are lost, and only then:\n\n{commands}");
    }
    Ok(())
}
