//! What the founders of a cluster that was lost begin with: kept below the server's folder by its hash, and handed to
//! who was told to found, alone.

use crate::{
    base::{files, hashing, random},
    domain::{
        arbiter::{Cluster, Restored},
        audit::{Action, Actor},
    },
    state::{self, State},
};
use host::file;
use protocol::{
    Code, Failure,
    arbiter::{Snapshot, TurnRequest},
    encoding::Sha256,
    failure::{OrFail, Result},
    names::NodeName,
    service::Service,
};
use std::{
    fs::File,
    net::IpAddr,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

fn folder_in(dir: &Path) -> PathBuf {
    dir.join("restore")
}

/// Has the next founder that asks fix a new founding set, which begins with the snapshot in `file`. What was founded beside
/// it, such as FlareDB, is founded anew as well: the founders are installed anew. The server of `dir` may run.
pub async fn stage(state: &State, dir: &Path, cluster: &str, service: Service, file: &Path) -> Result<Snapshot> {
    let reading = || format!("reading {}", file.display());
    let size = std::fs::metadata(file).or_fail(Code::System, reading)?.len();
    let snapshot = Snapshot { sha256: hashing::of_file(file)?, size };
    keep(dir, file, &snapshot)?;
    let token = format!("{cluster}-{:08x}", u32::from_ne_bytes(random::bytes()?));
    let mut unit = state.begin().await?;
    unit.forget_cluster(cluster).await?;
    let restored = Some(Restored { snapshot: snapshot.clone(), token });
    unit.save_cluster(cluster, service, &Cluster { restored, ..Cluster::default() }).await?;
    let text = format!("has the founders of {service} of {cluster} begin with the snapshot {}", snapshot.sha256);
    unit.note(Actor::folder(), None, Action::ClusterRestored.says(text)).await?;
    unit.commit().await?;
    Ok(snapshot)
}

/// Puts the file where the server finds it by its hash, and belongs to the server: the operator may be root, and the
/// server not.
fn keep(dir: &Path, file: &Path, snapshot: &Snapshot) -> Result<()> {
    let folder = folder_in(dir);
    let (whole, partial) = (folder.join(snapshot.sha256.hex()), folder.join("partial"));
    let failed = || format!("keeping {}", whole.display());
    let owner = std::fs::metadata(state::path_in(dir)).or_fail(Code::System, failed)?;
    let give = |path: &Path| chown(path, Some(owner.uid()), Some(owner.gid())).or_fail(Code::System, failed);
    file::make_private(&folder, true)?;
    give(&folder)?;
    if partial.exists() {
        std::fs::remove_file(&partial).or_fail(Code::System, failed)?;
    }
    file::copy_new(file, &partial, 0o600)?;
    give(&partial)?;
    std::fs::rename(&partial, &whole).or_fail(Code::System, failed)?;
    file::sync(&folder)
}

/// Hands it out.
#[derive(Debug)]
pub struct Founding {
    state: State,
    /// The server's folder.
    dir: PathBuf,
}

impl Founding {
    /// Of the parts it uses.
    pub fn new(state: State, dir: PathBuf) -> Self {
        Self { state, dir }
    }

    /// The snapshot for a node that founds its cluster, open.
    ///
    /// # Errors
    /// `E-WRONG-STATE` for another generation than the node's; `E-NOT-FOUND` for a node that was not told to found with
    /// one; `E-SYSTEM` where it cannot be read.
    pub async fn snapshot(
        &self,
        name: &NodeName,
        key: &Sha256,
        wanted: &TurnRequest,
        from: IpAddr,
    ) -> Result<(File, Snapshot)> {
        let TurnRequest { service, generation } = *wanted;
        let mut unit = self.state.begin().await?;
        let node = unit.node_of(name, key).await?;
        node.record.admitted_at(generation).map_err(|refusal| refusal.failure(name))?;
        let cluster = &node.cluster()?.cluster_name;
        let mut known = unit.cluster(cluster, service).await?;
        let Some(snapshot) = known.snapshot_for(name, generation).cloned() else {
            let cause = format!("looking for a snapshot for node {name}: it founds {service} of {cluster} with none");
            return Err(Failure::new(Code::NotFound, cause));
        };
        let damaged = |cause: String| {
            Failure::new(Code::System, format!("opening the snapshot of {service} of {cluster}: {cause}"))
                .with_remedy("run boot-server cluster restore --cluster again: it is in no backup of the server")
        };
        let hash = snapshot.sha256.hex();
        let opened = files::open_soon(&folder_in(&self.dir), &[&hash]).await;
        let (file, metadata) = opened.map_err(|error| damaged(error.to_string()))?;
        if metadata.len() != snapshot.size {
            return Err(damaged(format!("it has {} bytes instead of {}", metadata.len(), snapshot.size)));
        }
        if let Some(seat) = known.seats.get_mut(name).filter(|seat| seat.handed != Some(generation)) {
            seat.handed = Some(generation);
            unit.save_cluster(cluster, service, &known).await?;
            let text = format!("was handed the snapshot of {service} of {cluster}");
            unit.note(Actor::from(name).at(from), Some(name), Action::SnapshotHandedOut.says(text)).await?;
        }
        unit.commit().await?;
        Ok((file, snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_stages_belongs_to_the_user_of_the_server_and_to_nobody_else() {
        const SERVER: u32 = 65534;
        let dir = tempfile::tempdir().unwrap();
        let (state, file) = (state::path_in(dir.path()), dir.path().join("saved"));
        std::fs::write(&state, "").unwrap();
        std::fs::write(&file, "what it held").unwrap();
        chown(&state, Some(SERVER), Some(SERVER)).unwrap();
        let snapshot = Snapshot { sha256: Sha256::of(b"what it held"), size: 12 };
        for _ in 0..2 {
            keep(dir.path(), &file, &snapshot).unwrap();
            // The rest of an attempt that a power cut ended.
            std::fs::write(folder_in(dir.path()).join("partial"), "what").unwrap();
        }
        let folder = folder_in(dir.path());
        let kept = folder.join(snapshot.sha256.hex());
        assert_eq!(std::fs::read(&kept).unwrap(), b"what it held");
        for (path, mode) in [(&folder, 0o40700), (&kept, 0o100_600)] {
            let metadata = std::fs::metadata(path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid(), metadata.mode()), (SERVER, SERVER, mode), "{}", path.display());
        }
    }
}
