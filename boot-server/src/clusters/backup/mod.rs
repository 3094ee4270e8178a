//! Backups: the server's own state and what its clusters hold, as one folder with the SHA-256 of every file.
//!
//! A folder appears under its name only when all of it is there and synced. It holds the CA's key and the admin's
//! token: 0700, its files 0600.

pub mod cluster;
pub mod restore;
pub mod snapshot;
pub mod sums;
pub mod take;

use crate::{
    clusters::members::discovery::Endpoint,
    config::Config,
    state::vault::KEY_FILE,
    trust::{
        ca::issuers::REQUEST_KEY,
        folder::{self, ANCHORS, ISSUING, ISSUING_KEY, MANIFEST_KEY, ROOT, ROOT_KEY},
        ipxe,
    },
};
use host::{command::hook, file};
use protocol::{failure::Result, service::Service};
use std::path::Path;

/// What belongs to the server itself, beside its database.
const SERVER_FILES: [&str; 4] = ["config.toml", ROOT, MANIFEST_KEY, ANCHORS];
/// What belongs to it where there is one.
fn optional_files() -> Vec<String> {
    let files = ["admin.token", "dhcp-leases.json", KEY_FILE, ROOT_KEY, ISSUING, ISSUING_KEY, REQUEST_KEY];
    files.map(str::to_owned).into_iter().chain(folder::of_rotation()).chain(ipxe::files()).collect()
}

/// Makes the folder of a file that lies below the server's.
fn make_parent(dir: &Path, name: &str) -> Result<()> {
    match Path::new(name).parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => file::make_private(&dir.join(parent), true),
        None => Ok(()),
    }
}

/// The database in the folder of the server, and in a backup.
const DATABASE: &str = "state.db";
/// The server's own part of a backup.
const SERVER: &str = "server";
/// `sha256sum -c SHA256SUMS` checks a backup as well.
const SUMS: &str = "SHA256SUMS";

/// Calls an operator's hook for what a service of a cluster holds: `HOOK SERVICE CLUSTER FOLDER`.
async fn hook(
    program: &Path,
    config: &Config,
    service: Service,
    cluster: &str,
    members: &[Endpoint],
    folder: &Path,
) -> Result<()> {
    let members: Vec<String> = members.iter().map(|member| member.client.to_string()).collect();
    let facts = [
        ("CENTRA_SERVICE", service.to_string()),
        ("CENTRA_CLUSTER", cluster.to_owned()),
        ("CENTRA_MEMBERS", members.join(" ")),
    ];
    let folder = folder.to_string_lossy();
    hook::run(program, &[service.name(), cluster, &folder], &facts, config.cluster.hook_timeout()).await.map(drop)
}

/// The file of etcd's data in a backup.
fn snapshot_name(cluster: &str) -> String {
    format!("etcd-{cluster}.snapshot")
}

/// The folder of what the hook wrote.
fn folder_name(service: Service, cluster: &str) -> String {
    format!("{service}-{cluster}")
}
