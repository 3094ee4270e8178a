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

/// Cards that are compared. A machine with more is told from others by the first ones.
pub const MOST_MACS: usize = 32;
/// Addresses that board makers have given to many boards: that of the USB card by which AMI's management controllers speak to
/// their host.
const SHARED_MACS: &[&str] = &["b0:3a:f2:b6:05:9f"];
/// Bytes of a UUID or serial number.
const MOST_TEXT: usize = 256;

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

    /// The claims without placeholders and what many boards share, the UUID in lower case, each card once, and of everything no more than machines
    /// have: whatever compares claims afterwards compares few.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        let useful = |text: &String| text.len() <= MOST_TEXT && !Self::is_placeholder(text);
        self.uuid = self.uuid.map(|uuid| uuid.trim().to_ascii_lowercase()).filter(useful);
        self.serial = self.serial.map(|serial| serial.trim().to_owned()).filter(useful);
        let mut macs = Vec::new();
        for mac in self.macs {
            let shared = SHARED_MACS.contains(&mac.as_str());
            if macs.len() < MOST_MACS && !shared && !macs.contains(&mac) {
                macs.push(mac);
            }
        }
        self.macs = macs;
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
        let shared = Claims { macs: vec!["b0:3a:f2:b6:05:9f".parse().unwrap()], ..Claims::default() };
        assert_eq!(shared.cleaned(), Claims::default());
    }

    #[test]
    fn claims_are_no_larger_than_those_of_a_machine() {
        let mac =
            |n: u32| format!("02:00:{:02x}:{:02x}:{:02x}:00", n >> 16 & 255, n >> 8 & 255, n & 255).parse().unwrap();
        let macs = (0..190_000).map(|n| mac(n / 2)).collect();
        let cleaned = Claims { uuid: Some("u".repeat(300)), serial: Some("s".repeat(256)), macs }.cleaned();
        assert_eq!((cleaned.uuid, cleaned.serial.map(|serial| serial.len())), (None, Some(256)));
        assert_eq!(cleaned.macs, (0..32).map(mac).collect::<Vec<_>>());
    }
}
