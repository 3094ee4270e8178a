//! `[cluster]` and `[power]`: the operator's hooks, and how long they may take.

use serde::Deserialize;
use std::{num::NonZeroU32, path::PathBuf, time::Duration};

/// `[cluster]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// A node that is ready is silent when nothing was heard of it for so many seconds; it speaks every minute.
    pub silent_after_seconds: NonZeroU32,
    /// Program that moves the work away from a node before it is decommissioned: `HOOK NODE`.
    pub drain: Option<PathBuf>,
    /// Program that backs up Chainfire and FlareDB: `HOOK SERVICE CLUSTER FOLDER`.
    pub backup_hook: Option<PathBuf>,
    /// Program that brings back what `backup_hook` wrote: `HOOK SERVICE CLUSTER FOLDER`.
    pub restore_hook: Option<PathBuf>,
    /// Seconds that a hook of clusters may take.
    pub hook_timeout_seconds: NonZeroU32,
}

impl Default for Cluster {
    fn default() -> Self {
        let seconds = |seconds| NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN);
        Self {
            silent_after_seconds: seconds(180),
            drain: None,
            backup_hook: None,
            restore_hook: None,
            hook_timeout_seconds: seconds(600),
        }
    }
}

/// `[power]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Power {
    /// Program that powers machines: `HOOK on|off|cycle|network-boot NODE`.
    pub command: Option<PathBuf>,
    /// Seconds that it may take.
    pub timeout_seconds: NonZeroU32,
}

impl Default for Power {
    fn default() -> Self {
        Self { command: None, timeout_seconds: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN) }
    }
}

impl Power {
    /// How long the hook may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.get().into())
    }
}

impl Cluster {
    /// How long a hook may take.
    pub fn hook_timeout(&self) -> Duration {
        Duration::from_secs(self.hook_timeout_seconds.get().into())
    }

    /// When silence begins.
    pub fn silent_after(&self) -> Duration {
        Duration::from_secs(self.silent_after_seconds.get().into())
    }
}
