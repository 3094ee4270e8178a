//! What an admin sees: nodes, machines that wait, and one of them in detail.

use super::{
    vitals::Vitals,
    waiting::{self, Waiting},
};
use crate::{
    base::clock::now,
    domain::{
        enrolment::{machine_name, normal_code},
        lifecycle::Record,
        plan::{HeldPlan, short},
        tpm::Tpm,
    },
    state::{
        State,
        enrolments::{Enrolment, Standing},
        journal::Of,
        memory::presence::Word,
        nodes::Node,
        runs::Run,
    },
    trust::admission::Admission,
};
use protocol::{
    Code, Failure, Timestamp,
    admin::{Missing, Need, NodeDetail, NodeHealth, NodeState, NodeSummary},
    boot_trust::BootTrust,
    failure::Result,
    manifest::Purpose,
    names::{NodeName, StorePath},
    report::InstalledReport,
    spec::NodeSpec,
    tpm::TpmState,
};
use std::{collections::HashMap, sync::Arc, time::Instant};

/// A node or a machine that waits to become one.
enum Subject {
    Node(Box<Node>, Option<Box<Waiting>>),
    Machine(Box<Waiting>),
}

/// Shows them.
#[derive(Debug)]
pub struct View {
    state: State,
    admission: Arc<Admission>,
    vitals: Arc<Vitals>,
}

impl View {
    /// Of the parts it uses.
    pub fn new(state: State, admission: Arc<Admission>, vitals: Arc<Vitals>) -> Self {
        Self { state, admission, vitals }
    }

    /// Every node, then every machine that waits and is not shown as its node.
    pub async fn summaries(&self) -> Result<Vec<NodeSummary>> {
        let runs: HashMap<String, Run> = self.state.last_runs().await?.into_iter().collect();
        let mut summaries = Vec::new();
        for subject in self.subjects().await? {
            let run = match &subject {
                Subject::Node(node, None) => runs.get(node.name.as_str()).cloned(),
                Subject::Node(_, Some(waiting)) | Subject::Machine(waiting) => {
                    self.state.run(&waiting.enrolment.run).await?
                }
            };
            summaries.push(self.summary(&subject, run));
        }
        Ok(summaries)
    }

    /// One node or machine.
    ///
    /// # Errors
    /// `E-NOT-FOUND`.
    pub async fn detail(&self, name: &str) -> Result<NodeDetail> {
        let subject = self.subject(name).await?;
        let (node, enrolment) = match &subject {
            Subject::Node(node, waiting) => {
                let admitted = match (waiting, node.enrolment) {
                    (Some(waiting), _) => Some(waiting.enrolment.clone()),
                    (None, Some(id)) => self.state.enrolment(id).await?,
                    (None, None) => None,
                };
                (Some(node.as_ref()), admitted)
            }
            Subject::Machine(waiting) => (None, Some(waiting.enrolment.clone())),
        };
        let run = match (node, &subject) {
            (Some(node), Subject::Node(_, None)) => {
                let runs: HashMap<String, Run> = self.state.last_runs().await?.into_iter().collect();
                runs.get(node.name.as_str()).cloned()
            }
            _ => match &enrolment {
                Some(enrolment) => self.state.run(&enrolment.run).await?,
                None => None,
            },
        };
        let shown = node.and_then(|node| node.record.run.clone()).or_else(|| run.as_ref().map(|run| run.id.clone()));
        // A machine that waits speaks by its enrolment, also where it would become a node that is known.
        let waiting_run = match &subject {
            Subject::Node(_, waiting) => waiting.as_deref().map(|waiting| &waiting.enrolment.run),
            Subject::Machine(waiting) => Some(&waiting.enrolment.run),
        };
        let events = match (node, waiting_run) {
            (_, Some(run)) => self.state.events_of_run(run).await?,
            (Some(node), None) => self.state.events_since(&node.name, shown.as_ref()).await?,
            (None, None) => Vec::new(),
        };
        let installed = node.and_then(|node| node.installed.as_ref());
        let inventory = match &enrolment {
            Some(enrolment) => self.state.inventory(enrolment.id).await?,
            None => None,
        };
        let says = inventory.clone().unwrap_or_default();
        let measured = enrolment.as_ref().is_some_and(|enrolment| enrolment.tpm.proven_ek().is_some());
        Ok(NodeDetail {
            boot_trust: BootTrust::of(&says.secure_boot, says.fetched, measured),
            agent_peak_rss: self.peak_rss(installed, run.as_ref()),
            boot_order: installed.map(|report| report.boot_order.clone()).unwrap_or_default(),
            summary: self.summary(&subject, run),
            spec: node.and_then(|node| node.spec.clone()).map(without_secrets),
            claims: enrolment.as_ref().map(|enrolment| enrolment.claims.clone()),
            inventory,
            tpm: match (&enrolment, node.and_then(|node| node.tpm.as_ref())) {
                // What was proven once is worth more than a claim.
                (Some(Enrolment { tpm: Tpm::Absent | Tpm::Broken { .. }, .. }) | None, Some(known)) => {
                    TpmState::Proven(known.clone())
                }
                (Some(enrolment), _) => enrolment.tpm.state(),
                (None, None) => TpmState::Absent,
            },
            starts: node.map(|node| node.starts.clone()).unwrap_or_default(),
            run: shown,
            held_plan: node.and_then(waiting_plan).map(HeldPlan::id),
            destroys: node.and_then(|node| node.plan.as_ref()).map(HeldPlan::destroys),
            plan: node.and_then(|node| node.plan.clone()).map(|plan| plan.lines).unwrap_or_default(),
            events,
            history: match node {
                Some(node) => self.state.history(&node.name).await?,
                None => Vec::new(),
            },
            ready: node.and_then(|node| node.ready.clone()),
            memberships: match node {
                Some(node) => self.state.memberships_of(&node.name).await?,
                None => Vec::new(),
            },
        })
    }

    /// Whose journal it is: a node's, or that of a machine that waits.
    ///
    /// # Errors
    /// `E-NOT-FOUND`.
    pub async fn journal_of(&self, name: &str) -> Result<Of> {
        Ok(match self.subject(name).await? {
            Subject::Node(_, Some(waiting)) | Subject::Machine(waiting) => Of::Run(waiting.enrolment.run),
            Subject::Node(node, None) => Of::Node(node.name),
        })
    }

    /// The largest that is known of the agent's memory: reported, stored, or just heard.
    fn peak_rss(&self, installed: Option<&InstalledReport>, run: Option<&Run>) -> u64 {
        let heard = run.and_then(|run| self.state.memory.presence.of(&run.id)).and_then(|word| word.heartbeat);
        let known = [
            installed.map(|report| report.agent_peak_rss),
            run.map(|run| run.rss),
            heard.map(|beat| beat.agent_peak_rss),
        ];
        known.into_iter().flatten().max().unwrap_or(0)
    }

    /// The machine that waits, by what admins call it: its name, the node that it is shown as, or its code.
    ///
    /// # Errors
    /// `E-NOT-FOUND`; `E-WRONG-STATE` for a node for which no machine waits.
    pub async fn waiting(&self, name: &str) -> Result<Enrolment> {
        let subject = match self.subject(name).await {
            Ok(subject) => subject,
            Err(failure) => {
                let code = normal_code(name).ok_or(failure)?;
                let found = self.state.open_enrolments().await?.into_iter().find(|waiting| waiting.code == code);
                return found.ok_or_else(|| {
                    Failure::new(
                        Code::NotFound,
                        format!("looking for machine {name:?}: none of that name or code waits"),
                    )
                });
            }
        };
        match subject {
            Subject::Machine(waiting) | Subject::Node(_, Some(waiting)) => Ok(waiting.enrolment),
            Subject::Node(node, None) => {
                let cause = format!(
                    "looking for a machine that waits: node {name} is {}, and none waits as it",
                    node.record.state
                );
                Err(Failure::new(Code::WrongState, cause)
                    .with_remedy("name the machine as boot-server get nodes prints it; one that is a node goes by boot-server cluster decommission"))
            }
        }
    }

    async fn subjects(&self) -> Result<Vec<Subject>> {
        let mut waiting = waiting::all(&self.state, &self.admission).await?;
        let mut subjects = Vec::new();
        for node in self.state.nodes().await? {
            // The one that came first keeps the row while it asks: nobody puts his code where an admin has seen another one.
            let first = |asks| waiting.iter().rposition(|waiting| waiting.asks == asks && waiting.is_shown_as(&node));
            let own = first(true).or_else(|| first(false));
            subjects.push(Subject::Node(Box::new(node), own.map(|index| Box::new(waiting.remove(index)))));
        }
        subjects.extend(waiting.into_iter().map(|waiting| Subject::Machine(Box::new(waiting))));
        Ok(subjects)
    }

    async fn subject(&self, name: &str) -> Result<Subject> {
        let found = self.subjects().await?.into_iter().find(|subject| match subject {
            Subject::Node(node, _) => node.name.as_str() == name,
            Subject::Machine(waiting) => machine_name(&waiting.enrolment.key) == name,
        });
        found.ok_or_else(|| Failure::new(Code::NotFound, format!("looking for node {name:?}: there is none")))
    }

    fn summary(&self, subject: &Subject, run: Option<Run>) -> NodeSummary {
        let word = run.as_ref().and_then(|run| self.state.memory.presence.of(&run.id));
        let waiting = match subject {
            Subject::Node(_, waiting) => waiting.as_deref(),
            Subject::Machine(waiting) => Some(waiting.as_ref()),
        };
        let enrolment = waiting.map(|waiting| &waiting.enrolment);
        let word = word.or_else(|| enrolment.and_then(|enrolment| self.state.memory.presence.of(&enrolment.run)));
        let polled =
            enrolment.and_then(|enrolment| self.state.memory.presence.of_waiting(enrolment.id, Instant::now(), now()));
        let record = match subject {
            Subject::Node(node, _) => Some(&node.record),
            Subject::Machine(_) => None,
        };
        let state = shown_state(record, enrolment);
        let health = match subject {
            Subject::Node(node, _) => self.vitals.of(&node.name),
            Subject::Machine(_) => None,
        };
        let spoke = health.as_ref().map(|health| now() - time::Duration::seconds(health.heard_seconds as i64));
        let turn = match subject {
            Subject::Node(node, None) => self.state.memory.waits.of(&node.name, now()),
            Subject::Node(..) | Subject::Machine(_) => None,
        };
        let asked = turn.as_ref().map(|turn| turn.heard);
        let heard = last_heard(run.as_ref(), enrolment, word.as_ref(), now()).max(polled).max(spoke).max(asked);
        let beat = word.and_then(|word| word.heartbeat);
        let busy =
            !matches!(state, NodeState::Expected | NodeState::Discovered | NodeState::Ready | NodeState::Installed);
        let step =
            if busy { run.as_ref().and_then(|run| run.step).or(beat.as_ref().map(|beat| beat.step)) } else { None };
        let running = match subject {
            Subject::Node(node, None) => running_system(health.as_ref(), node),
            Subject::Node(..) | Subject::Machine(_) => None,
        };
        NodeSummary {
            name: match subject {
                Subject::Node(node, _) => node.name.to_string(),
                Subject::Machine(waiting) => machine_name(&waiting.enrolment.key),
            },
            state,
            step,
            progress: beat.filter(|beat| Some(beat.step) == step).and_then(|beat| beat.progress),
            code: enrolment
                .filter(|waiting| matches!(waiting.standing, Standing::Pending | Standing::Rejected))
                .map(|waiting| waiting.code.clone()),
            missing: self
                .missing(subject, waiting)
                .into_iter()
                .chain(other_system(subject, running.as_ref()))
                .chain(new_certificate(subject, now()))
                .chain(another_tpm(subject))
                .chain(another_key(subject))
                .chain(turn.map(|turn| Missing::new(Need::Turn, turn.reason)))
                .collect(),
            generation: record.map_or(0, |record| record.generation),
            silent_seconds: heard.map(|heard| u64::try_from((now() - heard).whole_seconds()).unwrap_or(0)),
            failure: run.as_ref().and_then(|run| run.failure.clone()).filter(|_| busy),
            address: run
                .map(|run| run.address)
                .filter(|address| !address.is_empty())
                .or_else(|| enrolment.map(|waiting| waiting.address.clone())),
            health,
            running,
            certificate_ends: match subject {
                Subject::Node(node, _) => node.certificate_ends,
                Subject::Machine(_) => None,
            },
        }
    }

    fn has_window(&self, name: &NodeName) -> bool {
        let open = |until| now() < until;
        self.state
            .memory
            .directory
            .with(|entries| entries.iter().any(|entry| entry.name == *name && entry.window.is_some_and(open)))
    }

    fn missing(&self, subject: &Subject, waiting: Option<&Waiting>) -> Vec<Missing> {
        if let Some(waiting) = waiting {
            return waiting.needs();
        }
        let Subject::Node(node, None) = subject else { return vec![] };
        if let Some(plan) = waiting_plan(node) {
            let (name, plan) = (&node.name, short(&plan.id()));
            let text = format!("an admin to approve the plan: boot-server approve {name} --plan {plan}");
            return vec![Missing::new(Need::PlanApproval, text)];
        }
        let waits = node.record.state != NodeState::Installing && !node.record.used;
        if waits && node.record.purpose == Purpose::Wipe {
            let text = "its machine to boot from the network: its disks are wiped then";
            return vec![Missing::new(Need::NetworkBoot, text)];
        }
        if waits && self.has_window(&node.name) {
            let text = "its new machine to boot from the network, which needs no approval (replace)";
            return vec![Missing::new(Need::NetworkBoot, text)];
        }
        if node.record.state == NodeState::Rejected {
            let refused =
                self.admission.rejections().into_iter().filter(|known| known.node.as_ref() == Some(&node.name));
            let names: Vec<String> = refused.map(|known| known.machine).collect();
            let text =
                format!("another machine, for an admin has refused {} (boot-server reject --undo)", names.join(", "));
            return vec![Missing::new(Need::Decision, text)];
        }
        if node.record.quarantined() {
            let text = format!("an admin: in quarantine after {} failed runs", node.record.failed_runs);
            return vec![Missing::new(Need::Release, text)];
        }
        vec![]
    }
}

/// The plan that waits for an admin.
fn waiting_plan(node: &Node) -> Option<&HeldPlan> {
    node.plan.as_ref().filter(|plan| plan.held && !node.record.used)
}

fn shown_state(record: Option<&Record>, waiting: Option<&Enrolment>) -> NodeState {
    match (record, waiting) {
        (Some(record), _) => record.state,
        (None, Some(enrolment)) if enrolment.standing == Standing::Conflict => NodeState::Conflict,
        (None, Some(enrolment)) if enrolment.standing == Standing::Rejected => NodeState::Rejected,
        (None, _) => NodeState::Pending,
    }
}

/// What was stored before the clock was set back says nothing: it would be heard for ever.
fn last_heard(
    run: Option<&Run>,
    waiting: Option<&Enrolment>,
    word: Option<&Word>,
    now: Timestamp,
) -> Option<Timestamp> {
    let stored = [run.map(|run| run.heard), waiting.map(|waiting| waiting.heard)];
    let stored = stored.into_iter().flatten().filter(|heard| *heard <= now).max();
    stored.max(word.map(|word| word.heard(Instant::now(), now)))
}

/// An installed node whose certificate has ended cannot say so itself: nobody takes its word any more.
fn new_certificate(subject: &Subject, now: Timestamp) -> Option<Missing> {
    let Subject::Node(node, _) = subject else { return None };
    let ends = node.certificate_ends.filter(|_| node.record.used)?;
    has_ended(ends, now).map(|text| Missing::new(Need::Certificate, text))
}

/// What an operator has revoked comes back by nobody else.
fn another_key(subject: &Subject) -> Option<Missing> {
    let Subject::Node(node, _) = subject else { return None };
    let name = (node.record.state == NodeState::Revoked).then_some(&node.name)?;
    let text = format!(
        "an admin: its key was revoked. A machine with a new key becomes it by boot-server cluster replace {name} --yes"
    );
    Some(Missing::new(Need::Decision, text))
}

/// Its key is in another machine, as far as anybody can see.
fn another_tpm(subject: &Subject) -> Option<Missing> {
    let Subject::Node(node, None) = subject else { return None };
    let start = node.starts.beside_another_tpm.as_ref()?;
    let shown = protocol::to_the_second(start.at);
    let text = format!(
        "an admin: its system started beside another TPM than it has proven ({shown}). Start its machine from the network, where it \
         waits for its code"
    );
    Some(Missing::new(Need::Decision, text))
}

fn has_ended(ends: Timestamp, now: Timestamp) -> Option<String> {
    (ends <= now).then(|| {
        let shown = protocol::to_the_second(ends);
        format!("a new certificate, for its own ended {shown}: it fetches one when it runs; on it: initrd-agent renew")
    })
}

/// What the node said last of the system that it runs.
fn running_system(health: Option<&NodeHealth>, node: &Node) -> Option<StorePath> {
    let of_health = health.and_then(|health| health.report.as_ref()).and_then(|report| report.versions.system.clone());
    of_health.or_else(|| node.ready.as_ref().and_then(|ready| ready.versions.system.clone()))
}

/// Applying a spec changes nothing on a node that is installed.
fn other_system(subject: &Subject, running: Option<&StorePath>) -> Option<Missing> {
    let Subject::Node(node, None) = subject else { return None };
    let runs = node.record.used && !matches!(node.record.state, NodeState::Retired | NodeState::Revoked);
    let wanted = &node.spec.as_ref().filter(|_| runs)?.system;
    let name = &node.name;
    (*running? != wanted.toplevel).then(|| {
        let text = format!("its spec names another system than the one that runs: boot-server reinstall {name} --yes");
        Missing::new(Need::Reinstall, text)
    })
}

fn without_secrets(mut spec: NodeSpec) -> NodeSpec {
    for file in &mut spec.secrets {
        file.content = "(secret)".into();
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_has_ended_is_asked_for_anew_with_its_end() {
        let end = Timestamp::from_unix_timestamp(1_800_000_000).unwrap();
        assert_eq!(has_ended(end, end - time::Duration::SECOND), None);
        assert!(has_ended(end, end).is_some_and(|text| text.contains("2027-01-15 8:00:00")));
    }
}
