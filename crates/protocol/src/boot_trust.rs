//! How far a machine's boot is to be believed: what of the chain from its firmware to the agent was verified this time.

use crate::encoding::Sha256;
use serde::{Deserialize, Serialize};

/// What was verified, the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootTrust {
    /// Nothing: what the machine runs came as the network gave it.
    #[default]
    Nothing,
    /// The machine says that its iPXE fetched over TLS, from this server by a root that is built in. Its own word.
    OverTls,
    /// The machine says that Secure Boot is on: its firmware started nothing that is not signed. Its own word.
    SecureBoot,
    /// The machine's TPM is proven, and has quoted what was measured from the firmware on.
    Measured,
}

impl BootTrust {
    /// Of a machine that says this of Secure Boot and its iPXE, and whose TPM has proven itself or not in the enrolment that counts.
    pub fn of(secure_boot: &SecureBoot, fetched: Fetched, measured: bool) -> Self {
        match (measured, secure_boot.state, fetched) {
            (true, _, _) => Self::Measured,
            (false, SecureBootState::On, _) => Self::SecureBoot,
            (false, _, Fetched::OverTls) => Self::OverTls,
            (false, _, Fetched::Plainly) => Self::Nothing,
        }
    }

    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::OverTls => "over-tls",
            Self::SecureBoot => "secure-boot",
            Self::Measured => "measured",
        }
    }

    /// What it means, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing of its boot was verified",
            Self::OverTls => "its iPXE fetched over TLS from this server, as it says itself",
            Self::SecureBoot => "its firmware started nothing that is not signed, as it says itself",
            Self::Measured => "its TPM has quoted what was measured from the firmware on",
        }
    }
}

impl std::fmt::Display for BootTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How what the machine runs came to it, by the kernel line of the script that its iPXE was given: a machine's own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fetched {
    /// As the network gave it, or from a medium.
    #[default]
    Plainly,
    /// Over TLS, from a server whose certificate leads to a root that is built into iPXE.
    OverTls,
}

impl Fetched {
    /// The kernel parameter that says so.
    pub const OVER_TLS: &str = "centra.fetched=tls";

    /// Whether there is nothing to say.
    pub fn is_plainly(&self) -> bool {
        *self == Self::Plainly
    }
}

/// Secure Boot as the firmware's variables say (UEFI specification 2.10, section 32.3): a machine's own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecureBoot {
    /// Whether it is on.
    pub state: SecureBootState,
    /// SHA-256 of the variables with the keys that are trusted, without their attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pk: Option<Sha256>,
    /// The same of the keys that may change the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kek: Option<Sha256>,
    /// The same of what may start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db: Option<Sha256>,
    /// The same of what may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbx: Option<Sha256>,
}

/// Whether Secure Boot is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecureBootState {
    /// The firmware has none, or says nothing of it.
    #[default]
    Absent,
    /// It is off.
    Off,
    /// Whoever comes first may write the keys: nothing is verified.
    Setup,
    /// It is on.
    On,
}

impl std::fmt::Display for SecureBootState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Absent => "absent",
            Self::Off => "off",
            Self::Setup => "in setup mode",
            Self::On => "on",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_worth_more_than_a_machine_s_word_and_setup_mode_is_worth_nothing() {
        let says = |state| SecureBoot { state, ..SecureBoot::default() };
        for fetched in [Fetched::Plainly, Fetched::OverTls] {
            assert_eq!(BootTrust::of(&says(SecureBootState::On), fetched, false), BootTrust::SecureBoot);
            assert_eq!(BootTrust::of(&says(SecureBootState::Absent), fetched, true), BootTrust::Measured);
        }
        for state in [SecureBootState::Absent, SecureBootState::Off, SecureBootState::Setup] {
            assert_eq!(BootTrust::of(&says(state), Fetched::Plainly, false), BootTrust::Nothing);
            assert_eq!(BootTrust::of(&says(state), Fetched::OverTls, false), BootTrust::OverTls);
        }
        let levels = [BootTrust::Nothing, BootTrust::OverTls, BootTrust::SecureBoot, BootTrust::Measured];
        assert!(levels.is_sorted());
        for level in levels {
            assert_eq!(serde_json::to_value(level).unwrap(), level.name());
        }
    }
}
