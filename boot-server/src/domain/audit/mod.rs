//! Who did what, and what it changed: what becomes an entry of the audit.

pub mod chain;
mod difference;

pub use difference::{difference, specs};

use protocol::{
    audit::{ActorKind, AuditEntry},
    names::NodeName,
    tokens::Subject,
};
use serde_json::Value;
use std::net::IpAddr;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of the token, the certificate or the node; of the server itself, which part of it.
    pub name: String,
    /// As what.
    pub kind: ActorKind,
    /// Who he is at the OIDC provider.
    pub subject: Option<Subject>,
    /// From where.
    pub from: Option<IpAddr>,
}

impl Actor {
    /// Whoever has the server's folder: what he does there he does without the server.
    pub fn folder() -> Self {
        Self { name: "whoever has the folder".to_owned(), kind: ActorKind::Folder, subject: None, from: None }
    }

    /// Somebody who showed nothing that is known here.
    pub fn stranger(from: IpAddr) -> Self {
        Self { name: "a stranger".to_owned(), kind: ActorKind::Stranger, subject: None, from: Some(from) }
    }

    /// The same, from this address.
    #[must_use]
    pub fn at(self, from: IpAddr) -> Self {
        Self { from: Some(from.to_canonical()), ..self }
    }
}

/// A part of the server, by its name: what it does by itself.
impl From<&'static str> for Actor {
    fn from(name: &'static str) -> Self {
        Self { name: name.to_owned(), kind: ActorKind::Server, subject: None, from: None }
    }
}

impl From<&NodeName> for Actor {
    fn from(name: &NodeName) -> Self {
        Self { name: name.to_string(), kind: ActorKind::Node, subject: None, from: None }
    }
}

impl From<&Actor> for Actor {
    fn from(actor: &Actor) -> Self {
        actor.clone()
    }
}

/// What was done. A text alone is something that was noted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What kind of thing.
    pub action: Action,
    /// One line for people.
    pub text: String,
    /// What was before, as far as it changed.
    pub before: Option<Value>,
    /// What is after, as far as it changed.
    pub after: Option<Value>,
}

impl Deed {
    /// What it changed. No secret is in there.
    #[must_use]
    pub fn changing(self, before: impl Into<Option<Value>>, after: impl Into<Option<Value>>) -> Self {
        Self { before: before.into(), after: after.into(), ..self }
    }
}

impl From<String> for Deed {
    fn from(text: String) -> Self {
        Action::Noted.says(text)
    }
}

impl From<&str> for Deed {
    fn from(text: &str) -> Self {
        Action::Noted.says(text)
    }
}

macro_rules! actions {
    ($($(#[doc = $what:literal])+ $action:ident = $name:literal,)*) => {
        /// Kinds of things that are done. Their names are in docs/operator-guide.md, and do not change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[doc = $what])+ $action,)* }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Action] = &[$(Action::$action),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Action::$action => $name,)* }
            }
        }
    };
}

actions! {
    /// The server or a node noticed or decided something.
    Noted = "noted",
    /// Somebody showed a token that is none.
    WrongToken = "wrong-token",
    /// Somebody asked for more than the scope of his token or certificate allows.
    Refused = "refused",
    /// A session of the page began.
    LoggedIn = "logged-in",
    /// A login at the OIDC provider gave none.
    LoginRefused = "login-refused",
    /// Somebody's sessions by the OIDC provider's word have ended or changed with the configuration, or an admin has ended them.
    SessionsEnded = "sessions-ended",
    /// It was ended.
    LoggedOut = "logged-out",
    /// A token or a certificate of an admin is good from now on.
    TokenMade = "token-made",
    /// It is good no more.
    TokenRevoked = "token-revoked",
    /// A one-time token admits a machine from now on.
    EnrolTokenMade = "enrol-token-made",
    /// It is good no more.
    EnrolTokenRevoked = "enrol-token-revoked",
    /// A spec was stored.
    SpecApplied = "spec-applied",
    /// A machine became a node.
    MachineAdmitted = "machine-admitted",
    /// A machine that waits was refused.
    MachineRejected = "machine-rejected",
    /// That was taken back.
    RejectionUndone = "rejection-undone",
    /// A plan that was held may be carried out.
    PlanApproved = "plan-approved",
    /// A node's next generation was opened.
    Reinstall = "reinstall",
    /// It was opened to another machine.
    Replace = "replace",
    /// It was opened to wipe the disks, or the node was retired.
    Decommission = "decommission",
    /// A node, or somebody who is none, is no member any more.
    MemberRemoved = "member-removed",
    /// The hook for power ran.
    Power = "power",
    /// The hook that moves the work away ran.
    Drain = "drain",
    /// A founding set was forgotten.
    ClusterForgotten = "cluster-forgotten",
    /// A cluster was checked, and a key was written.
    ClusterVerified = "cluster-verified",
    /// Founders begin with a snapshot.
    ClusterRestored = "cluster-restored",
    /// Paths were put into the binary cache.
    CachePushed = "cache-pushed",
    /// Paths that no node needs were taken out of it.
    CacheCollected = "cache-collected",
    /// Damaged paths were taken out of it.
    CacheRepaired = "cache-repaired",
    /// A secret of a node was set.
    SecretSet = "secret-set",
    /// It was deleted.
    SecretDeleted = "secret-deleted",
    /// All secrets were sealed with a new key.
    SecretsSealedAnew = "secrets-sealed-anew",
    /// A node fetched its secrets.
    SecretsHandedOut = "secrets-handed-out",
    /// A founder fetched the snapshot that it begins with.
    SnapshotHandedOut = "snapshot-handed-out",
    /// A node was installed.
    Installed = "installed",
    /// A node became a member of a service.
    Joined = "joined",
    /// A node renewed its certificate.
    CertificateRenewed = "certificate-renewed",
    /// A certificate was made for a member that is no node.
    CertificateIssued = "certificate-issued",
    /// A node changed to another key.
    KeyChanged = "key-changed",
    /// An admin had a node's key or another certificate revoked.
    Revoke = "revoke",
    /// A key was revoked.
    KeyRevoked = "key-revoked",
    /// The CA or the key of manifests was renewed, imported or rotated.
    CaChanged = "ca-changed",
    /// A backup was taken, which holds the server's keys.
    BackupTaken = "backup-taken",
    /// The server's state was brought back from a backup: what was done since that was taken is not in the audit.
    ServerRestored = "server-restored",
    /// Entries of the audit were forgotten, as the bounds say.
    Forgotten = "forgotten",
    /// The server's folder was made.
    ServerMade = "server-made",
}

impl Action {
    /// The deed, for people.
    pub fn says(self, text: impl Into<String>) -> Deed {
        Deed { action: self, text: text.into(), before: None, after: None }
    }
}

/// The entry of a deed.
pub fn entry(id: i64, time: protocol::Timestamp, actor: Actor, node: Option<&NodeName>, deed: Deed) -> AuditEntry {
    AuditEntry {
        id,
        time,
        actor: actor.name,
        kind: actor.kind,
        subject: actor.subject,
        from: actor.from,
        node: node.cloned(),
        action: deed.action.name().to_owned(),
        text: deed.text,
        before: deed.before,
        after: deed.after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_action_has_a_name_of_its_own_that_the_operator_s_guide_has_as_well() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        let guide = include_str!("../../../../docs/operator-guide.md");
        for name in names {
            assert!(guide.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn a_literal_is_a_part_of_the_server_and_an_address_is_shown_as_what_it_is() {
        assert_eq!(Actor::from("server").kind, ActorKind::Server);
        let from: IpAddr = "::ffff:10.0.0.5".parse().unwrap();
        assert_eq!(Actor::folder().at(from).from, Some("10.0.0.5".parse().unwrap()));
    }
}
