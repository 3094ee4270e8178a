//! Tokens of admins: what each allows, and what is known of it.

use crate::{Timestamp, names::NodeName};
use serde::{Deserialize, Serialize};

/// What a token allows. Each allows what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To look at everything but secrets.
    View,
    /// To admit machines by their codes, and to agree to plans that are held.
    Approve,
    /// To apply specs, to reinstall and power nodes, to operate clusters, to fill and clean the binary cache.
    Operate,
    /// To make and revoke tokens.
    Admin,
}

impl Scope {
    /// Every scope, the narrowest first.
    pub const ALL: [Scope; 4] = [Scope::View, Scope::Approve, Scope::Operate, Scope::Admin];

    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Scope::View => "view",
            Scope::Approve => "approve",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What an admin is known by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A token.
    #[default]
    Token,
    /// The key of a certificate.
    Certificate,
    /// The word of the OIDC provider, by sessions of the page alone.
    Oidc,
}

impl Kind {
    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Token => "token",
            Kind::Certificate => "certificate",
            Kind::Oidc => "oidc",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Kind::Token, Kind::Certificate, Kind::Oidc].into_iter().find(|kind| kind.name() == text)
    }
}

/// Who somebody is at an OIDC provider: this does not change when his name does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The provider.
    pub issuer: String,
    /// What it calls him.
    pub sub: String,
}

/// `POST /v1/certificates`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// Whose, or what for. No two tokens or certificates have one name.
    pub name: NodeName,
    /// What it allows.
    pub scope: Scope,
    /// It is good for so many seconds; until its own end where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_seconds: Option<u64>,
    /// The certificate, PEM.
    pub certificate: String,
}

/// `POST /v1/tokens`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Whose, or what for: what stands in the history. No two tokens have one name.
    pub name: NodeName,
    /// What it allows.
    pub scope: Scope,
    /// It is good for so many seconds; for ever where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_seconds: Option<u64>,
}

/// A token that was made. No `Debug`: it is secret, and never shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// The token.
    pub token: String,
}

/// What is known of a token, a certificate, or somebody with sessions by the OIDC provider's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Its name.
    pub name: String,
    /// Which of them.
    #[serde(default)]
    pub kind: Kind,
    /// Who he is at the OIDC provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: Timestamp,
    /// When it ends.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was used last, to some minutes.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_allows_what_those_before_it_do_and_is_read_by_its_name() {
        assert!(Scope::ALL.is_sorted());
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        assert_eq!(Scope::parse("root"), None);
        for kind in [Kind::Token, Kind::Certificate, Kind::Oidc] {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
