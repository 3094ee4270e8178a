//! What a machine says of itself: labels, never proof.

use crate::names::Mac;
use serde::{Deserialize, Serialize};

/// Machine claims, in an enrolment and in the query of the boot script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// SMBIOS system UUID, lower case, in the form that Linux and iPXE print.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// SMBIOS system serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Addresses of the network cards, the one that booted first.
    #[serde(default)]
    pub macs: Vec<Mac>,
}

impl Claims {
    /// Board makers leave these in the firmware; they tell no machine from another.
    pub fn is_placeholder(text: &str) -> bool {
        let lower = text.trim().to_ascii_lowercase();
        let digits: String = lower.chars().filter(char::is_ascii_hexdigit).collect();
        lower.is_empty()
            || ["none", "default string", "to be filled by o.e.m.", "not specified", "system serial number", "unknown"]
                .contains(&lower.as_str())
            || (digits.len() == 32 && digits.chars().all(|digit| digits.starts_with(digit)))
            || lower == "03000200-0400-0500-0006-000700080009"
    }

    /// The claims without placeholders, the UUID in lower case.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        self.uuid = self.uuid.map(|uuid| uuid.trim().to_ascii_lowercase()).filter(|uuid| !Self::is_placeholder(uuid));
        self.serial = self.serial.map(|serial| serial.trim().to_owned()).filter(|serial| !Self::is_placeholder(serial));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_board_makers_identify_nobody() {
        let claims = Claims {
            uuid: Some("00000000-0000-0000-0000-000000000000".into()),
            serial: Some("To Be Filled By O.E.M.".into()),
            macs: vec![],
        };
        assert_eq!(claims.cleaned(), Claims::default());
    }
}
