//! Memory and processors: what the operator demands, and what the role wants in production.

use protocol::{
    Code, Failure,
    cluster::NodeRole,
    failure::{OrFail, Result},
};
use std::fs;

/// Memory and processors of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// What the kernel can use, MiB.
    pub memory: u64,
    /// Logical processors.
    pub cpus: u64,
}

impl Capacity {
    /// What this node has.
    ///
    /// # Errors
    /// `E-SYSTEM` where the kernel does not say.
    pub fn found() -> Result<Self> {
        let reading = || "reading /proc/meminfo";
        let meminfo = fs::read_to_string("/proc/meminfo").or_fail(Code::System, reading)?;
        let memory = memory_of(&meminfo)
            .ok_or_else(|| Failure::new(Code::System, format!("{}: there is no MemTotal", reading())))?;
        let cpus = std::thread::available_parallelism().or_fail(Code::System, || "counting the processors")?;
        Ok(Self { memory, cpus: cpus.get() as u64 })
    }

    /// The least of a production node (operator runbook, section 2.1), less a fifth for what firmware and kernel keep.
    fn wanted(role: NodeRole) -> Self {
        let (gib, cpus) = match role {
            NodeRole::ControlPlane => (32, 8),
            NodeRole::Worker | NodeRole::AllInOne => (64, 16),
        };
        Self { memory: gib * 1024 * 4 / 5, cpus }
    }

    /// What is missing of a demand.
    pub fn missing(self, least: Self) -> Vec<Failure> {
        let refused = |what: String, remedy: &str| {
            Failure::new(Code::Preflight, format!("checking the hardware: {what}")).with_remedy(remedy)
        };
        let mut missing = Vec::new();
        if self.memory < least.memory {
            let what = format!("{} MiB of memory, at least {} needed", self.memory, least.memory);
            missing.push(refused(what, "give this node more memory, or demand less (--least-memory)"));
        }
        if self.cpus < least.cpus {
            let what = format!("{} processors, at least {} needed", self.cpus, least.cpus);
            missing.push(refused(what, "give this node more processors, or demand less (--least-cpus)"));
        }
        missing
    }

    /// What is to be said where the node is too small for its role in production.
    pub fn small_for(self, role: NodeRole) -> Option<String> {
        let wanted = Self::wanted(role);
        (!self.missing(wanted).is_empty()).then(|| {
            format!(
                "checking the hardware: {} processors and {} MiB of memory are few for the role of this node ({} and {})",
                self.cpus, self.memory, wanted.cpus, wanted.memory
            )
        })
    }
}

/// MemTotal in MiB.
fn memory_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_processor() {
        let found = Capacity::found().unwrap();
        assert!(found.memory > 0 && found.cpus > 0);
        assert_eq!(memory_of("MemTotal:        4025128 kB\nMemFree: 1 kB\n"), Some(3930));
        assert_eq!(memory_of("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn each_demand_that_is_not_met_is_a_finding_of_its_own() {
        let small = Capacity { memory: 480, cpus: 2 };
        assert!(small.missing(Capacity { memory: 384, cpus: 1 }).is_empty());
        let causes: Vec<_> =
            small.missing(Capacity { memory: 1024, cpus: 4 }).into_iter().map(|failure| failure.cause).collect();
        assert!(causes[0].contains("480 MiB") && causes[1].contains("2 processors"), "{causes:?}");
        assert!(small.small_for(NodeRole::Worker).is_some());
        assert_eq!(Capacity { memory: 31_000, cpus: 8 }.small_for(NodeRole::ControlPlane), None);
    }
}
