//! What is at hand in RAM. What is durable as well changes with the commit of a unit alone; the rest (what machines do
//! right now) is no history.

pub mod admins;
pub mod directory;
pub mod news;
pub mod presence;
pub mod rejections;
pub mod revoked;
pub mod vitals;

use crate::domain::{enrolment::Entry, vitals::Heard};
use admins::{Admins, Key};
use directory::Directory;
use news::News;
use presence::{Presence, Waits};
use protocol::{Timestamp, encoding::Sha256, names::NodeName, rejection::Rejection};
use rejections::Rejections;
use revoked::Revoked;
use vitals::LastHeard;

/// The parts.
#[derive(Debug, Default)]
pub struct Memory {
    /// Keys that may do nothing any more.
    pub revoked: Revoked,
    /// Machines that were refused.
    pub rejections: Rejections,
    /// Keys of admins' certificates.
    pub admins: Admins,
    /// The nodes.
    pub directory: Directory,
    /// How installed nodes are.
    pub vitals: LastHeard,
    /// What nodes wait for before they enter their cluster.
    pub waits: Waits,
    /// What machines do right now.
    pub presence: Presence,
    /// Who waits for what becomes of an enrolment.
    pub news: News,
}

/// What a commit changes, beside the entries of nodes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub revoked: Vec<Sha256>,
    pub admins: Vec<Key>,
    /// All of them, where one has come or gone.
    pub rejections: Option<Vec<Rejection>>,
    pub vitals: Vec<(NodeName, Option<Heard>)>,
    pub waits: Vec<(NodeName, Option<String>, Timestamp)>,
    /// Enrolments of which something has become.
    pub enrolments: Vec<i64>,
}

impl Changes {
    /// Whether something is in it that those who watch want to see.
    pub(super) fn rings(&self) -> bool {
        !self.revoked.is_empty() || !self.vitals.is_empty()
    }
}

impl Memory {
    /// Follows a commit; whether a node waits for something new.
    pub(super) fn follow(&self, changes: Changes, entries: Vec<Entry>) -> bool {
        // First what is refused from now on.
        changes.revoked.into_iter().for_each(|key| self.revoked.add(key));
        changes.admins.into_iter().for_each(|key| self.admins.follow(key));
        changes.rejections.into_iter().for_each(|rejections| self.rejections.put(rejections));
        self.directory.put(entries);
        changes.vitals.into_iter().for_each(|(node, heard)| self.vitals.set(node, heard));
        changes.enrolments.into_iter().for_each(|enrolment| self.news.tell(enrolment));
        changes.waits.into_iter().fold(false, |news, (node, reason, now)| self.waits.told(&node, reason, now) || news)
    }
}
