//! Keys of admins' certificates: asked at every handshake, and heard by every open connection.

use crate::base::bell::Bell;
use protocol::encoding::Sha256;
use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

/// The keys, in memory.
#[derive(Debug, Default)]
pub struct Admins {
    keys: RwLock<HashSet<Sha256>>,
    bell: Bell,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
pub(in crate::state) enum Key {
    /// It is an admin's from now on.
    Taken(Sha256),
    /// It is nobody's any more.
    Revoked(Sha256),
}

impl Admins {
    /// Whether the key is an admin's. Until when, and how far it goes, is in the state.
    pub fn holds(&self, key: &Sha256) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    pub(in crate::state) fn follow(&self, key: Key) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Key::Taken(key) => drop(keys.insert(key)),
            Key::Revoked(key) => drop(keys.remove(&key)),
        }
        drop(keys);
        self.bell.ring();
    }

    /// Ends when the key is an admin's no more; never without a key.
    pub async fn wait_for_end(&self, key: Option<Sha256>) {
        let Some(key) = key else { return std::future::pending().await };
        let mut bell = self.bell.listen();
        while self.holds(&key) {
            if bell.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
