//! What the founders of a cluster that was lost begin with: kept below the server's folder by its hash, and handed to
//! who was told to found, alone.

use super::{Cluster, service::cluster_of};
use crate::{
    backup::sums,
    files, folder,
    install::still_current,
    server::{Server, now},
    state::{self, State, audit, clusters, nodes},
};
use protocol::{
    Code, Failure,
    arbiter::{Snapshot, TurnRequest},
    encoding::Sha256,
    failure::{OrFail, Result},
    names::NodeName,
    service::Service,
};
use std::{
    fs::{DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

fn folder_in(dir: &Path) -> PathBuf {
    dir.join("restore")
}

/// Has the next founder that asks fix a new founding set, which begins with the snapshot in `file`. The server of `dir`
/// may run.
///
/// # Errors
/// `E-SYSTEM`.
pub async fn found_from(state: &State, dir: &Path, cluster: &str, service: Service, file: &Path) -> Result<Snapshot> {
    let reading = || format!("reading {}", file.display());
    let size = std::fs::metadata(file).or_fail(Code::System, reading)?.len();
    let snapshot = Snapshot { sha256: sums::of_file(file)?, size };
    let folder = folder_in(dir);
    let making = || format!("making the folder {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).or_fail(Code::System, making)?;
    let (whole, partial) = (folder.join(snapshot.sha256.hex()), folder.join("partial"));
    let failed = || format!("keeping {}", whole.display());
    if partial.exists() {
        std::fs::remove_file(&partial).or_fail(Code::System, failed)?;
    }
    folder::copy_new(file, &partial, 0o600)?;
    std::fs::rename(&partial, &whole).or_fail(Code::System, failed)?;
    File::open(&folder).and_then(|folder| folder.sync_all()).or_fail(Code::System, failed)?;
    let mut write = state.write().await?;
    let fresh = Cluster { snapshot: Some(snapshot.clone()), ..Cluster::default() };
    clusters::save(&mut write, cluster, service, &fresh).await?;
    let text = format!("has the founders of {service} of {cluster} begin with the snapshot {}", snapshot.sha256);
    audit::note(&mut write, now(), "cluster restore", None, text).await?;
    state::commit(write).await?;
    Ok(snapshot)
}

impl Server {
    /// The snapshot for a node that founds its cluster, open.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's; `E-NOT-FOUND` for a node that was not told to found with
    /// one; `E-SYSTEM` where it cannot be read.
    pub async fn founding_snapshot(
        &self,
        name: &NodeName,
        key: &Sha256,
        wanted: &TurnRequest,
    ) -> Result<(File, Snapshot)> {
        let TurnRequest { service, generation } = *wanted;
        let mut write = self.state.write().await?;
        let node = nodes::load(&mut write, name).await?;
        still_current(&node, key)?;
        node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name))?;
        let cluster = &cluster_of(&node)?.cluster_name;
        let known = clusters::load(&mut write, cluster, service).await?;
        let founds = known.seats.get(name).is_some_and(|seat| seat.founded == Some(generation));
        let Some(snapshot) = known.snapshot.filter(|_| founds) else {
            let cause = format!("looking for a snapshot for node {name}: it founds {service} of {cluster} with none");
            return Err(Failure::new(Code::NotFound, cause));
        };
        let opening = || format!("opening the snapshot of {service} of {cluster}");
        let hash = snapshot.sha256.hex();
        let (file, metadata) =
            files::open_soon(&folder_in(&self.config.dir), &[&hash]).await.or_fail(Code::System, opening)?;
        if metadata.len() != snapshot.size {
            let cause = format!("{}: it has {} bytes instead of {}", opening(), metadata.len(), snapshot.size);
            return Err(Failure::new(Code::System, cause).with_remedy("run boot-server cluster restore again"));
        }
        let text = format!("was handed the snapshot of {service} of {cluster}");
        audit::note(&mut write, now(), "server", Some(name), text).await?;
        state::commit(write).await?;
        Ok((file, snapshot))
    }
}
