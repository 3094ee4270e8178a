//! Decisions about a cluster of Chainfire or FlareDB: what an answer and a list mean.

use crate::driver::Membership;
use cluster::{
    admin_api::{Answer, Member, Role},
    client::is_passing,
    quorum,
};
use host::retry::Attempt;
use hyper::StatusCode;
use protocol::{Code, Failure, failure::Result, report::JoinOutcome};

/// Whoever has this node's name or address.
pub fn stale<'a>(members: &'a [Member], id: &'a str, raft_addr: &'a str) -> impl Iterator<Item = &'a Member> {
    members.iter().filter(move |member| member.id == id || member.raft_addr == raft_addr)
}

/// What an answer means beside the list of who gave it: the node may have been taken in though the answer broke off, and
/// "a member already" may be somebody else at another address.
pub fn decided(said: Attempt<JoinOutcome>, listed: &[Member], id: &str, raft_addr: &str) -> Attempt<JoinOutcome> {
    let own = listed.iter().find(|member| member.id == id);
    match (said, own) {
        (Attempt::Again(_), Some(own)) if own.raft_addr == raft_addr => Attempt::Done(JoinOutcome::Joined),
        (Attempt::Done(JoinOutcome::AlreadyMember), Some(own)) if own.raft_addr != raft_addr => {
            let cause = format!(
                "joining as {id}: the cluster has a member {id} with raft_addr {}, not {raft_addr}",
                own.raft_addr
            );
            let remedy = format!(
                "remove that member where it is gone (boot-server cluster remove {id}), or correct node_id or raft_addr"
            );
            Attempt::Never(Failure::new(Code::ClusterJoin, cause).with_remedy(remedy))
        }
        (said, _) => said,
    }
}

/// What the answer to `member/add` means.
pub fn after_add(answer: Answer) -> Attempt<JoinOutcome> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => Attempt::Done(JoinOutcome::Joined),
        StatusCode::CONFLICT => Attempt::Done(JoinOutcome::AlreadyMember),
        _ => refused(answer),
    }
}

/// What the answer to `DELETE /admin/member/ID` means.
pub fn after_remove(answer: Answer) -> Attempt<()> {
    match answer.status {
        // Not there is what was wanted.
        StatusCode::NOT_FOUND => Attempt::Done(()),
        status if status.is_success() && !answer.denied => Attempt::Done(()),
        // The others are asked, and this one again: an election may be on.
        _ if answer.leads_elsewhere() => Attempt::Again(answer.failure()),
        _ => refused(answer),
    }
}

fn refused<T>(answer: Answer) -> Attempt<T> {
    if is_passing(answer.status) { Attempt::Again(answer.failure()) } else { Attempt::Never(answer.failure()) }
}

pub fn seen(members: &[Member]) -> Membership {
    let mut names: Vec<_> = members.iter().map(|member| member.id.clone()).collect();
    names.sort();
    let leader = members.iter().find(|member| member.role() == Role::Leader);
    Membership { members: names, leader: leader.map(|member| member.id.clone()), version: None }
}

/// The membership, where this node is listed as healthy by its own address and a majority is healthy.
pub fn membership(members: &[Member], id: &str, raft_addr: &str) -> Result<Membership> {
    let refused = |text: String| Err(Failure::new(Code::ClusterJoin, format!("checking the cluster: {text}")));
    let same = |member: &&Member| members.iter().filter(|other| other.id == member.id).count() > 1;
    if let Some(twice) = members.iter().find(same) {
        return refused(format!("{} is in the member list more than once", twice.id));
    }
    let leaders: Vec<_> =
        members.iter().filter(|member| member.role() == Role::Leader).map(|member| member.id.as_str()).collect();
    if leaders.len() > 1 {
        return refused(format!("several members lead: {}", leaders.join(", ")));
    }
    let Some(own) = members.iter().find(|member| member.id == id) else {
        return refused(format!("{id} is not in the member list"));
    };
    if own.raft_addr != raft_addr {
        return refused(format!("{id} is in the member list with raft_addr {}, not {raft_addr}", own.raft_addr));
    }
    if !own.is_healthy() {
        return refused(format!("{id} is {} in the member list", own.status.as_deref().unwrap_or_default()));
    }
    let well = members.iter().filter(|member| member.is_healthy()).count();
    if !quorum::holds(members.len(), well) {
        return refused(format!("only {well} of {} members are healthy", members.len()));
    }
    Ok(seen(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(id: &str, status: &str, role: &str) -> Member {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Member { id: id.into(), raft_addr: format!("{id}:1"), status: some(status), role: some(role) }
    }

    #[test]
    fn every_documented_status_has_its_meaning() {
        let answer =
            |code: u16| Answer { status: StatusCode::from_u16(code).unwrap(), denied: false, said: String::new() };
        let after = |code: u16| after_add(answer(code));
        assert!(matches!(after(200), Attempt::Done(JoinOutcome::Joined)));
        assert!(matches!(after(201), Attempt::Done(JoinOutcome::Joined)));
        assert!(matches!(after(409), Attempt::Done(JoinOutcome::AlreadyMember)));
        assert!(matches!(after_remove(answer(204)), Attempt::Done(())));
        assert!(matches!(after_remove(answer(404)), Attempt::Done(())));
        assert!(matches!(after_remove(answer(403)), Attempt::Never(_)));
        assert!(matches!(after_remove(answer(307)), Attempt::Again(_)), "another member leads");
        for passing in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(after(passing), Attempt::Again(_)), "{passing}");
        }
        for hopeless in [400, 401, 403, 404, 307] {
            assert!(matches!(after(hopeless), Attempt::Never(_)), "{hopeless}");
        }
    }

    #[test]
    fn the_member_list_must_have_this_node_healthy_at_its_address_and_a_majority() {
        let good = [member("a", "healthy", "leader"), member("b", "healthy", "follower"), member("c", "down", "")];
        let found = membership(&good, "b", "b:1").unwrap();
        assert_eq!((found.members.join(" "), found.leader.as_deref()), ("a b c".to_owned(), Some("a")));
        for (id, address, part) in [("x", "x:1", "not in"), ("b", "other:1", "raft_addr"), ("c", "c:1", "down")] {
            assert!(membership(&good, id, address).unwrap_err().cause.contains(part));
        }
        let split = [member("a", "down", ""), member("b", "healthy", "")];
        assert!(membership(&split, "b", "b:1").unwrap_err().cause.contains("1 of 2"));
    }

    #[test]
    fn the_list_decides_what_an_answer_leaves_open() {
        let broke = || Attempt::Again(Failure::new(Code::ClusterUnreachable, "it broke off"));
        let list = [member("a", "healthy", "leader"), member("b", "healthy", "")];
        assert!(matches!(decided(broke(), &list, "b", "b:1"), Attempt::Done(JoinOutcome::Joined)));
        assert!(matches!(decided(broke(), &list, "c", "c:1"), Attempt::Again(_)));
        assert!(matches!(decided(broke(), &list, "b", "other:1"), Attempt::Again(_)));
        let already = || Attempt::Done(JoinOutcome::AlreadyMember);
        assert!(matches!(decided(already(), &list, "b", "b:1"), Attempt::Done(JoinOutcome::AlreadyMember)));
        let Attempt::Never(failure) = decided(already(), &list, "b", "other:1") else { panic!() };
        assert!(failure.cause.contains("with raft_addr b:1, not other:1"), "{failure}");
    }

    #[test]
    fn a_list_with_one_id_twice_or_two_leaders_is_not_taken_in_any_order() {
        let (a, b, c) = (member("a", "healthy", "leader"), member("b", "healthy", ""), member("a", "down", ""));
        for list in [[a.clone(), b.clone(), c.clone()], [c, b, a.clone()]] {
            assert!(
                membership(&list, "b", "b:1").unwrap_err().cause.contains("a is in the member list more than once")
            );
        }
        let both = [a, member("b", "healthy", "Leader")];
        assert!(membership(&both, "b", "b:1").unwrap_err().cause.contains("several members lead: a, b"));
    }

    proptest! {
        #[test]
        fn only_who_has_this_nodes_name_or_address_is_replaced(ids in proptest::collection::vec("[a-d]", 0..6)) {
            let members: Vec<_> = ids.iter().map(|id| member(id, "healthy", "")).collect();
            let gone: Vec<_> = stale(&members, "a", "b:1").map(|member| member.id.as_str()).collect();
            let wanted: Vec<_> = ids.iter().map(String::as_str).filter(|id| ["a", "b"].contains(id)).collect();
            prop_assert_eq!(gone, wanted);
        }

        #[test]
        fn a_membership_always_has_this_node_in_it(ids in proptest::collection::vec("[a-c]", 0..5), statuses in "[hd]{5}") {
            let members: Vec<_> = ids.iter().zip(statuses.chars())
                .map(|(id, status)| member(id, if status == 'h' { "healthy" } else { "down" }, ""))
                .collect();
            if let Ok(found) = membership(&members, "a", "a:1") {
                prop_assert!(found.members.contains(&"a".to_owned()));
            }
        }
    }
}
