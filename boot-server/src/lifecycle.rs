//! The life of a node as a pure function, and what it boots by it.
//!
//! A generation permits one installation and is used up by it. Nothing but an operator's act opens another one, so
//! a machine that boots from the network for ever is never wiped twice.

use crate::policy::Boot;
use protocol::{
    Code, Failure,
    admin::NodeState,
    names::{NodeName, RunId},
};
use serde::{Deserialize, Serialize};

/// Failed runs of one generation after which the node is left alone.
pub const FAILED_RUNS_LIMIT: u32 = 5;

/// What the server remembers of a node to decide what may happen next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where the node stands.
    pub state: NodeState,
    /// The generation that is open, or that was used up last; 0 before the first.
    pub generation: u64,
    /// The generation has been installed.
    pub used: bool,
    /// The run that follows the generation, or followed it last.
    pub run: Option<RunId>,
    /// That run has ended in a failure, which has been counted.
    pub run_over: bool,
    /// Runs of this generation that ended without an installation.
    pub failed_runs: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self { state: NodeState::Expected, generation: 0, used: false, run: None, run_over: false, failed_runs: 0 }
    }
}

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An operator applied a NodeSpec.
    Applied,
    /// An operator wants the node installed anew: the next generation is open.
    Reinstall,
    /// A machine with its claims asked for a boot script.
    Seen,
    /// A machine with its claims waits for approval.
    Asked,
    /// A machine became the node.
    Approved,
    /// A run got its manifest: from here on it may write to disks.
    Began(RunId),
    /// A run ended in a failure.
    RunFailed(RunId),
    /// The agent reports a complete installation.
    Installed {
        /// The run that installed.
        run: RunId,
        /// The generation it used up.
        generation: u64,
    },
    /// The installed system joins the cluster.
    Joining,
    /// The join has failed for good.
    JoinFailed,
    /// The installed system reports a healthy membership.
    Ready {
        /// The generation on the disk.
        generation: u64,
    },
}

/// Why an input is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The generation has been installed already.
    Used(u64),
    /// Too many runs have failed.
    Quarantined(u32),
    /// The report is about another generation than the node's.
    OtherGeneration(u64),
    /// No machine has been admitted as this node.
    NotAdmitted(NodeState),
    /// The node is installed, and this is another machine or key.
    Taken,
}

impl Refusal {
    /// The refusal as an operator and an agent see it.
    pub fn failure(self, node: &NodeName) -> Failure {
        match self {
            Refusal::Used(generation) => {
                Failure::new(Code::GenerationUsed, format!("generation {generation} of node {node} is installed"))
            }
            Refusal::Quarantined(runs) => {
                Failure::new(Code::Quarantine, format!("{runs} runs of this generation of node {node} have failed"))
            }
            Refusal::OtherGeneration(generation) => {
                Failure::new(Code::WrongState, format!("node {node} is at generation {generation}"))
            }
            Refusal::NotAdmitted(state) => {
                Failure::new(Code::WrongState, format!("node {node} is {state}: no machine has been admitted as it"))
            }
            Refusal::Taken => {
                Failure::new(Code::EnrolConflict, format!("node {node} is installed and has another machine's key"))
            }
        }
    }
}

impl Record {
    /// Too many runs have failed: nothing is wiped any more.
    pub fn quarantined(&self) -> bool {
        !self.used && self.failed_runs >= FAILED_RUNS_LIMIT
    }

    /// Whether the open generation may be installed now.
    ///
    /// # Errors
    /// The [`Refusal`] that stands against it.
    pub fn may_install(&self) -> Result<(), Refusal> {
        use NodeState::{Approved, Failed, Installing};
        if self.used {
            return Err(Refusal::Used(self.generation));
        }
        if self.quarantined() {
            return Err(Refusal::Quarantined(self.failed_runs));
        }
        if self.generation == 0 || !matches!(self.state, Approved | Installing | Failed) {
            return Err(Refusal::NotAdmitted(self.state));
        }
        Ok(())
    }

    /// The record after the input.
    ///
    /// # Errors
    /// The [`Refusal`], with nothing changed.
    pub fn after(&self, input: &Input) -> Result<Record, Refusal> {
        use NodeState::{Discovered, Expected, Failed, Installed, Joining, Pending, Ready};
        let mut next = self.clone();
        match input {
            Input::Applied => next.generation = self.generation.max(1),
            Input::Reinstall => return self.reinstalled(),
            Input::Seen if self.state == Expected => next.state = Discovered,
            Input::Asked if matches!(self.state, Expected | Discovered) => next.state = Pending,
            Input::Seen | Input::Asked => {}
            Input::Approved => return self.approved(),
            Input::Began(run) => return self.began(run),
            Input::RunFailed(run) => {
                if !self.used && !self.run_over && self.run.as_ref() == Some(run) {
                    next.state = Failed;
                    next.run_over = true;
                    next.failed_runs += 1;
                }
            }
            Input::Installed { run, generation } => {
                self.admitted_at(*generation)?;
                if !self.used {
                    next.used = true;
                    next.state = Installed;
                    next.run = Some(run.clone());
                }
            }
            Input::Joining if self.used && matches!(self.state, Installed | Failed) => next.state = Joining,
            Input::JoinFailed if self.used && matches!(self.state, Installed | Joining) => next.state = Failed,
            Input::Joining | Input::JoinFailed => {}
            Input::Ready { generation } => {
                self.admitted_at(*generation)?;
                // A node that speaks from its own disk has been installed, whatever became of that report.
                next.used = true;
                next.state = Ready;
            }
        }
        Ok(next)
    }

    /// The machine that is the node goes on being it: its key is still admitted.
    fn reinstalled(&self) -> Result<Record, Refusal> {
        use NodeState::{
            Approved, Conflict, Failed, Installed, Installing, Joining, Ready, Rejected, Retired, Revoked,
        };
        if self.generation == 0 || matches!(self.state, Conflict | Rejected | Retired | Revoked) {
            return Err(Refusal::NotAdmitted(self.state));
        }
        let admitted = matches!(self.state, Approved | Installing | Installed | Joining | Ready | Failed);
        let state = if admitted { Approved } else { self.state };
        Ok(Record { state, generation: self.generation + 1, ..Record::default() })
    }

    fn approved(&self) -> Result<Record, Refusal> {
        use NodeState::{Approved, Conflict, Discovered, Expected, Failed, Installing, Pending, Rejected};
        if self.used {
            return Err(Refusal::Taken);
        }
        match self.state {
            Expected | Discovered | Pending | Approved | Installing | Failed | Conflict | Rejected => {
                Ok(Record { state: Approved, ..self.clone() })
            }
            other => Err(Refusal::NotAdmitted(other)),
        }
    }

    fn began(&self, run: &RunId) -> Result<Record, Refusal> {
        self.may_install()?;
        let mut next = self.clone();
        let same = self.run.as_ref() == Some(run);
        if !same && self.run.is_some() && !self.run_over {
            // The run before this one vanished: a power cut, or a machine that crashes while it installs.
            next.failed_runs += 1;
        }
        next.run = Some(run.clone());
        next.run_over = false;
        next.state = if next.quarantined() { NodeState::Failed } else { NodeState::Installing };
        Ok(next)
    }

    fn admitted_at(&self, generation: u64) -> Result<(), Refusal> {
        use NodeState::{Approved, Failed, Installed, Installing, Joining, Ready};
        if !matches!(self.state, Approved | Installing | Failed | Installed | Joining | Ready) {
            return Err(Refusal::NotAdmitted(self.state));
        }
        if generation != self.generation || generation == 0 {
            return Err(Refusal::OtherGeneration(self.generation));
        }
        Ok(())
    }
}

/// What the node boots, by its state alone.
pub fn boot(node: &NodeName, profile: &NodeName, record: &Record) -> Boot {
    use NodeState::{Conflict, Rejected, Retired, Revoked};
    if matches!(record.state, Rejected | Conflict | Revoked) {
        return Boot::Wait { reason: format!("{node} is {}: an admin must decide", record.state) };
    }
    if record.used || record.state == Retired {
        return Boot::LocalDisk;
    }
    if record.quarantined() {
        return Boot::Wait { reason: format!("{node} is in quarantine after {} failed runs", record.failed_runs) };
    }
    Boot::Install { profile: profile.clone(), hostname: Some(node.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(n: u8) -> RunId {
        format!("r{n}").parse().unwrap()
    }

    fn name() -> NodeName {
        "n1".parse().unwrap()
    }

    fn walk(inputs: &[Input]) -> Record {
        inputs.iter().fold(Record::default(), |record, input| record.after(input).unwrap_or(record))
    }

    fn boots_installer(record: &Record) -> bool {
        matches!(boot(&name(), &"vm".parse().unwrap(), record), Boot::Install { .. })
    }

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            Just(Input::Applied),
            Just(Input::Seen),
            Just(Input::Asked),
            Just(Input::Approved),
            (0u8..9).prop_map(|n| Input::Began(run(n))),
            (0u8..9).prop_map(|n| Input::RunFailed(run(n))),
            ((0u8..9), 0u64..3).prop_map(|(n, generation)| Input::Installed { run: run(n), generation }),
            Just(Input::Joining),
            Just(Input::JoinFailed),
            (0u64..3).prop_map(|generation| Input::Ready { generation }),
        ]
    }

    fn to_installed() -> Vec<Input> {
        vec![
            Input::Applied,
            Input::Seen,
            Input::Asked,
            Input::Approved,
            Input::Began(run(1)),
            Input::Installed { run: run(1), generation: 1 },
        ]
    }

    #[test]
    fn the_way_leads_from_expected_to_ready() {
        let mut record = Record::default();
        let mut states = vec![record.state];
        let mut way = to_installed();
        way.extend([Input::Joining, Input::Ready { generation: 1 }]);
        for input in way {
            record = record.after(&input).unwrap();
            states.push(record.state);
        }
        use NodeState::*;
        assert_eq!(states, [Expected, Expected, Discovered, Pending, Approved, Installing, Installed, Joining, Ready]);
    }

    #[test]
    fn applying_again_opens_no_second_generation() {
        let installed = walk(&to_installed());
        let again = installed.after(&Input::Applied).unwrap();
        assert_eq!((again.generation, again.used), (1, true));
        assert_eq!(boot(&name(), &name(), &again), Boot::LocalDisk);
    }

    #[test]
    fn the_same_report_twice_is_recorded_once_and_answered_twice() {
        let installed = walk(&to_installed());
        assert_eq!(installed.after(&Input::Installed { run: run(1), generation: 1 }), Ok(installed.clone()));
        assert_eq!(installed.after(&Input::Installed { run: run(1), generation: 2 }), Err(Refusal::OtherGeneration(1)));
    }

    #[test]
    fn another_machine_cannot_take_an_installed_node() {
        assert_eq!(walk(&to_installed()).after(&Input::Approved), Err(Refusal::Taken));
    }

    #[test]
    fn a_run_that_vanishes_counts_as_failed() {
        let mut record = walk(&[Input::Applied, Input::Approved, Input::Began(run(0))]);
        for n in 1..=FAILED_RUNS_LIMIT {
            record = record.after(&Input::Began(run(n as u8))).unwrap();
        }
        assert!(record.quarantined());
        assert_eq!(record.may_install(), Err(Refusal::Quarantined(FAILED_RUNS_LIMIT)));
        assert!(matches!(boot(&name(), &name(), &record), Boot::Wait { .. }));
    }

    #[test]
    fn a_reinstall_opens_exactly_one_more_generation() {
        let mut inputs = to_installed();
        inputs.push(Input::Reinstall);
        let open = walk(&inputs);
        assert_eq!((open.generation, open.used, open.state), (2, false, NodeState::Approved));
        assert!(boots_installer(&open));
        let began = open.after(&Input::Began(run(2))).unwrap();
        // The report of the generation before comes late.
        let late = Input::Installed { run: run(1), generation: 1 };
        assert_eq!(began.after(&late), Err(Refusal::OtherGeneration(2)));
        let done = began.after(&Input::Installed { run: run(2), generation: 2 }).unwrap();
        assert!(done.used && !boots_installer(&done));
        assert_eq!(Record::default().after(&Input::Reinstall), Err(Refusal::NotAdmitted(NodeState::Expected)));
    }

    #[test]
    fn a_failed_join_boots_the_disk() {
        let mut inputs = to_installed();
        inputs.extend([Input::Joining, Input::JoinFailed]);
        let record = walk(&inputs);
        assert_eq!(record.state, NodeState::Failed);
        assert_eq!(boot(&name(), &name(), &record), Boot::LocalDisk);
        assert_eq!(record.after(&Input::Joining).unwrap().state, NodeState::Joining);
    }

    proptest! {
        #[test]
        fn a_used_generation_never_boots_the_installer_nor_gives_a_manifest(
            inputs in prop::collection::vec(input(), 0..80)
        ) {
            let mut record = Record::default();
            for input in &inputs {
                let next = record.after(input).unwrap_or_else(|_| record.clone());
                prop_assert!(next.generation >= record.generation);
                if next.generation == record.generation {
                    prop_assert!(!record.used || next.used, "a used generation opened again by {input:?}");
                }
                if next.used {
                    prop_assert!(!boots_installer(&next));
                    prop_assert!(next.may_install().is_err());
                }
                record = next;
            }
        }

        #[test]
        fn the_runs_of_a_generation_are_bounded(inputs in prop::collection::vec(input(), 0..200)) {
            let mut record = Record::default();
            let mut attempts = 0;
            for input in &inputs {
                if let Ok(next) = record.after(input) {
                    let fresh = matches!(input, Input::Began(run) if record.run.as_ref() != Some(run) || record.run_over);
                    if fresh && next.may_install().is_ok() {
                        attempts += 1;
                    }
                    record = next;
                }
            }
            prop_assert!(attempts <= FAILED_RUNS_LIMIT, "{attempts} attempts");
        }

        #[test]
        fn quarantine_is_left_by_no_input_of_a_machine(inputs in prop::collection::vec(input(), 0..80)) {
            let mut record = walk(&[Input::Applied, Input::Approved]);
            record.failed_runs = FAILED_RUNS_LIMIT;
            for input in &inputs {
                record = record.after(input).unwrap_or(record);
                prop_assert!(record.may_install().is_err());
            }
        }

        #[test]
        fn whatever_happened_a_node_that_is_not_stuck_comes_to_its_disk(
            inputs in prop::collection::vec(input(), 0..60)
        ) {
            let record = walk(&inputs);
            if record.generation == 1 && record.may_install().is_ok() {
                let began = record.after(&Input::Began(run(100))).unwrap();
                if began.may_install().is_ok() {
                    let done = began.after(&Input::Installed { run: run(100), generation: 1 }).unwrap();
                    prop_assert_eq!(boot(&name(), &name(), &done), Boot::LocalDisk);
                }
            }
        }
    }
}
