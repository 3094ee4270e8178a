//! Machines that an admin has refused.

use crate::{
    Timestamp,
    claims::Claims,
    encoding::Sha256,
    names::NodeName,
    text::{cut, one_line},
};
use serde::{Deserialize, Serialize};

/// Bytes of a reason that are kept.
pub const MOST_REASON: usize = 200;

/// Refuses a machine that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectRequest {
    /// Why, for whoever stands before the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RejectRequest {
    /// The reason as it is kept and shown: one line, without what commands a terminal.
    pub fn reason(&self) -> Option<String> {
        let line = one_line(self.reason.as_deref().unwrap_or_default());
        let line = cut(line.trim().to_owned(), MOST_REASON);
        (!line.is_empty()).then_some(line)
    }
}

/// A machine that was refused, by what it is known when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What admins call it: `machine-...`.
    pub machine: String,
    /// The node that it claimed to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// SPKI hash of the key with which it asked.
    pub key: Sha256,
    /// What it said of itself.
    pub claims: Claims,
    /// The endorsement key of the TPM that it had proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ek: Option<Sha256>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who refused it.
    pub by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: Timestamp,
}

impl Rejection {
    /// `an admin has refused this machine (machine-1a2b3c4d): the reason`.
    pub fn says(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("an admin has refused this machine ({}){reason}", self.machine)
    }
}

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrejected {
    /// The machines, as in [`Rejection::machine`].
    pub machines: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_commands_no_console_and_has_an_end() {
        let of = |reason: &str| RejectRequest { reason: Some(reason.to_owned()) }.reason();
        assert_eq!(of(" not ours\x1b[2J\nx ").as_deref(), Some("not ours\u{fffd}[2J\u{fffd}x"));
        assert_eq!(of(&"é".repeat(MOST_REASON)).unwrap().len(), MOST_REASON);
        assert_eq!((of("  "), RejectRequest::default().reason()), (None, None));
    }
}
