//! Keys that may do nothing any more: asked at every request, and heard by every open connection.

use crate::base::bell::Bell;
use protocol::encoding::Sha256;
use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

/// The revoked keys, in memory.
#[derive(Debug, Default)]
pub struct Revoked {
    keys: RwLock<HashSet<Sha256>>,
    bell: Bell,
}

impl Revoked {
    /// Whether the key is revoked.
    pub fn holds(&self, key: &Sha256) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Revokes the key.
    pub(in crate::state) fn add(&self, key: Sha256) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.bell.ring();
    }

    /// Ends when the key is revoked; never without a key.
    pub async fn wait_for(&self, key: Option<Sha256>) {
        let Some(key) = key else { return std::future::pending().await };
        let mut bell = self.bell.listen();
        while !self.holds(&key) {
            if bell.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
