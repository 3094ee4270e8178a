//! Machines refused by admins, and that taken back. Against whom a refusal stands is decided in [`enrolment`].

use super::{Admission, describe};
use crate::{
    domain::{
        audit::{Action, Actor},
        enrolment::{self, Decision},
        lifecycle::Input,
    },
    state::{
        Unit,
        enrolments::{Enrolment, Standing},
        rejections::MOST,
    },
};
use protocol::{
    Code, Failure,
    claims::Claims,
    failure::Result,
    names::NodeName,
    rejection::{RejectRequest, Rejection, Unrejected},
};
use serde_json::json;
use std::collections::BTreeSet;

impl Admission {
    /// An admin refuses a machine that waits.
    ///
    /// # Errors
    /// `E-WRONG-STATE` where it waits no more, or where there are too many refusals.
    pub async fn reject(&self, enrolment: &Enrolment, request: &RejectRequest, actor: &Actor) -> Result<Rejection> {
        let mut unit = self.state.begin().await?;
        let machine = enrolment::machine_name(&enrolment.key);
        if !unit.enrolment_is_open(enrolment.id).await? {
            let cause = format!("refusing {machine}: it no longer waits");
            return Err(Failure::new(Code::WrongState, cause)
                .with_remedy("a machine that is a node goes by boot-server cluster replace or decommission"));
        }
        let mut rejections = unit.rejections().await?;
        // Said twice, the last word holds; who says no reason takes none back.
        let is_it = |known: &Rejection| known.key == enrolment.key && known.claims == enrolment.claims;
        let before = rejections.iter().position(is_it).map(|place| rejections.remove(place));
        if rejections.len() >= MOST {
            let cause = format!("refusing {machine}: {MOST} machines are refused already");
            return Err(Failure::new(Code::WrongState, cause).with_remedy(
                "take back those that nobody needs: boot-server get rejections, boot-server reject --undo MACHINE",
            ));
        }
        let rejection = Rejection {
            machine,
            node: self.decision(enrolment).node().cloned(),
            key: enrolment.key,
            claims: enrolment.claims.clone(),
            ek: enrolment.tpm.proven_ek(),
            reason: request.reason().or_else(|| before.as_ref()?.reason.clone()),
            by: actor.name.clone(),
            time: unit.now(),
        };
        rejections.push(rejection.clone());
        let why = rejection.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let deed = Action::MachineRejected.says(format!("refused {}{why}: {}", rejection.machine, describe(enrolment)));
        let deed = deed.changing(before.map(|before| json!(before)), json!(rejection));
        unit.note(actor, rejection.node.as_ref(), deed).await?;
        self.set_rejected(&mut unit, enrolment, rejection.node.as_ref(), &rejections).await?;
        unit.keep_rejections(rejections).await?;
        unit.commit().await?;
        // Others with its labels that wait as well.
        self.settle_all().await?;
        Ok(rejection)
    }

    /// Every refusal that stands, the oldest first.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.state.memory.rejections.all().to_vec()
    }

    /// Takes back what was refused: of a machine by its name, or of all that claimed to be a node. They wait again, or are
    /// admitted where nothing is missing.
    ///
    /// # Errors
    /// `E-NOT-FOUND` where nothing of the name is refused.
    pub async fn unreject(&self, name: &str, actor: &Actor) -> Result<Unrejected> {
        let mut unit = self.state.begin().await?;
        let is_meant =
            |known: &Rejection| known.machine == name || known.node.as_ref().is_some_and(|node| node.as_str() == name);
        let (gone, kept): (Vec<_>, Vec<_>) = unit.rejections().await?.into_iter().partition(is_meant);
        if gone.is_empty() {
            let cause = format!("taking a refusal back: no machine {name:?} is refused");
            return Err(Failure::new(Code::NotFound, cause).with_remedy("list them: boot-server get rejections"));
        }
        note_undone(&mut unit, &gone, actor).await?;
        reconsider(&mut unit, &gone, &kept).await?;
        unit.keep_rejections(kept).await?;
        unit.commit().await?;
        self.settle_all().await?;
        Ok(Unrejected { machines: gone.into_iter().map(|rejection| rejection.machine).collect() })
    }

    /// An admin admits the machine: what was refused of it before counts no more. Who was refused with its labels and another key
    /// stays refused by that key and its chip: the labels are the admitted machine's now.
    pub(super) async fn forget_rejections_of(
        &self,
        unit: &mut Unit,
        enrolment: &Enrolment,
        actor: &Actor,
    ) -> Result<()> {
        let known = unit.rejections().await?;
        let chip = enrolment.tpm.proven_ek();
        let is_its_own =
            |rejection: &Rejection| rejection.key == enrolment.key || (chip.is_some() && rejection.ek == chip);
        let has_its_labels = |rejection: &Rejection| enrolment::has_labels_of(rejection, &enrolment.claims);
        let (gone, mut kept): (Vec<_>, Vec<_>) = known.into_iter().partition(is_its_own);
        let of_others = kept.iter_mut().filter(|rejection| has_its_labels(rejection));
        let relabelled = of_others.map(|rejection| rejection.claims = Claims::default()).count();
        if gone.is_empty() && relabelled == 0 {
            return Ok(());
        }
        note_undone(unit, &gone, actor).await?;
        // It may have been refused as another node than the one that it becomes.
        reconsider(unit, &gone, &kept).await?;
        unit.keep_rejections(kept).await
    }

    /// The machine was refused, now or when it came before.
    pub(super) async fn set_rejected(
        &self,
        unit: &mut Unit,
        enrolment: &Enrolment,
        node: Option<&NodeName>,
        rejections: &[Rejection],
    ) -> Result<()> {
        unit.set_enrolment(enrolment.id, Standing::Rejected, node, None).await?;
        let Some(name) = node else { return Ok(()) };
        let mut node = unit.node(name).await?;
        let Some(record) = node.record.after(&Input::Refused).ok().filter(|record| *record != node.record) else {
            return Ok(());
        };
        let waits_for_it = |other: &Enrolment| {
            let decision = self.decision_beside(other, rejections);
            other.id != enrolment.id && matches!(decision, Decision::Wait { node: Some(wanted), .. } if wanted == *name)
        };
        if self.state.open_enrolments().await?.iter().any(waits_for_it) {
            return Ok(());
        }
        node.record = record;
        unit.save_node(&node).await
    }
}

/// The nodes wait for their machines as before.
async fn reconsider(unit: &mut Unit, gone: &[Rejection], kept: &[Rejection]) -> Result<()> {
    let nodes: BTreeSet<&NodeName> = gone.iter().filter_map(|rejection| rejection.node.as_ref()).collect();
    for name in nodes {
        let is_still_refused = kept.iter().any(|rejection| rejection.node.as_ref() == Some(name));
        if is_still_refused {
            continue;
        }
        let mut node = unit.node(name).await?;
        if let Ok(record) = node.record.after(&Input::Reconsidered) {
            node.record = record;
            unit.save_node(&node).await?;
        }
    }
    Ok(())
}

async fn note_undone(unit: &mut Unit, gone: &[Rejection], actor: &Actor) -> Result<()> {
    for rejection in gone {
        let deed = Action::RejectionUndone.says(format!("took the refusal of {} back", rejection.machine));
        unit.note(actor, rejection.node.as_ref(), deed.changing(json!(rejection), None)).await?;
    }
    Ok(())
}

/// What a refused machine is told.
pub fn refused(rejection: &Rejection, code: &str) -> String {
    let (says, machine) = (rejection.says(), &rejection.machine);
    format!(
        "{says}; an admin lets it in by boot-server approve {code}, or has it wait again by boot-server reject --undo {machine}"
    )
}

/// What admins are told that it waits for: without the code, half of which they are to read from its console.
pub fn to_reconsider(rejection: &Rejection) -> String {
    let (by, machine) = (&rejection.by, &rejection.machine);
    let reason = rejection.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("an admin to take back that {by} has refused it{reason} (boot-server reject --undo {machine})")
}
