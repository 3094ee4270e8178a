//! What a firmware has measured: its event log on the wire, and what it says where it fits the PCRs that a TPM has quoted.

use crate::{boot_trust::SecureBoot, encoding, encoding::Sha256};
use serde::{Deserialize, Serialize};

/// Bytes of a log that are sent at most.
pub const MOST_LOG: usize = 128 << 10;

/// The firmware's event log, as the kernel gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventLog {
    /// All of it.
    Sent(#[serde(with = "encoding::base64")] Vec<u8>),
    /// There is none, for this reason.
    Missing(String),
}

impl Default for EventLog {
    fn default() -> Self {
        Self::Missing("the agent sends none".to_owned())
    }
}

/// What the event log of a firmware is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Log {
    /// It makes the PCRs that are quoted: what it says is proven by the TPM.
    Fits(Box<Measured>),
    /// It does not, so that nothing of it is believed.
    DoesNotFit(String),
    /// There is none, for this reason.
    Missing(String),
}

impl Default for Log {
    fn default() -> Self {
        Self::Missing("nobody has asked for it yet".to_owned())
    }
}

impl Log {
    /// What it says, where it is proven.
    pub fn proven(&self) -> Option<&Measured> {
        if let Self::Fits(measured) = self { Some(measured) } else { None }
    }
}

/// What a log says that makes the PCRs that are quoted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Secure Boot and its keys as the firmware has measured them before it started anything; none where PCR 7 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<SecureBoot>,
    /// What vouched for what was started, by the firmware and by what it started.
    #[serde(default)]
    pub authorities: Vec<Authority>,
    /// What the firmware has started, in this order.
    #[serde(default)]
    pub started: Vec<Started>,
    /// So many more were started than are named.
    #[serde(default)]
    pub more_started: usize,
}

/// One entry of a list of keys, by which something was found good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The list: `db`, or one of what was started.
    pub list: String,
    /// SHA-256 of the entry.
    pub sha256: Sha256,
    /// Whose certificate it is, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Something that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// What was measured of it: proven. Of a program of UEFI its Authenticode hash.
    pub sha256: Sha256,
    /// From where it came, as the log says: no hash is over that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl std::fmt::Display for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hash = &self.sha256.hex()[..12];
        match &self.from {
            Some(from) => write!(f, "{from} (SHA-256 {hash})"),
            None => write!(f, "SHA-256 {hash}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_the_wire_is_read_again_and_an_earlier_agent_sends_no_log() {
        for log in [EventLog::Sent(vec![1, 2, 3]), EventLog::Missing("why".into())] {
            let text = serde_json::to_string(&log).unwrap();
            assert_eq!(serde_json::from_str::<EventLog>(&text).unwrap(), log, "{text}");
        }
        let one = Sha256::of(b"one");
        let measured = Measured {
            secure_boot: Some(SecureBoot::default()),
            authorities: vec![Authority { list: "db".into(), sha256: one, subject: Some("CN=vendor".into()) }],
            started: vec![Started { sha256: one, from: None }],
            more_started: 1,
        };
        for log in [Log::Fits(Box::new(measured)), Log::DoesNotFit("why".into()), Log::Missing("why".into())] {
            let text = serde_json::to_string(&log).unwrap();
            assert_eq!(serde_json::from_str::<Log>(&text).unwrap(), log, "{text}");
        }
    }
}
