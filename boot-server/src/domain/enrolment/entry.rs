//! What is known of a node while it is decided who becomes it.

use crate::domain::lifecycle::Record;
use protocol::{
    Timestamp,
    claims::Claims,
    encoding::Sha256,
    names::{NodeName, RunId},
    spec::{Admission, Match},
};
use std::net::Ipv4Addr;

/// What the directory knows of one node.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: NodeName,
    /// Which machine the operator says it is; absent before a spec has been applied.
    pub matches: Option<Match>,
    /// Claims of the machine that was admitted as it.
    pub claims: Option<Claims>,
    /// The run in which it asked.
    pub asked_in: Option<RunId>,
    /// The key of that machine.
    pub key: Option<Sha256>,
    /// The key that it changes to.
    pub next_key: Option<Sha256>,
    /// When the last certificate of its key ends.
    pub certificate_ends: Option<Timestamp>,
    /// Until then one machine with its claims needs no approval: it takes the node's place.
    pub window: Option<Timestamp>,
    /// The endorsement key of the TPM that it has proven last.
    pub tpm: Option<Sha256>,
    /// The address that is fixed for its cards.
    pub address: Option<Ipv4Addr>,
    /// The cluster that it is a founder of.
    pub founds: Option<String>,
    /// How a machine may become it, where the spec says so.
    pub admission: Option<Admission>,
    /// The role it boots with.
    pub profile: NodeName,
    /// Where it stands.
    pub record: Record,
}
