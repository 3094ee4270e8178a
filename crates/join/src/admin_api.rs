//! Chainfire and FlareDB, by their HTTP admin API. The service starts by itself; a joiner is announced when it is
//! healthy.

use super::driver::{self, Call, Driver, Holding, Membership, Node, Way, at_one_of, may_go, raft_addr};
use cluster::{
    admin_api::{AdminApi, Answer, Member},
    client::{call_failed, is_passing},
    quorum,
};
use host::file::write_atomically;
use host::retry::{Attempt, retry};
use hyper::StatusCode;
use protocol::{
    Code, Failure,
    cluster_address::{HttpsUrl, RaftAddress},
    failure::Result,
    report::JoinOutcome,
};
use std::net::SocketAddr;

/// This node and its service.
pub struct Announced<'a> {
    node: &'a Node,
    raft_addr: RaftAddress,
}

impl<'a> Announced<'a> {
    /// This node's.
    pub fn new(node: &'a Node) -> Self {
        Self { node, raft_addr: raft_addr(node) }
    }

    fn local(&self) -> AdminApi<'a> {
        AdminApi::new(&self.node.client, self.node.local_url())
    }

    fn member(&self, base: &HttpsUrl) -> AdminApi<'a> {
        AdminApi::new(&self.node.client, base.to_string())
    }

    async fn add_once(&self, base: &HttpsUrl) -> Attempt<JoinOutcome> {
        match self.member(base).add(&self.node.config.node_id, self.raft_addr).await {
            Ok(answer) => after_add(answer),
            Err(failure) => call_failed(failure),
        }
    }

    async fn remove_once(&self, base: &HttpsUrl, id: &str) -> Attempt<()> {
        match self.member(base).remove(id).await {
            Ok(answer) => after_remove(answer),
            Err(failure) => call_failed(failure),
        }
    }

    /// The member list as any other member has it.
    async fn list_elsewhere(&self) -> Result<Vec<Member>> {
        let listed = self.node.at_a_member("listing the members", async |base| {
            self.member(base).members().await.map_or_else(Attempt::Again, Attempt::Done)
        });
        listed.await.into_result()
    }

    async fn judge(&self, at: AdminApi<'a>) -> Result<Membership> {
        let seen = membership(&at.members().await?, &self.node.config.node_id, &self.raft_addr.to_string())?;
        // Where the member list does not say who leads.
        if seen.leader.is_none() && !at.has_leader().await? {
            return Err(Failure::new(Code::ClusterJoin, "checking the cluster: there is no leader"));
        }
        Ok(seen)
    }

    async fn health(&self) -> Result<()> {
        let health = self.local().health().await?;
        if health.is_healthy() {
            return Ok(());
        }
        let cause = format!("GET {}/health: it says {:?}", self.node.local_url(), health.status);
        Err(Failure::new(Code::ServiceUnhealthy, cause))
    }

    /// A service that has lost its data is no member any more, by its own list. A founder need not be listed by its
    /// `node_id`, and a service that starts tells nothing.
    async fn kept(&self) -> Holding {
        if self.node.way == Way::Bootstrap {
            return Holding::Unknown;
        }
        let list = self.local().members().await.unwrap_or_default();
        let id = &self.node.config.node_id;
        if list.is_empty() {
            return Holding::Unknown;
        }
        if list.iter().any(|member| member.id == *id) {
            return Holding::Kept;
        }
        let listed: Vec<_> = list.iter().map(|member| member.id.as_str()).collect();
        Holding::Lost(format!("the service on this node lists {}, and not {id}", listed.join(", ")))
    }

    async fn taken_in(&self) -> Result<JoinOutcome> {
        if self.node.way == Way::Bootstrap {
            return Ok(JoinOutcome::Bootstrapped);
        }
        if let Some(generation) = self.node.replaces {
            self.replace(generation).await?;
        }
        let what = "asking a member to add this node";
        retry(self.node.settings.attempts(), what, async || {
            self.node.at_a_member(what, async |base| self.add_once(base).await).await
        })
        .await
    }

    /// Removes the earlier installation of this node, once: what is listed after that is this one.
    async fn replace(&self, generation: u64) -> Result<()> {
        let note = self.node.settings.state_dir.join(format!("replaced-{}", self.node.service));
        if std::fs::read_to_string(&note).is_ok_and(|text| text.trim() == generation.to_string()) {
            return Ok(());
        }
        let what = "removing the earlier installation of this node";
        retry(self.node.settings.attempts(), what, async || {
            self.node.at_a_member(what, async |base| self.remove_stale(base).await).await
        })
        .await?;
        write_atomically(&note, format!("{generation}\n").as_bytes(), 0o644)
    }

    async fn remove_stale(&self, base: &HttpsUrl) -> Attempt<()> {
        let list = match self.member(base).members().await {
            Ok(list) => list,
            Err(failure) => return call_failed(failure),
        };
        for member in stale(&list, &self.node.config.node_id, &self.raft_addr.to_string()) {
            tracing::info!("removing {} at {}: an earlier installation of this node", member.id, member.raft_addr);
            match self.remove_once(base, &member.id).await {
                Attempt::Done(()) => {}
                failed => return failed,
            }
        }
        Attempt::Done(())
    }

    async fn verified(&self) -> Result<Membership> {
        match self.node.way {
            // Founders elect among themselves; the contract is the health of the local service.
            Way::Bootstrap => {
                self.health().await?;
                Ok(seen(&self.local().members().await.unwrap_or_default()))
            }
            Way::Join => {
                let judged = self.node.at_a_member("checking the cluster", async |base| {
                    self.judge(self.member(base)).await.map_or_else(Attempt::Again, Attempt::Done)
                });
                judged.await.into_result()
            }
        }
    }

    async fn left(&self) -> Result<bool> {
        let id = &self.node.config.node_id;
        let list = match self.local().members().await {
            Ok(list) if list.iter().any(|member| member.id == *id) => list,
            _ => self.list_elsewhere().await?,
        };
        if !list.iter().any(|member| member.id == *id) {
            return Ok(false);
        }
        let others: Vec<_> = list.iter().filter(|member| member.id != *id).collect();
        may_go(others.len(), others.iter().filter(|member| member.is_healthy()).count())?;
        let listed = others.iter().filter_map(|other| self.client_url(other));
        let elsewhere: Vec<HttpsUrl> = listed.chain(self.node.members.iter().cloned()).collect();
        let what = "asking a member to remove this node";
        retry(self.node.settings.attempts(), what, async || {
            at_one_of(&elsewhere, what, async |base| self.remove_once(base, id).await).await
        })
        .await?;
        Ok(true)
    }

    /// A member's own list has Raft addresses only: its clients are on the same port everywhere.
    fn client_url(&self, member: &Member) -> Option<HttpsUrl> {
        let address: SocketAddr = member.raft_addr.parse().ok()?;
        format!("https://{}", driver::host_port(address.ip(), self.node.client_port())).parse().ok()
    }

    fn shown(&self, member: &Member) -> driver::Member {
        driver::Member {
            id: member.id.clone(),
            name: member.id.clone(),
            raft_addr: member.raft_addr.clone(),
            status: member.status.clone(),
            role: member.role.clone(),
            client_urls: self.client_url(member).iter().map(HttpsUrl::to_string).collect(),
        }
    }
}

impl Driver for Announced<'_> {
    fn holding(&self) -> Call<'_, Holding> {
        Box::pin(async { Ok(self.kept().await) })
    }

    fn local_health(&self) -> Call<'_, ()> {
        Box::pin(self.health())
    }

    /// It starts by itself.
    fn prepare(&self) -> Call<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn join(&self) -> Call<'_, JoinOutcome> {
        Box::pin(self.taken_in())
    }

    fn verify(&self) -> Call<'_, Membership> {
        Box::pin(self.verified())
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self) -> Call<'_, Membership> {
        Box::pin(async {
            self.health().await?;
            self.judge(self.local()).await
        })
    }

    fn members(&self) -> Call<'_, Vec<driver::Member>> {
        Box::pin(async {
            let list = match self.local().members().await {
                Ok(list) => list,
                Err(_) => self.list_elsewhere().await?,
            };
            Ok(list.iter().map(|member| self.shown(member)).collect())
        })
    }

    fn leave(&self) -> Call<'_, bool> {
        Box::pin(self.left())
    }
}

/// Whoever has this node's name or address.
fn stale<'a>(members: &'a [Member], id: &'a str, raft_addr: &'a str) -> impl Iterator<Item = &'a Member> {
    members.iter().filter(move |member| member.id == id || member.raft_addr == raft_addr)
}

/// What the answer to `member/add` means.
fn after_add(answer: Answer) -> Attempt<JoinOutcome> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => Attempt::Done(JoinOutcome::Joined),
        StatusCode::CONFLICT => Attempt::Done(JoinOutcome::AlreadyMember),
        _ => refused(answer),
    }
}

/// What the answer to `DELETE /admin/member/ID` means.
fn after_remove(answer: Answer) -> Attempt<()> {
    match answer.status {
        // Not there is what was wanted.
        StatusCode::NOT_FOUND => Attempt::Done(()),
        status if status.is_success() => Attempt::Done(()),
        _ => refused(answer),
    }
}

fn refused<T>(answer: Answer) -> Attempt<T> {
    if is_passing(answer.status) { Attempt::Again(answer.failure()) } else { Attempt::Never(answer.failure()) }
}

fn seen(members: &[Member]) -> Membership {
    let mut names: Vec<_> = members.iter().map(|member| member.id.clone()).collect();
    names.sort();
    let leader = members.iter().find(|member| member.role.as_deref() == Some("leader"));
    Membership { members: names, leader: leader.map(|member| member.id.clone()), version: None }
}

/// The membership, where this node is listed as healthy by its own address and a majority is healthy.
fn membership(members: &[Member], id: &str, raft_addr: &str) -> Result<Membership> {
    let refused = |text: String| Err(Failure::new(Code::ClusterJoin, format!("checking the cluster: {text}")));
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
        let answer = |code: u16| Answer { status: StatusCode::from_u16(code).unwrap(), said: String::new() };
        let after = |code: u16| after_add(answer(code));
        assert!(matches!(after(200), Attempt::Done(JoinOutcome::Joined)));
        assert!(matches!(after(201), Attempt::Done(JoinOutcome::Joined)));
        assert!(matches!(after(409), Attempt::Done(JoinOutcome::AlreadyMember)));
        assert!(matches!(after_remove(answer(204)), Attempt::Done(())));
        assert!(matches!(after_remove(answer(404)), Attempt::Done(())));
        assert!(matches!(after_remove(answer(403)), Attempt::Never(_)));
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
