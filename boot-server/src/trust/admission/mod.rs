//! Enrolments carried out: who is admitted as which node. What is decided is in [`enrolment`].

mod greeting;
mod proofs;
mod rejections;
mod tokens;

pub use greeting::{Session, to_decide};
pub use proofs::Prover;
pub use rejections::to_reconsider;

use super::{
    ca::Ca,
    certificates::Certificates,
    manifest::Signer,
    sessions::{Hellos, WrongCodes},
};
use crate::{
    base::{allowance::Allowances, bell::Stop, clock::now},
    domain::{
        audit::{Action, Actor},
        enrolment::{self, Asking, By, Decision, Policy, constant_time_equal},
        lifecycle::Input,
        operation::Kind,
    },
    state::{
        State, Unit,
        enrolments::{Enrolment, Standing},
        nodes::Node,
    },
};
use protocol::{
    Code, Failure, Timestamp,
    failure::Result,
    names::{NodeName, RunId},
    rejection::Rejection,
    spec::{NodeSpec, Way},
};
use serde_json::json;
use std::{sync::Arc, time::Instant};
use time::Duration;

/// Admits machines.
#[derive(Debug)]
pub struct Admission {
    state: State,
    ca: Arc<Ca>,
    signer: Arc<Signer>,
    certificates: Certificates,
    policy: Policy,
    prover: Prover,
    /// Enrolments that have said hello and no more.
    hellos: Hellos,
    wrong_codes: WrongCodes,
    /// What the history has been told of machines that come again and again.
    comings: Allowances<Coming>,
    stop: Stop,
}

/// A machine that is let in by nobody, and comes anew with each key that it makes. It costs nothing to come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Coming {
    /// Beside the node.
    Rival(NodeName),
    /// Though it was refused, as in [`Rejection::machine`].
    Refused(String),
}

/// The history has an entry of so many at once, and then of one in ten minutes.
const COMINGS_AT_ONCE: u64 = 5;
const SECONDS_OF_COMING: u64 = 600;

impl Admission {
    /// Of the parts it uses.
    pub fn new(
        state: State,
        ca: Arc<Ca>,
        certificates: Certificates,
        signer: Arc<Signer>,
        policy: Policy,
        prover: Prover,
        stop: Stop,
    ) -> Self {
        let (hellos, wrong_codes) = (Hellos::default(), WrongCodes::default());
        let comings = Allowances::new(COMINGS_AT_ONCE * SECONDS_OF_COMING, 1);
        Self { state, ca, signer, certificates, policy, prover, hellos, wrong_codes, comings, stop }
    }

    fn is_worth_a_note(&self, coming: Coming) -> bool {
        self.comings.hears(coming, SECONDS_OF_COMING, Instant::now()).is_ok()
    }

    /// As [`Certificates::refuse_unissuable`].
    ///
    /// # Errors
    /// As there.
    pub fn refuse_unissuable(&self, specs: &[NodeSpec]) -> Result<()> {
        self.certificates.refuse_unissuable(specs)
    }

    /// Decides about every machine that waits: a spec has been applied. One that cannot be admitted keeps no other
    /// waiting, and fails nobody's verb.
    pub async fn settle_all(&self) -> Result<()> {
        for enrolment in self.state.open_enrolments().await? {
            let address = enrolment.address.clone();
            if let Err(failure) = self.settle(&enrolment).await {
                tracing::warn!(%failure, address, "settling an enrolment");
            }
        }
        Ok(())
    }

    /// An admin has compared the code and names the node where no spec matches.
    ///
    /// # Errors
    /// `E-NOT-FOUND` for a code that no machine shows; `E-NO-SPEC`; `E-ENROL-CONFLICT`; `E-WRONG-STATE` where the node is not
    /// admitted by a code.
    pub async fn approve(&self, code: &str, node: Option<NodeName>, actor: &Actor) -> Result<NodeName> {
        self.wrong_codes.may_try(now())?;
        let wanted = enrolment::normal_code(code).unwrap_or_default();
        let open = self.state.open_enrolments().await?;
        let mut found = None;
        for enrolment in open {
            // Every code is compared, so that the time says nothing about which one is close.
            if constant_time_equal(&enrolment.code, &wanted) {
                found = Some(enrolment);
            }
        }
        let Some(enrolment) = found else {
            self.wrong_codes.count(now());
            return Err(Failure::new(
                Code::NotFound,
                format!("looking for code {code:?}: no machine that waits shows it"),
            )
            .with_remedy("type the code that the machine's console shows now: it changes when the machine restarts"));
        };
        let mut unit = self.state.begin().await?;
        let name = match node {
            Some(name) => name,
            None => self.node_for(&enrolment)?,
        };
        self.takes_codes(&enrolment, &name)?;
        let by = format!("the code {}", enrolment.code);
        self.admit(&mut unit, &enrolment, &name, &by, actor).await?;
        self.forget_rejections_of(&mut unit, &enrolment, actor).await?;
        unit.commit().await?;
        Ok(name)
    }

    /// A node whose policy wants more than a code is not admitted by one, but to come back.
    fn takes_codes(&self, enrolment: &Enrolment, name: &NodeName) -> Result<()> {
        let refused = self.state.memory.directory.with(|entries| {
            let admission = entries.iter().find(|entry| entry.name == *name).map(|entry| self.policy.of(entry))?;
            let is_its_own = enrolment::with_key(entries, &enrolment.key).as_ref() == Some(name);
            let takes = is_its_own || admission.allows(Way::Approval) || admission.allows(Way::OpenLab);
            (!takes).then(|| serde_json::to_string(admission).unwrap_or_default())
        });
        let Some(admission) = refused else { return Ok(()) };
        let cause = format!("approving a machine as {name}: its admission is {admission}, and no code");
        Err(Failure::new(Code::WrongState, cause).with_remedy(
            "bring the machine what its admission asks for, or apply its spec with \"approval\" among the ways",
        ))
    }

    fn node_for(&self, enrolment: &Enrolment) -> Result<NodeName> {
        let missing = |text: String| Failure::new(Code::NoSpec, format!("approving a machine: {text}"));
        // Whose key it shows it is, whatever the machine around it claims.
        if let Some(own) = self.state.memory.directory.with(|entries| enrolment::with_key(entries, &enrolment.key)) {
            return Ok(own);
        }
        match self
            .state
            .memory
            .directory
            .with(|entries| enrolment::find(entries, &enrolment.claims, enrolment.tpm.proven_ek().as_ref()))
        {
            enrolment::Found::One(name) => Ok(name),
            enrolment::Found::Nobody => Err(missing("no NodeSpec matches it".to_owned()).with_remedy(
                "apply a NodeSpec that matches it, or name the node: boot-server approve CODE --node NAME",
            )),
            enrolment::Found::Several(names) => {
                let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
                Err(missing(format!("{} match it", names.join(" and ")))
                    .with_remedy("name the node: boot-server approve CODE --node NAME"))
            }
        }
    }

    /// How long the machine has not asked.
    pub fn silent_for(&self, enrolment: &Enrolment) -> Duration {
        self.silence(enrolment.id, enrolment.heard)
    }

    fn silence(&self, id: i64, heard: Timestamp) -> Duration {
        let asked = self.state.memory.presence.of_waiting(id, Instant::now(), now());
        (now() - asked.unwrap_or(heard)).max(Duration::ZERO)
    }

    async fn settle(&self, enrolment: &Enrolment) -> Result<()> {
        // Most machines that wait are nobody's yet, and a rack of them is looked through at every apply.
        let is_settled = match self.decision(enrolment) {
            Decision::Wait { node, .. } => node.is_none() && enrolment.standing == Standing::Pending,
            Decision::Rejected { .. } => enrolment.standing == Standing::Rejected,
            Decision::Approve { .. } | Decision::Conflict { .. } => false,
        };
        if is_settled {
            return Ok(());
        }
        let mut unit = self.state.begin().await?;
        self.settle_in(&mut unit, enrolment).await?;
        unit.commit().await
    }

    /// Admits the machine that waits for the node, which the unit has opened to it.
    pub async fn admit_waiting(&self, unit: &mut Unit, node: &Node) -> Result<()> {
        if !node.spec.as_ref().is_some_and(|spec| enrolment::may_be_replaced(&spec.matches)) {
            return Ok(());
        }
        let is_it = |enrolment: &Enrolment| {
            if enrolment.standing == Standing::Rejected {
                // It is looked at once the window is open.
                return false;
            }
            let found = self.state.memory.directory.with(|entries| enrolment::find(entries, &enrolment.claims, None));
            found == enrolment::Found::One(node.name.clone()) && !self.state.memory.revoked.holds(&enrolment.key)
        };
        for enrolment in self.state.open_enrolments().await?.iter().filter(|enrolment| is_it(enrolment)) {
            // What waited of the key that the unit revokes waits no more.
            if unit.enrolment_is_open(enrolment.id).await? {
                return self.admit(unit, enrolment, &node.name, &By::Window.to_string(), "server").await;
            }
        }
        Ok(())
    }

    /// The nodes do not change while the unit is open, so this decision is the one that is written.
    async fn settle_in(&self, unit: &mut Unit, enrolment: &Enrolment) -> Result<()> {
        if !unit.enrolment_is_open(enrolment.id).await? {
            // Somebody else has settled it since it was read.
            return Ok(());
        }
        match self.decision(enrolment) {
            Decision::Approve { node, by } => {
                if let (By::Token { .. }, Some(token)) = (&by, &enrolment.token)
                    && !unit.use_enrol_token(token, &node).await?
                {
                    // Another machine has shown it meanwhile: this one is told so when it asks again.
                    return Ok(());
                }
                self.admit(unit, enrolment, &node, &by.to_string(), "server").await
            }
            Decision::Conflict { node, .. } => {
                if enrolment.standing == Standing::Conflict {
                    return Ok(());
                }
                unit.set_enrolment(enrolment.id, Standing::Conflict, Some(&node), None).await?;
                if self.is_worth_a_note(Coming::Rival(node.clone())) {
                    let machine = describe(enrolment);
                    let text = format!("a machine with the node's claims and another key: {machine}");
                    unit.note("server", Some(&node), text).await?;
                }
                Ok(())
            }
            Decision::Rejected { node, rejection } => {
                if enrolment.standing == Standing::Rejected {
                    return Ok(());
                }
                let Rejection { machine, .. } = *rejection;
                if self.is_worth_a_note(Coming::Refused(machine.clone())) {
                    let text = format!("a machine came that is refused ({machine}): {}", describe(enrolment));
                    unit.note("server", node.as_ref(), text).await?;
                }
                self.set_rejected(unit, enrolment, node.as_ref(), &self.state.memory.rejections.all()).await
            }
            Decision::Wait { node, .. } => {
                if enrolment.standing != Standing::Pending {
                    unit.set_enrolment(enrolment.id, Standing::Pending, None, None).await?;
                }
                let Some(name) = node else { return Ok(()) };
                let mut node = unit.node(&name).await?;
                if let Ok(record) = node.record.after(&Input::Asked) {
                    node.record = record;
                    unit.save_node(&node).await?;
                }
                Ok(())
            }
        }
    }

    /// The enrolment as it stands now, where time has decided what nobody else has: a machine that was at work has fallen
    /// silent, or a window has closed.
    async fn up_to_date(&self, enrolment: Enrolment) -> Result<Enrolment> {
        let stands = match self.decision(&enrolment) {
            Decision::Approve { .. } => Standing::Approved,
            Decision::Wait { .. } => Standing::Pending,
            Decision::Conflict { .. } => Standing::Conflict,
            Decision::Rejected { .. } => Standing::Rejected,
        };
        if !enrolment.is_open() || enrolment.standing == stands {
            return Ok(enrolment);
        }
        self.settle(&enrolment).await?;
        self.state.enrolment(enrolment.id).await?.ok_or_else(greeting::unknown_session)
    }

    /// Makes the machine the node: key, certificate and generation in one unit.
    async fn admit(
        &self,
        unit: &mut Unit,
        enrolment: &Enrolment,
        name: &NodeName,
        by: &str,
        actor: impl Into<Actor>,
    ) -> Result<()> {
        if !unit.enrolment_is_open(enrolment.id).await? {
            return Err(Failure::new(Code::WrongState, format!("approving a machine as {name}: it no longer waits")));
        }
        let mut node = unit.node(name).await?;
        if ![node.key, node.next_key].contains(&Some(enrolment.key)) {
            node.record = node.record.after(&Input::Approved).map_err(|refusal| refusal.failure(name))?;
            let deed = Action::MachineAdmitted.says(format!("admitted a machine by {by}: {}", describe(enrolment)));
            let is = json!({ "key": enrolment.key, "claims": enrolment.claims, "generation": node.record.generation, "by": by });
            unit.note(actor, Some(name), deed.changing(json!({ "key": node.key }), is)).await?;
        }
        let issued = self.certificates.issue(unit, &node, &enrolment.spki, enrolment.key).await?;
        if self.state.memory.revoked.holds(&enrolment.key) {
            let cause = format!("approving a machine as {name}: its key was revoked");
            return Err(Failure::new(Code::EnrolRejected, cause));
        }
        (node.key, node.next_key) = (Some(enrolment.key), None);
        node.certificate_ends = Some(issued.not_after);
        node.enrolment = Some(enrolment.id);
        self.remember_tpm(unit, &mut node, enrolment).await?;
        if unit.operation(name).await?.is_some_and(|operation| operation.kind == Kind::Replace) {
            // The window is for one machine: it has come.
            unit.end_operation(name).await?;
        }
        unit.save_node(&node).await?;
        unit.set_enrolment(enrolment.id, Standing::Approved, Some(name), Some(&issued.chain_pem)).await?;
        unit.supersede_others(name, enrolment.id).await?;
        unit.give_runs_to_node(&enrolment.session, name).await
    }

    /// What becomes of the enrolment as things stand.
    pub fn decision(&self, enrolment: &Enrolment) -> Decision {
        self.decision_beside(enrolment, &self.state.memory.rejections.all())
    }

    fn decision_beside(&self, enrolment: &Enrolment, rejections: &[Rejection]) -> Decision {
        let Enrolment { key, claims, code, shown, tpm, .. } = enrolment;
        let heard = |run: &RunId| self.state.memory.presence.of(run).map(|word| word.heard(Instant::now(), now()));
        self.state.memory.directory.with(|entries| {
            let asking = Asking { key, claims, code, token: shown, tpm };
            let decision = enrolment::decide(entries, asking, &self.policy, &heard, now());
            enrolment::unless_rejected(decision, rejections, entries, asking)
        })
    }
}

/// Which machine it is, for the history.
fn describe(enrolment: &Enrolment) -> String {
    let Enrolment { address, key, claims, .. } = enrolment;
    let serial = claims.serial.as_ref().map(|serial| format!(", serial {serial}"));
    let card = claims.macs.first().map(|mac| format!(", card {mac}"));
    format!("from {address}, key {}{}{}", &key.hex()[..12], serial.unwrap_or_default(), card.unwrap_or_default())
}
