//! What every leg is given beside its own configuration.

use super::{policy::Policy, site::Site};
use crate::base::{health::Health, requests::Requests};
use std::{path::PathBuf, sync::Arc};

/// Shared by the legs; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where machines reach this server.
    pub site: Site,
    /// Who boots what.
    pub policy: Arc<dyn Policy>,
    /// What the legs are doing.
    pub health: Health,
    /// How much strangers ask.
    pub requests: Arc<Requests>,
    /// Where a leg may keep a small file of its own.
    pub state_dir: PathBuf,
}
