//! One-time tokens that admit a machine.

pub mod medium;

use crate::{
    Timestamp,
    claims::Claims,
    encoding::Sha256,
    names::{Mac, NodeName},
};
use serde::{Deserialize, Serialize};

/// Characters of a token: 128 bits in base32.
const LETTERS: usize = 26;

/// A one-time token, without the hyphens that it is shown with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnrolToken(String);

impl EnrolToken {
    /// Of 128 random bits.
    pub fn new(bits: &[u8; 16]) -> Self {
        Self(data_encoding::BASE32_NOPAD.encode(bits))
    }

    /// As a person may type it, without case, with or without hyphens.
    pub fn parse(typed: &str) -> Option<Self> {
        let letters = typed.chars().filter(|c| *c != '-' && !c.is_whitespace()).take(LETTERS + 1);
        let text = letters.collect::<String>().to_ascii_uppercase();
        let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
        (text.len() == LETTERS && text.bytes().all(base32)).then_some(Self(text))
    }

    /// What a server keeps of it.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(self.0.as_bytes())
    }

    /// For the person who carries it to the machine: `K7QF-2M9X-...`. Secret.
    pub fn shown(&self) -> String {
        self.0.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join("-")
    }
}

impl TryFrom<String> for EnrolToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a one-time token is 26 letters and digits")
    }
}

impl From<EnrolToken> for String {
    fn from(token: EnrolToken) -> Self {
        token.shown()
    }
}

// A token must not reach a log through {:?}.
impl std::fmt::Debug for EnrolToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnrolToken(..)")
    }
}

/// Which machine a token is for, by what that says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The first that shows it.
    Any,
    /// The machine with this serial number.
    Serial(String),
    /// The machine with this network card.
    Mac(Mac),
}

impl Bound {
    /// Whether a machine with these claims may use it.
    pub fn holds(&self, claims: &Claims) -> bool {
        match self {
            Bound::Any => true,
            Bound::Serial(serial) => claims.serial.as_ref() == Some(serial),
            Bound::Mac(mac) => claims.macs.contains(mac),
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::Any => f.pad("any machine"),
            Bound::Serial(serial) => f.pad(&format!("serial {serial}")),
            Bound::Mac(mac) => f.pad(&format!("the card {mac}")),
        }
    }
}

/// `POST /v1/enrol-tokens`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolTokenRequest {
    /// Which machine it is for.
    pub bound: Bound,
    /// It ends after so many seconds.
    pub life_seconds: u64,
}

/// A token that was made. No `Debug`: it is secret, and never shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolTokenMade {
    /// What admins call it from now on.
    pub id: String,
    /// The token.
    pub token: EnrolToken,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: Timestamp,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolTokenSummary {
    /// What admins call it.
    pub id: String,
    /// Which machine it is for.
    pub bound: Bound,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: Timestamp,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: Timestamp,
    /// When it admitted a machine.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
    /// The node that the machine became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_be_typed_without_case_and_hyphens_and_never_shows_in_debug_output() {
        let token = EnrolToken::new(&[0xa5; 16]);
        let shown = token.shown();
        assert_eq!((shown.len(), shown.matches('-').count()), (32, 6));
        assert_eq!(EnrolToken::parse(&format!(" {} ", shown.to_lowercase())), Some(token.clone()));
        assert!(!format!("{token:?}").contains(&shown[..4]));
        let (long, one_more) = ("A".repeat(1 << 20), format!("{shown}A"));
        for wrong in ["", "K7QF-2M9X", &shown[1..], &one_more, "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ", &long]
        {
            assert_eq!(EnrolToken::parse(wrong), None);
        }
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<EnrolToken>(&json).unwrap(), token);
        assert!(serde_json::from_str::<EnrolToken>("\"short\"").is_err());
    }
}
