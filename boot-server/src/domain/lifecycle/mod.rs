//! The life of a node as a pure function, and what it boots by it.
//!
//! A generation permits one installation and is used up by it. Nothing but an operator's act opens another one, so
//! a machine that boots from the network for ever is never wiped twice.

use super::boot::Boot;
use protocol::{
    Code, Failure,
    admin::NodeState,
    manifest::Purpose,
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
    /// What the generation is for.
    #[serde(default)]
    pub purpose: Purpose,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            state: NodeState::Expected,
            generation: 0,
            used: false,
            run: None,
            run_over: false,
            failed_runs: 0,
            purpose: Purpose::Install,
        }
    }
}

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// An operator applied a NodeSpec that is new or changed.
    Applied,
    /// An operator wants a node that is retired to be expected anew.
    Reopened,
    /// An operator wants the node installed anew: the next generation is open.
    Reinstall,
    /// An operator has another machine take the node's place.
    Replace,
    /// An operator has the node leave: the next generation wipes its disks.
    Wipe,
    /// An operator has the node leave with its disks as they are.
    Retire,
    /// An operator has had its key revoked.
    Revoked,
    /// The agent reports that the disks are wiped.
    Wiped {
        /// The run that wiped.
        run: RunId,
        /// The generation it used up.
        generation: u64,
    },
    /// A machine with its claims asked for a boot script.
    Seen,
    /// A machine with its claims waits for approval.
    Asked,
    /// The machine with its claims that waited was refused, and no other waits.
    Refused,
    /// That was taken back.
    Reconsidered,
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
    /// The installed system is a member of one service, and enters others after it.
    Member {
        /// The generation on the disk.
        generation: u64,
    },
    /// The installed system reports a healthy membership, and enters nothing after it.
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
    /// The generation wipes the node's disks, and installs nothing.
    ToBeWiped,
    /// The generation does not wipe the node's disks.
    NotToBeWiped,
    /// The report is about another run than the one that follows the generation.
    OtherRun,
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
            Refusal::NotAdmitted(NodeState::Retired) => {
                Failure::new(Code::WrongState, format!("node {node} is retired: no machine becomes it"))
                    .with_remedy("boot-server apply --reopen -f FILE expects a machine for it anew")
            }
            Refusal::NotAdmitted(NodeState::Revoked) => {
                Failure::new(Code::WrongState, format!("the key of node {node} was revoked: no machine is it"))
                    .with_remedy(format!(
                        "another machine, or this one with a new key, becomes it by boot-server cluster replace {node}"
                    ))
            }
            Refusal::NotAdmitted(state) => {
                Failure::new(Code::WrongState, format!("node {node} is {state}: no machine has been admitted as it"))
            }
            Refusal::ToBeWiped => {
                Failure::new(Code::WrongState, format!("node {node} is being decommissioned: its disks are wiped"))
            }
            Refusal::NotToBeWiped => {
                Failure::new(Code::WrongState, format!("node {node} is not to be wiped: nobody decommissions it"))
            }
            Refusal::OtherRun => Failure::new(Code::WrongState, format!("another run than that follows node {node}")),
            Refusal::Taken => {
                Failure::new(Code::EnrolConflict, format!("node {node} is installed and has another machine's key"))
                    .with_remedy(format!(
                        "where this is its new machine: boot-server cluster replace {node} --yes; where it is not: \
                         boot-server reject MACHINE, as boot-server get nodes prints it"
                    ))
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
        use NodeState::{Discovered, Expected, Failed, Installed, Joining, Pending, Ready, Rejected, Retired};
        let mut next = self.clone();
        match input {
            Input::Applied => {
                next.generation = self.generation.max(1);
                if !self.used {
                    // The operator has mended something: the open generation has all its runs again.
                    next.failed_runs = 0;
                }
            }
            Input::Reopened if self.state == Retired => {
                return Ok(Record { generation: self.generation + 1, ..Record::default() });
            }
            Input::Reopened => {}
            Input::Reinstall => return self.next_generation(Purpose::Install),
            Input::Wipe => return self.next_generation(Purpose::Wipe),
            Input::Replace => return self.replaced(),
            Input::Retire => {
                next.state = Retired;
                next.used = true;
            }
            Input::Revoked if matches!(self.state, NodeState::Revoked | Retired) => {
                return Err(Refusal::NotAdmitted(self.state));
            }
            Input::Revoked => {
                next.state = NodeState::Revoked;
                next.used = true;
            }
            Input::Wiped { run, generation } => return self.wiped(run, *generation),
            Input::Seen if self.state == Expected => next.state = Discovered,
            Input::Asked if matches!(self.state, Expected | Discovered | Rejected) => next.state = Pending,
            Input::Refused if self.state == Pending => next.state = Rejected,
            Input::Reconsidered if self.state == Rejected => next.state = Discovered,
            Input::Seen | Input::Asked | Input::Refused | Input::Reconsidered => {}
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
                self.installs(*generation)?;
                if !self.used {
                    next.used = true;
                    next.state = Installed;
                    next.run = Some(run.clone());
                }
            }
            Input::Joining if self.used && matches!(self.state, Installed | Failed) => next.state = Joining,
            Input::JoinFailed if self.used && matches!(self.state, Installed | Joining) => next.state = Failed,
            Input::Joining | Input::JoinFailed => {}
            Input::Member { generation } => {
                self.installs(*generation)?;
                next.used = true;
                if self.state != Ready {
                    next.state = Joining;
                }
            }
            Input::Ready { generation } => {
                self.installs(*generation)?;
                // A node that speaks from its own disk has been installed, whatever became of that report.
                next.used = true;
                next.state = Ready;
            }
        }
        Ok(next)
    }

    /// The machine that is the node goes on being it: its key is still admitted.
    fn next_generation(&self, purpose: Purpose) -> Result<Record, Refusal> {
        use NodeState::{Approved, Conflict, Failed, Installed, Installing, Joining, Ready, Retired, Revoked};
        if self.generation == 0 || matches!(self.state, Conflict | Retired | Revoked) {
            return Err(Refusal::NotAdmitted(self.state));
        }
        let admitted = matches!(self.state, Approved | Installing | Installed | Joining | Ready | Failed);
        let state = if admitted { Approved } else { self.state };
        Ok(Record { state, generation: self.generation + 1, purpose, ..Record::default() })
    }

    /// Another machine is expected: nobody is admitted as the node any more.
    fn replaced(&self) -> Result<Record, Refusal> {
        if self.generation == 0 || self.state == NodeState::Retired {
            return Err(Refusal::NotAdmitted(self.state));
        }
        Ok(Record { generation: self.generation + 1, ..Record::default() })
    }

    /// Said twice, it is the same.
    fn wiped(&self, run: &RunId, generation: u64) -> Result<Record, Refusal> {
        if self.purpose != Purpose::Wipe {
            return Err(Refusal::NotToBeWiped);
        }
        if self.state == NodeState::Retired && self.generation == generation {
            return Ok(self.clone());
        }
        self.admitted_at(generation)?;
        if self.run.as_ref() != Some(run) {
            return Err(Refusal::OtherRun);
        }
        Ok(Record { state: NodeState::Retired, used: true, ..self.clone() })
    }

    /// Whether a system of this generation may stand on the node's disk.
    fn installs(&self, generation: u64) -> Result<(), Refusal> {
        self.admitted_at(generation)?;
        if self.purpose == Purpose::Wipe { Err(Refusal::ToBeWiped) } else { Ok(()) }
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

    /// Whether this generation speaks from the node's disk.
    ///
    /// # Errors
    /// The [`Refusal`] where it is another's, or was never installed here.
    pub fn admitted_at(&self, generation: u64) -> Result<(), Refusal> {
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

/// What the node boots, by its state alone. A machine that was refused is another question ([`crate::domain::enrolment`]): the
/// right one may still come.
pub fn boot(node: &NodeName, profile: &NodeName, record: &Record) -> Boot {
    use NodeState::{Conflict, Retired, Revoked};
    if record.state == Retired {
        return Boot::Wait { reason: format!("{node} is retired: it boots nothing") };
    }
    if matches!(record.state, Conflict | Revoked) {
        return Boot::Wait { reason: format!("{node} is {}: an admin must decide", record.state) };
    }
    if record.used {
        return Boot::LocalDisk;
    }
    if record.quarantined() {
        return Boot::Wait { reason: format!("{node} is in quarantine after {} failed runs", record.failed_runs) };
    }
    Boot::Install { profile: profile.clone(), hostname: Some(node.clone()) }
}

#[cfg(test)]
mod tests;
