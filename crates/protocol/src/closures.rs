//! What the admin asks of the boot-server's binary cache, and what it answers.

use crate::{
    Failure, Timestamp,
    names::{NodeName, StorePath},
};
use serde::{Deserialize, Serialize};

/// `GET /v1/closures`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClosureList {
    /// Paths that no other refers to, and those that nodes need; by name.
    pub closures: Vec<Closure>,
    /// Narinfos that cannot be read.
    #[serde(default)]
    pub damaged: Vec<Failure>,
}

/// A toplevel with all that it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closure {
    /// The toplevel.
    pub path: StorePath,
    /// Paths of the closure, itself among them.
    pub paths: u64,
    /// Paths of the closure that are not in the cache.
    pub missing: u64,
    /// Unpacked size, bytes.
    pub nar_bytes: u64,
    /// Size in the cache, bytes; what closures share counts for each.
    pub file_bytes: u64,
    /// Paths of the closure that nobody has signed and whose content does not prove their name: no node takes them.
    #[serde(default)]
    pub unsigned: u64,
    /// Nodes that need it.
    pub nodes: Vec<NodeName>,
    /// When it was pushed.
    #[serde(with = "time::serde::rfc3339")]
    pub uploaded: Timestamp,
}

/// `POST /v1/closures/verify`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Check the closures of these; everything where it is empty.
    #[serde(default)]
    pub paths: Vec<StorePath>,
    /// Take what is damaged out of service, with everything that refers to it.
    #[serde(default)]
    pub remove: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Paths that were checked.
    pub checked: u64,
    /// What is wrong, a failure for each path.
    pub damaged: Vec<Failure>,
    /// Narinfos that were taken out of service, by file name.
    pub removed: Vec<String>,
    /// Paths that are whole, and that no node takes: no key that a spec trusts has signed them; nobody at all, where there is
    /// no spec.
    #[serde(default)]
    pub unsigned: Vec<StorePath>,
}

/// `POST /v1/closures/gc`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcRequest {
    /// Say what would go, and remove nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Paths that were pushed within these last seconds stay.
    pub keep_newer_seconds: u64,
}

/// What a collection removed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcReport {
    /// Store paths.
    pub paths: Vec<StorePath>,
    /// NAR files.
    pub nars: u64,
    /// Their size, bytes.
    pub freed_bytes: u64,
    /// Store paths that stay.
    pub kept: u64,
}

/// Long work is answered in lines of JSON; the last one is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<T> {
    /// How far it is, at least every ten seconds.
    Progress {
        /// Steps that are done.
        done: u64,
        /// Steps in all.
        total: u64,
    },
    /// A step that is done, for people.
    Step(String),
    /// The result.
    Done(T),
    /// It ended without one.
    Failed(Failure),
}
