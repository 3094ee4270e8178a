//! The audit: who did what, from where, and what it changed. Entries are a chain: the hash of each covers the one before it.

use crate::{
    Timestamp,
    encoding::{BadEncoding, Sha256},
    names::NodeName,
    tokens::Subject,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, net::IpAddr, str::FromStr};

/// As what somebody acted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// An admin by a token, or by a session of the page that was begun with it.
    Token,
    /// An admin by a certificate.
    Certificate,
    /// An admin by a session of the page that the OIDC provider's word has begun.
    Oidc,
    /// A node by its certificate.
    Node,
    /// The server by itself.
    #[default]
    Server,
    /// Whoever may write the server's folder, on its host and without the server.
    Folder,
    /// Somebody who showed nothing that is known here.
    Stranger,
}

/// Who did what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number; none is left out.
    #[serde(default)]
    pub id: i64,
    /// The server's clock.
    #[serde(with = "milliseconds")]
    pub time: Timestamp,
    /// The name of the token, the certificate or the node, or `server`.
    pub actor: String,
    /// As what he acted.
    #[serde(default)]
    pub kind: ActorKind,
    /// Who he is at the OIDC provider, whatever his name is by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The node that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What kind of thing was done, by a name that does not change.
    #[serde(default)]
    pub action: String,
    /// One line for people.
    pub text: String,
    /// What was before, as far as it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is after, as far as it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl AuditEntry {
    /// Who it was, for people: `alice from 10.0.0.5`.
    #[must_use]
    pub fn who(&self) -> String {
        self.from.map_or_else(|| self.actor.clone(), |from| format!("{} from {from}", self.actor))
    }
}

/// `GET /v1/audit`: which entries, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Those behind this one.
    #[serde(default)]
    pub after: i64,
    /// Those from then on.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Those about this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
}

/// An entry with its hash, which the whole chain up to it hangs on: `ID:SHA256`. Whoever has kept one elsewhere knows whether
/// the chain is still that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Anchor {
    /// The entry.
    pub id: i64,
    /// Its hash.
    pub hash: Sha256,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = BadEncoding;

    fn from_str(text: &str) -> Result<Self, BadEncoding> {
        let (id, hash) = text.trim().split_once(':').ok_or(BadEncoding)?;
        let id = id.parse().ok().filter(|id| *id > 0).ok_or(BadEncoding)?;
        Ok(Self { id, hash: hash.parse()? })
    }
}

impl TryFrom<String> for Anchor {
    type Error = BadEncoding;

    fn try_from(text: String) -> Result<Self, BadEncoding> {
        text.parse()
    }
}

impl From<Anchor> for String {
    fn from(anchor: Anchor) -> Self {
        anchor.to_string()
    }
}

/// `GET /v1/audit/verify`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromAnchor {
    /// One that was kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
}

/// Whether the chain is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// Entries that are there.
    pub entries: u64,
    /// Entries that the server has forgotten, as its bounds say.
    pub forgotten: u64,
    /// The newest entry of the chain as far as it is whole: to be kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Anchor>,
    /// The first entry that is not as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
    /// What became of the one that was kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<Anchored>,
}

/// Where a chain is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The entry.
    pub id: i64,
    /// What is wrong with it, for people.
    pub why: String,
}

/// What became of an entry whose hash was kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchored {
    /// It is there as it was: so are all before it that are there.
    Same,
    /// It was forgotten by now, with its hash.
    Forgotten,
    /// It is another one: the chain was written anew.
    Other,
    /// It is not there: the end was taken off.
    Missing,
}

/// RFC 3339 in UTC with all of its milliseconds: as text in the order of time.
mod milliseconds {
    use crate::Timestamp;
    use serde::{Deserializer, Serializer, ser::Error};
    use time::{UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

    const FORMAT: &[BorrowedFormatItem<'static>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let text = time.to_offset(UtcOffset::UTC).format(FORMAT).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        time::serde::rfc3339::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_it_is_written_and_nothing_else_is_one() {
        let anchor = Anchor { id: 17, hash: Sha256::of(b"x") };
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
        for text in ["", "17", "17:", ":abc", "0:", "-1:abc", &format!("0:{}", anchor.hash), &anchor.hash.to_string()] {
            assert!(text.parse::<Anchor>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_of_an_earlier_release_is_read() {
        let text = r#"{"time":"2026-01-02T03:04:05Z","actor":"admin","text":"applied the spec"}"#;
        let entry: AuditEntry = serde_json::from_str(text).unwrap();
        assert_eq!((entry.who().as_str(), entry.kind), ("admin", ActorKind::Server));
    }
}
