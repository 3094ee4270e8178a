//! Backups: the server's own state and what its clusters hold, as one folder with the SHA-256 of every file.
//!
//! A folder appears under its name only when all of it is there and synced. It holds the CA's key and the admin's
//! token: 0700, its files 0600.

pub mod commands;
pub mod restore;
pub mod snapshot;
pub mod sums;
pub mod take;

/// What belongs to the server itself, beside its database.
const SERVER_FILES: [&str; 6] = ["config.toml", "ca.crt", "ca.key", "manifest.key", "admin.token", "trust.json"];
/// What belongs to it where there is one.
const OPTIONAL_FILES: [&str; 1] = ["dhcp-leases.json"];
/// The database in the folder of the server, and in a backup.
const DATABASE: &str = "state.db";
/// The server's own part of a backup.
const SERVER: &str = "server";
/// `sha256sum -c SHA256SUMS` checks a backup as well.
const SUMS: &str = "SHA256SUMS";
