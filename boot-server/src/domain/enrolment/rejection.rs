//! Machines that an admin has refused: against which machine that asks a refusal stands. An admin refuses what he has seen, by its
//! key and by its labels; labels are copied, so what proves a machine outweighs a refusal of labels.

use super::{
    decide::{Asking, By, Decision, Policy, with_key},
    entry::Entry,
    find::same_machine,
};
use crate::domain::{operation::WINDOW, tpm::Known};
use protocol::{
    Timestamp,
    claims::Claims,
    enrol_token::Bound,
    names::NodeName,
    rejection::Rejection,
    spec::{Match, Way},
};

/// By what a refused machine is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// By its key or its TPM.
    Itself,
    /// By its labels, which another machine may have copied, or which it may have copied itself.
    Labels,
}

/// Whether a machine with these claims is labelled as the refused one was. It says no label that the refused one did not: who
/// names many cards, and neither serial nor UUID, has not had all of their machines refused.
pub fn has_labels_of(rejection: &Rejection, claims: &Claims) -> bool {
    let says_no_more = |of: &Option<String>, refused: &Option<String>| of.is_none() || of == refused;
    let Claims { uuid, serial, .. } = &rejection.claims;
    says_no_more(&claims.uuid, uuid) && says_no_more(&claims.serial, serial) && same_machine(&rejection.claims, claims)
}

/// What becomes of the machine beside what admins have refused.
pub fn unless_rejected(
    decision: Decision,
    rejections: &[Rejection],
    entries: &[Entry],
    asking: Asking<'_>,
) -> Decision {
    let is_a_node_s_key = with_key(entries, asking.key).is_some();
    let stands = |rejection: &&Rejection| {
        again(rejection, asking, is_a_node_s_key)
            .is_some_and(|again| !outweighs(&decision, again, rejection.time, entries, asking))
    };
    match rejections.iter().rev().find(stands) {
        Some(rejection) => {
            Decision::Rejected { node: decision.node().cloned(), rejection: Box::new(rejection.clone()) }
        }
        None => decision,
    }
}

fn again(rejection: &Rejection, asking: Asking<'_>, is_a_node_s_key: bool) -> Option<Again> {
    let is_labelled = has_labels_of(rejection, asking.claims);
    let is_key = rejection.key == *asking.key;
    if is_a_node_s_key {
        // A copy of a node's key was refused in one machine, and the key in that machine alone.
        return (is_key && is_labelled).then_some(Again::Itself);
    }
    let is_chip = rejection.ek.is_some() && rejection.ek == asking.tpm.proven_ek();
    match (is_key || is_chip, is_labelled) {
        (true, _) => Some(Again::Itself),
        (false, true) => Some(Again::Labels),
        (false, false) => None,
    }
}

/// Whether what the machine has shown, or what an admin did later, counts for more.
fn outweighs(decision: &Decision, again: Again, refused: Timestamp, entries: &[Entry], asking: Asking<'_>) -> bool {
    let node = |name: &NodeName| entries.iter().find(|entry| entry.name == *name);
    match decision {
        Decision::Approve { by: By::Key | By::Token { .. }, .. } => true,
        Decision::Approve { by: By::Tpm { known: Known::BySpec | Known::Listed, .. }, .. } => true,
        // A vendor speaks for each of his chips.
        Decision::Approve { by: By::Tpm { known: Known::Vendor(_), .. }, .. } => again == Again::Labels,
        Decision::Approve { by: By::Window, node: name } => {
            let opened = node(name).and_then(|entry| entry.window).map(|until| until - WINDOW);
            again == Again::Labels && opened.is_some_and(|opened| opened > refused)
        }
        Decision::Approve { by: By::OpenLab, .. } | Decision::Rejected { .. } => false,
        Decision::Wait { .. } | Decision::Conflict { .. } => {
            let own = decision.node().and_then(node);
            let is_its_chip =
                |ek| own.is_some_and(|own| own.tpm == Some(ek) || named_chip(own.matches.as_ref()) == Some(ek));
            again == Again::Labels && asking.tpm.proven_ek().is_some_and(is_its_chip)
        }
    }
}

fn named_chip(matches: Option<&Match>) -> Option<protocol::encoding::Sha256> {
    matches.and_then(|wanted| wanted.ek)
}

/// The refusal by which a machine with these claims is not given the agent: firmware says nothing but labels, so this is where no
/// machine with them could prove that it is another one. `found` is the node that it would boot as, `tokens` are one-time tokens
/// that are open.
pub fn rejected_at_boot<'a>(
    rejections: &'a [Rejection],
    entries: &[Entry],
    found: Option<&Entry>,
    claims: &Claims,
    policy: &Policy,
    tokens: &[Bound],
    now: Timestamp,
) -> Option<&'a Rejection> {
    let rejection = rejections.iter().rev().find(|rejection| has_labels_of(rejection, claims))?;
    let may_prove = match found {
        Some(node) => {
            let takes = |way| policy.of(node).allows(way);
            let may_show_token = takes(Way::Token) && tokens.iter().any(|bound| bound.holds(claims));
            let is_open = node.window.is_some_and(|until| now < until && until - WINDOW > rejection.time);
            node.key.is_some()
                || named_chip(node.matches.as_ref()).is_some()
                || takes(Way::Tpm)
                || may_show_token
                || is_open
        }
        // It may be the machine of a chip that is awaited under any labels.
        None => entries.iter().any(|entry| entry.key.is_none() && named_chip(entry.matches.as_ref()).is_some()),
    };
    (!may_prove).then_some(rejection)
}
