//! What becomes of a machine that asks to be a node.

use super::{
    entry::Entry,
    find::{Found, find, same_machine},
    token::Shown,
};
use crate::domain::tpm::{self, Known, Tpm};
use protocol::{
    Timestamp,
    admin::{Missing, Need},
    claims::Claims,
    encoding::Sha256,
    names::{NodeName, RunId},
    rejection::Rejection,
    spec::{Admission, Match, Way},
};
use std::collections::{BTreeMap, BTreeSet};
use time::Duration;

/// A machine that is being installed tells something every other second; one that was silent for longer is gone.
const STILL_AT_WORK: Duration = Duration::seconds(30);

/// What the operator has set for all nodes.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How a machine may become a node where neither its spec nor its profile says.
    pub admission: Admission,
    /// The same for the nodes of a profile.
    pub by_profile: BTreeMap<NodeName, Admission>,
    /// Endorsement keys of TPMs that admit where no spec names one.
    pub listed_tpms: BTreeSet<Sha256>,
    /// So long after the end of its certificate a node comes back by its key alone.
    pub return_within: Duration,
}

impl Policy {
    /// How a machine may become this node: by its spec, else by its profile, else by what is set for all.
    pub fn of<'a>(&'a self, entry: &'a Entry) -> &'a Admission {
        let of_profile = || self.by_profile.get(&entry.profile);
        entry.admission.as_ref().or_else(of_profile).unwrap_or(&self.admission)
    }
}

/// A machine that asks.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// SPKI hash of its key, which it has proved to hold.
    pub key: &'a Sha256,
    /// What it says of itself.
    pub claims: &'a Claims,
    /// What its console shows.
    pub code: &'a str,
    /// The token that it has shown.
    pub token: &'a Shown,
    /// Its TPM.
    pub tpm: &'a Tpm,
}

/// What becomes of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The machine is this node.
    Approve {
        /// Which.
        node: NodeName,
        /// Why.
        by: By,
    },
    /// It waits.
    Wait {
        /// The node it would become.
        node: Option<NodeName>,
        /// For what.
        missing: Vec<Missing>,
    },
    /// Another key is the node's own.
    Conflict {
        /// Which node.
        node: NodeName,
        /// What has that key.
        with: Rival,
    },
    /// An admin has refused it.
    Rejected {
        /// The node that it would become, or is in conflict with.
        node: Option<NodeName>,
        /// What was refused.
        rejection: Box<Rejection>,
    },
}

impl Decision {
    /// The node that it is about.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Decision::Approve { node, .. } | Decision::Conflict { node, .. } => Some(node),
            Decision::Wait { node, .. } | Decision::Rejected { node, .. } => node.as_ref(),
        }
    }
}

/// By what a machine is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Its key, which was the node's before.
    Key,
    /// The window of a node that is replaced.
    Window,
    /// A one-time token, which is used up by it.
    Token {
        /// What admins call it.
        id: String,
    },
    /// Its TPM.
    Tpm {
        /// SHA-256 of the public area of its endorsement key.
        ek: Sha256,
        /// Why it is believed.
        known: Known,
    },
    /// The policy that admits whoever claims it.
    OpenLab,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            By::Key => f.write_str("its key"),
            By::Window => f.write_str("what its spec says of it (replace)"),
            By::Token { id } => write!(f, "the one-time token {id}"),
            By::Tpm { ek, known } => write!(f, "its TPM (EK {ek}, {known})"),
            By::OpenLab => f.write_str("its claims (open-lab)"),
        }
    }
}

/// What has a node's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// The node, which is installed.
    Installed,
    /// A machine that is being installed as the node now.
    Installing,
}

/// What becomes of a machine. `heard` is when a run spoke last.
pub fn decide(
    entries: &[Entry],
    asking: Asking<'_>,
    policy: &Policy,
    heard: &dyn Fn(&RunId) -> Option<Timestamp>,
    now: Timestamp,
) -> Decision {
    // The key was admitted before: the machine carries on where a power cut stopped it, or was off for a while.
    if let Some(own) = entries.iter().find(|entry| has_key(entry, asking.key)) {
        return decide_by_key(own, asking, policy, now);
    }
    let nobody = |spec: String| {
        let unmet = admitted_by(policy, &policy.admission, None, asking, now).err();
        let missing = std::iter::once(Missing::new(Need::NodeSpec, spec)).chain(unmet).collect();
        Decision::Wait { node: None, missing }
    };
    let name = match find(entries, asking.claims, asking.tpm.proven_ek().as_ref()) {
        Found::Nobody => return nobody("a NodeSpec that matches this machine".to_owned()),
        Found::Several(names) => {
            let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
            return nobody(format!("one NodeSpec for this machine: {} match it", names.join(" and ")));
        }
        Found::One(name) => name,
    };
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else { return nobody(name.to_string()) };
    if entry.record.used {
        return Decision::Conflict { node: name, with: Rival::Installed };
    }
    // The same chip is the same machine, which has lost its key.
    let is_same_chip = entry.tpm.is_some() && entry.tpm == asking.tpm.proven_ek();
    if is_at_work(entry, heard, now) && !is_same_chip {
        return Decision::Conflict { node: name, with: Rival::Installing };
    }
    let named = entry.matches.as_ref().and_then(|wanted| wanted.ek.as_ref());
    if entry.window.is_some_and(|until| now < until) && entry.matches.as_ref().is_some_and(may_be_replaced) {
        return Decision::Approve { node: name, by: By::Window };
    }
    match admitted_by(policy, policy.of(entry), named, asking, now) {
        Ok(by) => Decision::Approve { node: name, by },
        Err(missing) => Decision::Wait { node: Some(name), missing: vec![missing] },
    }
}

fn decide_by_key(own: &Entry, asking: Asking<'_>, policy: &Policy, now: Timestamp) -> Decision {
    let ended = own.certificate_ends.filter(|ends| now - *ends > policy.return_within);
    let why = match ended {
        Some(ends) => format!("its certificate ended {}, too long ago", ends.date()),
        None if is_beside_another_tpm(own, asking.tpm) => "its TPM is another one than before".to_owned(),
        None if is_in_another_machine(own, asking.claims) => "its disk is in another machine than before".to_owned(),
        None => return Decision::Approve { node: own.name.clone(), by: By::Key },
    };
    let text = format!("{}: {why}", type_the_code(asking.code));
    Decision::Wait { node: Some(own.name.clone()), missing: vec![Missing::new(Need::Code, text)] }
}

fn type_the_code(code: &str) -> String {
    format!("an admin to type the code: boot-server approve {code}")
}

/// The first of the ways that admits the machine. The TPM that a spec names is a way before the others, and neither labels nor a
/// token stand for it.
///
/// # Errors
/// What is missing: any one of what the text names is enough.
fn admitted_by(
    policy: &Policy,
    admission: &Admission,
    named: Option<&Sha256>,
    asking: Asking<'_>,
    now: Timestamp,
) -> Result<By, Missing> {
    let mut unmet = Vec::new();
    let first = named.filter(|_| !admission.allows(Way::Tpm)).map(|_| &Way::Tpm);
    for way in first.into_iter().chain(admission.ways()) {
        match way {
            Way::Tpm => match (tpm::known(asking.tpm, named, &policy.listed_tpms), asking.tpm.proven_ek()) {
                (Ok(known), Some(ek)) => return Ok(By::Tpm { ek, known }),
                (Ok(_), None) => {}
                (Err(why), _) => unmet.push(why),
            },
            Way::Token if named.is_some() => {}
            Way::OpenLab if named.is_some() => unmet.push(type_the_code(asking.code)),
            Way::OpenLab => return Ok(By::OpenLab),
            Way::Token => match asking.token.good(asking.claims, now) {
                Ok(token) => return Ok(By::Token { id: token.id.clone() }),
                Err(Some(why)) => unmet.push(format!("another one-time token, for the one that it shows {why}")),
                // Who has no token in mind types the code.
                Err(None) if admission.allows(Way::Approval) => {}
                Err(None) => unmet.push("a one-time token: boot-server enrol-token create".to_owned()),
            },
            Way::Approval => unmet.push(type_the_code(asking.code)),
        }
    }
    if asking.token != &Shown::Nothing && !admission.allows(Way::Token) {
        unmet.push("a policy that takes tokens: the one that it shows counts for nothing here".to_owned());
    }
    let need = match named {
        _ if admission.allows(Way::Approval) => Need::Code,
        None if admission.allows(Way::Token) => Need::Token,
        _ => Need::Tpm,
    };
    Err(Missing::new(need, unmet.join(", or ")))
}

/// The node whose key this is, or to which it changes.
pub fn with_key(entries: &[Entry], key: &Sha256) -> Option<NodeName> {
    entries.iter().find(|entry| has_key(entry, key)).map(|entry| entry.name.clone())
}

fn has_key(entry: &Entry, key: &Sha256) -> bool {
    [entry.key, entry.next_key].contains(&Some(*key))
}

/// A machine that has the node's key is heard: it is being installed, or is about to be.
fn is_at_work(entry: &Entry, heard: &dyn Fn(&RunId) -> Option<Timestamp>, now: Timestamp) -> bool {
    let runs = [entry.record.run.as_ref(), entry.asked_in.as_ref()];
    let last = runs.into_iter().flatten().filter_map(heard).max();
    entry.key.is_some() && last.is_some_and(|last| now - last < STILL_AT_WORK)
}

/// Whether a window admits what this match names: it asks for more than a label that boards share, for the serial number and a
/// card; and where a TPM is named, nothing stands for it.
pub fn may_be_replaced(wanted: &Match) -> bool {
    wanted.serial.is_some() && !wanted.macs.is_empty() && wanted.ek.is_none()
}

/// A node's key came from a machine whose TPM is neither the one that was proven with it nor the one that its spec names.
fn is_beside_another_tpm(own: &Entry, tpm: &Tpm) -> bool {
    let named = own.matches.as_ref().and_then(|wanted| wanted.ek);
    let (Some(known), Some(shown)) = (own.tpm, tpm.ek()) else { return false };
    let is_named = named.is_some() && named == tpm.proven_ek();
    shown != known && !is_named
}

/// A node's key came from a machine that is neither the one that was admitted with it nor one that its spec names.
fn is_in_another_machine(own: &Entry, claims: &Claims) -> bool {
    let is_known = own.claims.as_ref().is_none_or(|known| same_machine(known, claims));
    !is_known && !own.matches.as_ref().is_some_and(|wanted| wanted.holds(claims))
}
