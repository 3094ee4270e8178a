//! Machines that wait to become a node, as an admin sees them.

use crate::{
    domain::enrolment::Decision,
    state::{
        State,
        enrolments::{Enrolment, Standing},
        nodes::Node,
    },
    trust::admission::{Admission, to_decide, to_reconsider},
};
use protocol::{
    admin::{Missing, Need},
    failure::Result,
    names::NodeName,
};
use std::collections::HashMap;

/// A machine that waits and has been silent for so long is not shown any more.
const GONE: time::Duration = time::Duration::days(1);

/// A machine that waits.
pub struct Waiting {
    /// What it asked.
    pub enrolment: Enrolment,
    /// What becomes of it as things stand.
    decision: Decision,
    /// It still asks.
    pub asks: bool,
    /// How many machines ask that claim to be the same node, this one included.
    claimants: usize,
}

impl Waiting {
    /// The node that it would become.
    fn wanted(&self) -> Option<&NodeName> {
        match &self.decision {
            Decision::Wait { node, .. } => node.as_ref(),
            Decision::Approve { .. } | Decision::Conflict { .. } | Decision::Rejected { .. } => None,
        }
    }
    /// It is shown as the node that it would become, while no other machine is that node.
    pub fn is_shown_as(&self, node: &Node) -> bool {
        let pending = self.enrolment.standing == Standing::Pending;
        node.key.is_none() && pending && self.wanted() == Some(&node.name)
    }

    /// What it waits for.
    pub fn needs(&self) -> Vec<Missing> {
        let missing = match &self.decision {
            Decision::Conflict { node, with } => vec![Missing::new(Need::Decision, to_decide(node, *with))],
            Decision::Rejected { rejection, .. } => vec![Missing::new(Need::Decision, to_reconsider(rejection))],
            Decision::Wait { missing, .. } => missing.clone(),
            Decision::Approve { .. } => vec![],
        };
        let claimed = self.wanted().filter(|_| self.claimants > 1).map(|node| {
            let others = self.claimants;
            let text = format!(
                "{others} machines claim to be {node}: look at the console of the right one before its code is typed"
            );
            Missing::new(Need::Decision, text)
        });
        claimed.into_iter().chain(missing).collect()
    }
}

/// Every machine that waits, the newest first.
///
/// # Errors
/// Those of the state.
pub async fn all(state: &State, admission: &Admission) -> Result<Vec<Waiting>> {
    let mut open = state.open_enrolments().await?;
    open.retain(|enrolment| admission.silent_for(enrolment) < GONE);
    let judge = |enrolment| {
        let decision = admission.decision(&enrolment);
        let asks = admission.still_asks(&enrolment);
        Waiting { enrolment, decision, asks, claimants: 0 }
    };
    let mut waiting: Vec<Waiting> = open.into_iter().map(judge).collect();
    let mut claimants: HashMap<NodeName, usize> = HashMap::new();
    for node in waiting.iter().filter(|waiting| waiting.asks).filter_map(Waiting::wanted) {
        *claimants.entry(node.clone()).or_default() += 1;
    }
    for waiting in &mut waiting {
        waiting.claimants = waiting.wanted().and_then(|node| claimants.get(node)).copied().unwrap_or(0);
    }
    Ok(waiting)
}
