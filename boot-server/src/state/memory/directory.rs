//! Nodes at hand: what a boot script and a DHCP packet are decided from.

use crate::domain::{addresses::FixedAddresses, enrolment::Entry};
use std::sync::{Arc, PoisonError, RwLock};

/// Every node.
#[derive(Debug, Default)]
pub struct Directory(RwLock<Content>);

#[derive(Debug, Default)]
struct Content {
    entries: Vec<Entry>,
    addresses: Arc<FixedAddresses>,
}

impl Directory {
    /// Decides over the nodes.
    pub fn with<T>(&self, decide: impl FnOnce(&[Entry]) -> T) -> T {
        decide(&self.0.read().unwrap_or_else(PoisonError::into_inner).entries)
    }

    /// The addresses that operators fixed.
    pub fn addresses(&self) -> Arc<FixedAddresses> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).addresses.clone()
    }

    /// Puts entries in the place of those of the same nodes.
    pub(in crate::state) fn put(&self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut content = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut moved = false;
        for entry in entries {
            match content.entries.iter_mut().find(|known| known.name == entry.name) {
                Some(known) => {
                    moved |= (&known.matches, known.address) != (&entry.matches, entry.address);
                    *known = entry;
                }
                None => {
                    moved = true;
                    content.entries.push(entry);
                }
            }
        }
        if moved {
            content.addresses = Arc::new(FixedAddresses::of(&content.entries));
        }
    }
}
