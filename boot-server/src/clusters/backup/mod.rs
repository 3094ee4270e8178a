//! Backups: the server's own state and what its clusters hold, as one folder with the SHA-256 of every file.
//!
//! A folder appears under its name only when all of it is there and synced. It holds the CA's key and the admin's
//! token: 0700, its files 0600.

pub mod cluster;
pub mod restore;
pub mod snapshot;
pub mod sums;
pub mod take;

use crate::{clusters::members::discovery::Endpoint, config::Config, state::vault::KEY_FILE};
use host::command::hook;
use protocol::{failure::Result, service::Service};
use std::path::Path;

/// What belongs to the server itself, beside its database.
const SERVER_FILES: [&str; 5] = ["config.toml", "ca.crt", "ca.key", "manifest.key", "trust.json"];
/// What belongs to it where there is one.
const OPTIONAL_FILES: [&str; 3] = ["admin.token", "dhcp-leases.json", KEY_FILE];
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
