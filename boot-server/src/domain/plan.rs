//! The plan of a machine, held until an admin has agreed to it.

use protocol::{
    encoding::Sha256,
    report::{Lost, PlannedDisk},
    spec::{Disks, WipePolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A plan and whether an admin has agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPlan {
    /// The exact disks and actions.
    pub lines: Vec<String>,
    /// The generation it would use up.
    pub generation: u64,
    /// It waits for an admin.
    pub held: bool,
    /// An admin has agreed to it.
    #[serde(default)]
    pub approved: bool,
    /// What becomes of each disk; an agent of an earlier release does not say.
    #[serde(default)]
    pub disks: Option<Vec<PlannedDisk>>,
}

impl HeldPlan {
    /// What an approval is bound to: every line of it, what becomes of each disk, and its generation.
    pub fn id(&self) -> Sha256 {
        let lines = self.lines.iter().map(|line| format!("{} {line}\n", line.len()));
        let disks = self.disks.iter().flatten().map(|disk| format!("disk {disk:?}\n"));
        let text: String = std::iter::once(format!("plan/1 {}\n", self.generation)).chain(lines).chain(disks).collect();
        Sha256::of(text.as_bytes())
    }

    /// The lines that say that something is destroyed; any of them may where the agent does not tell.
    pub fn destroys(&self) -> BTreeSet<usize> {
        match &self.disks {
            Some(disks) => disks.iter().filter(|disk| disk.fate.destroys()).map(|disk| disk.line).collect(),
            None => (0..self.lines.len()).collect(),
        }
    }

    /// Whether the spec gives leave to lose whatever foreign it may destroy.
    pub fn is_within(&self, wanted: &Disks) -> bool {
        let policy = |name: &String| wanted.wipe.get(name).copied().unwrap_or_default();
        match &self.disks {
            Some(disks) => {
                disks.iter().all(|disk| disk.fate.loses() != Lost::Foreign || policy(&disk.name) == WipePolicy::Wipe)
            }
            None => {
                let mut laid_out = wanted.devices.get("disk").and_then(Value::as_object).into_iter().flatten();
                laid_out.all(|(name, _)| policy(name) != WipePolicy::Install)
            }
        }
    }
}

/// As much of a plan's hash as people compare.
pub fn short(plan: &Sha256) -> String {
    plan.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::report::Fate;
    use serde_json::json;

    fn plan(disks: Option<Vec<(&str, Fate)>>) -> HeldPlan {
        let planned = |(name, fate): (&str, Fate)| PlannedDisk { name: name.into(), line: 1, fate };
        let disks = disks.map(|disks| disks.into_iter().map(planned).collect());
        HeldPlan { lines: vec!["a".into(), "b".into()], generation: 1, held: false, approved: false, disks }
    }

    fn wanted(policy: WipePolicy) -> Disks {
        let devices = json!({"disk": {"main": {}}});
        Disks { devices, wipe: [("main".to_owned(), policy)].into(), ..Disks::default() }
    }

    #[test]
    fn only_what_is_foreign_and_not_named_by_the_spec_is_beyond_it() {
        let foreign = || plan(Some(vec![("main", Fate::KeepInPart { loses: Lost::Foreign })]));
        assert!(!foreign().is_within(&wanted(WipePolicy::Install)));
        assert!(foreign().is_within(&wanted(WipePolicy::Wipe)));
        let own = plan(Some(vec![("main", Fate::Make { loses: Lost::Own })]));
        assert!(own.is_within(&wanted(WipePolicy::Install)));
        assert_eq!((foreign().destroys(), own.destroys()), ([1].into(), [].into()));
    }

    #[test]
    fn a_plan_of_an_agent_that_does_not_say_may_destroy_anything() {
        assert!(!plan(None).is_within(&wanted(WipePolicy::Install)));
        assert!(plan(None).is_within(&wanted(WipePolicy::Wipe)));
        assert_eq!(plan(None).destroys(), [0, 1].into());
    }

    #[test]
    fn an_approval_holds_for_no_other_fate() {
        let of = |loses| plan(Some(vec![("main", Fate::Make { loses })])).id();
        assert_ne!(of(Lost::Own), of(Lost::Foreign));
    }
}
