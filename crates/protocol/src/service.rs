//! The cluster services that a node can become a member of, or that it sets up.

use crate::names::BadName;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A cluster service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// etcd
    Etcd,
    /// Chainfire
    Chainfire,
    /// FlareDB
    Flaredb,
    /// IAM: set up once for the cluster, and no member of it.
    Iam,
}

impl Service {
    /// All of them, in the order of joining.
    pub const ALL: [Self; 4] = [Self::Etcd, Self::Chainfire, Self::Flaredb, Self::Iam];

    /// As on the command line, in file names and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Chainfire => "chainfire",
            Self::Flaredb => "flaredb",
            Self::Iam => "iam",
        }
    }

    /// The port that its clients speak to.
    pub fn port(self) -> u16 {
        match self {
            Self::Etcd | Self::Chainfire => 2379,
            Self::Flaredb => 2479,
            Self::Iam => 8080,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|service| service.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            BadName::new(format!("{text:?} is not a service of the cluster ({known})"))
        })
    }
}
