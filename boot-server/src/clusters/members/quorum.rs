//! How many members a cluster can lose, by what each member says. Pure.

use cluster::quorum;
use protocol::operations::{MemberRole, MemberStatus, MemberView};

/// How a service of a cluster stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Members with a vote.
    pub voters: usize,
    /// Those of them that are healthy.
    pub healthy: usize,
    /// Those of them that answer and vote, an alarm or not: a quorum is made of them.
    pub voting: usize,
    /// So many of these are needed.
    pub needed: usize,
    /// Members that say they lead.
    pub leaders: usize,
}

impl Standing {
    /// As the members are.
    pub fn of(members: &[MemberView]) -> Self {
        let voters = members.iter().filter(|member| member.role != MemberRole::Learner);
        let count = voters.clone().count();
        Self {
            voters: count,
            healthy: voters.clone().filter(|member| member.status == MemberStatus::Healthy).count(),
            voting: voters.filter(|member| votes(member)).count(),
            needed: quorum::needed(count),
            leaders: members.iter().filter(|member| member.role == MemberRole::Leader).count(),
        }
    }

    /// Whether a majority votes. It takes writes, but for an alarm.
    pub fn has_quorum(self) -> bool {
        quorum::holds(self.voters, self.voting)
    }

    /// Whether an alarm keeps it from taking writes.
    pub fn is_alarmed(self) -> bool {
        self.voting > self.healthy
    }

    /// Everybody is well and one leads.
    pub fn is_whole(self) -> bool {
        self.has_quorum() && self.healthy == self.voters && self.leaders == 1
    }
}

fn votes(member: &MemberView) -> bool {
    matches!(member.status, MemberStatus::Healthy | MemberStatus::Alarmed)
}

/// Whether the rest of the cluster has a quorum without this member.
pub fn keeps_quorum_without(members: &[MemberView], id: &str) -> bool {
    let rest: Vec<MemberView> = members.iter().filter(|member| member.id != id).cloned().collect();
    Standing::of(&rest).has_quorum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(id: usize, healthy: bool, learner: bool) -> MemberView {
        MemberView {
            id: id.to_string(),
            name: format!("n{id}"),
            node: None,
            address: String::new(),
            client: None,
            status: if healthy { MemberStatus::Healthy } else { MemberStatus::Unreachable },
            role: if learner { MemberRole::Learner } else { MemberRole::Follower },
            version: None,
            failure: None,
        }
    }

    fn members(healthy: &[bool]) -> Vec<MemberView> {
        healthy.iter().enumerate().map(|(id, healthy)| member(id, *healthy, false)).collect()
    }

    #[test]
    fn a_dead_member_may_go_and_a_living_one_beside_it_may_not() {
        let three = members(&[true, true, false]);
        assert!(keeps_quorum_without(&three, "2"));
        assert!(!keeps_quorum_without(&three, "0"));
        assert!(!keeps_quorum_without(&members(&[true]), "0"), "the last member");
        assert!(keeps_quorum_without(&members(&[true, true]), "1"));
    }

    #[test]
    fn an_alarm_costs_no_quorum() {
        let mut three = members(&[true, true, true]);
        three.iter_mut().for_each(|member| member.status = MemberStatus::Alarmed);
        let standing = Standing::of(&three);
        assert!(standing.has_quorum() && standing.is_alarmed() && !standing.is_whole(), "{standing:?}");
        assert!(keeps_quorum_without(&three, "0"));
    }

    #[test]
    fn learners_have_no_vote() {
        let mut two = members(&[true, true]);
        two.push(member(2, false, true));
        assert_eq!((Standing::of(&two).voters, Standing::of(&two).has_quorum()), (2, true));
        assert!(keeps_quorum_without(&two, "2"));
    }

    proptest! {
        #[test]
        fn removing_a_dead_member_never_costs_the_quorum(healthy in prop::collection::vec(any::<bool>(), 1..9)) {
            let members = members(&healthy);
            if Standing::of(&members).has_quorum() {
                for (id, _) in healthy.iter().enumerate().filter(|(_, healthy)| !**healthy) {
                    prop_assert!(keeps_quorum_without(&members, &id.to_string()));
                }
            }
        }

        #[test]
        fn a_removal_that_is_allowed_leaves_a_majority(healthy in prop::collection::vec(any::<bool>(), 1..9), id in 0usize..9) {
            if keeps_quorum_without(&members(&healthy), &id.to_string()) {
                let mut rest = healthy;
                if id < rest.len() { rest.remove(id); }
                prop_assert!(rest.iter().filter(|healthy| **healthy).count() * 2 > rest.len());
            }
        }
    }
}
