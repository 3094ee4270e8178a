//! Brings the server's own state back from a backup.

use super::{DATABASE, SERVER, SERVER_FILES, sums};
use crate::{
    base::clock::now,
    config::Config,
    trust::folder::{self, ANCHORS, ISSUING, ROOT},
};
use host::file;
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
    parse,
};
use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    net::{IpAddr, SocketAddr, TcpStream},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// What was done.
#[derive(Debug)]
pub struct Restored {
    /// Where what stood there before is now.
    pub aside: Option<PathBuf>,
    /// The clusters of whose etcd the backup has a snapshot.
    pub etcd: Vec<String>,
}

/// Brings the state of the backup `from` to the folder `dir`.
///
/// # Errors
/// `E-INPUT` for a backup that is not whole; `E-WRONG-STATE` where the server runs, or holds a state and `force` is not
/// given. Nothing has been changed then.
pub fn restore(from: &Path, dir: &Path, force: bool) -> Result<Restored> {
    sums::check(from)?;
    let server = from.join(SERVER);
    for name in SERVER_FILES.iter().chain([&DATABASE]) {
        let path = server.join(name);
        if !path.is_file() {
            return Err(Failure::new(Code::Input, format!("reading {}: it is not there", path.display()))
                .with_remedy("this is no backup of cluster backup"));
        }
    }
    Config::load(&server.join("config.toml"))?;
    refuse_running(dir)?;
    let standing = standing(dir);
    if !standing.is_empty() && !force {
        let cause = format!("restoring to {}: a server is there already", dir.display());
        return Err(Failure::new(Code::WrongState, cause)
            .with_remedy("name another folder, or add --force, which keeps what is there aside"));
    }
    let aside = set_aside(dir, &standing)?;
    let making = || format!("making the folder {}", dir.display());
    DirBuilder::new().recursive(true).mode(0o750).create(dir).or_fail(Code::System, making)?;
    for part in ["images", "cache", "ipxe"] {
        let path = dir.join(part);
        let making = || format!("making the folder {}", path.display());
        DirBuilder::new().recursive(true).mode(0o755).create(&path).or_fail(Code::System, making)?;
    }
    // The configuration last: without it the folder is no server yet.
    let more = super::optional_files().into_iter().filter(|name| server.join(name).is_file());
    let last = SERVER_FILES.map(str::to_owned).into_iter().rev();
    for name in [DATABASE.to_owned()].into_iter().chain(more).chain(last) {
        super::make_parent(dir, &name)?;
        let public = matches!(name.as_str(), "config.toml" | ROOT | ISSUING | ANCHORS);
        file::copy_new(&server.join(&name), &dir.join(&name), if public { 0o644 } else { 0o600 })?;
    }
    Ok(Restored { aside, etcd: etcd_clusters(from)? })
}

/// What of a server stands in the folder.
fn standing(dir: &Path) -> Vec<String> {
    let beside = ["state.db-wal", "state.db-shm", "ports.json"];
    let names = SERVER_FILES.iter().chain([&DATABASE]).chain(&beside).map(|name| (*name).to_owned());
    let folders = folder::FOLDERS.map(str::to_owned);
    let more = super::optional_files().into_iter().filter(|name| !name.contains('/'));
    names.chain(more).chain(folders).filter(|name| dir.join(name).exists()).collect()
}

fn set_aside(dir: &Path, standing: &[String]) -> Result<Option<PathBuf>> {
    if standing.is_empty() {
        return Ok(None);
    }
    let aside = dir.join(format!("before-restore-{}", now().unix_timestamp()));
    let making = || format!("making the folder {}", aside.display());
    DirBuilder::new().mode(0o700).create(&aside).or_fail(Code::System, making)?;
    for name in standing {
        let (from, to) = (dir.join(name), aside.join(name));
        std::fs::rename(&from, &to).or_fail(Code::System, || format!("moving {} aside", from.display()))?;
    }
    Ok(Some(aside))
}

/// A server that runs would go on writing to the files that were moved aside.
fn refuse_running(dir: &Path) -> Result<()> {
    let Ok(text) = std::fs::read(dir.join("ports.json")) else { return Ok(()) };
    let ports: BTreeMap<String, u16> = parse::json("ports.json", &text).unwrap_or_default();
    let Ok(config) = Config::load(&dir.join("config.toml")) else { return Ok(()) };
    let ip = config.https_address().ip();
    let ip = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
    let answers = |port: &u16| TcpStream::connect_timeout(&SocketAddr::new(ip, *port), Duration::from_secs(2)).is_ok();
    if ports.get("https").is_some_and(answers) {
        let cause = format!("restoring to {}: its server runs", dir.display());
        return Err(Failure::new(Code::WrongState, cause).with_remedy("stop boot-server serve first"));
    }
    Ok(())
}

fn etcd_clusters(from: &Path) -> Result<Vec<String>> {
    let files = sums::files_below(from)?;
    let cluster = |path: &PathBuf| Some(path.to_str()?.strip_prefix("etcd-")?.strip_suffix(".snapshot")?.to_owned());
    Ok(files.iter().filter_map(cluster).collect())
}
