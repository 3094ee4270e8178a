//! Machines that admins have refused, at hand: asked whenever a machine asks or boots.

use protocol::rejection::Rejection;
use std::sync::{Arc, PoisonError, RwLock};

/// Every refusal, the oldest first.
#[derive(Debug, Default)]
pub struct Rejections(RwLock<Arc<[Rejection]>>);

impl Rejections {
    /// All of them.
    pub fn all(&self) -> Arc<[Rejection]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These, and no other.
    pub(in crate::state) fn put(&self, rejections: Vec<Rejection>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rejections.into();
    }
}
