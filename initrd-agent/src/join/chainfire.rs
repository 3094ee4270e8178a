//! Chainfire, by its HTTP admin API. The service starts by itself; a joiner is announced when it is healthy.

use super::{
    driver::{Admission, Driver, Membership, Node, Way},
    peer::{call_failed, excerpt, is_passing},
    retry::{Attempt, retry},
};
use hyper::{Method, StatusCode};
use protocol::{Code, Failure, failure::Result, parse};
use serde::Deserialize;
use serde_json::{Value, json};

/// This node and its chainfire.
pub struct Chainfire<'a> {
    node: &'a Node,
}

/// Answer of `GET /admin/cluster/members`.
#[derive(Debug, Deserialize)]
struct MemberList {
    members: Vec<Member>,
}

#[derive(Debug, Clone, Deserialize)]
struct Member {
    id: String,
    raft_addr: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    role: Option<String>,
}

impl<'a> Chainfire<'a> {
    /// This node's.
    pub fn new(node: &'a Node) -> Self {
        Self { node }
    }

    async fn add_once(&self) -> Attempt<Admission> {
        let url = format!("{}/admin/member/add", self.node.leader_url());
        let config = &self.node.config;
        let body = json!({"id": config.node_id, "raft_addr": config.raft_addr});
        match self.node.client.call(Method::POST, &url, Some(&body)).await {
            Ok((status, body)) => after_add(status, &body),
            Err(failure) => call_failed(failure),
        }
    }

    /// The member list of the cluster, or of this node alone.
    async fn members(&self, base: &str) -> Result<Vec<Member>> {
        let url = format!("{base}/admin/cluster/members");
        let (status, body) = self.node.client.get(&url).await?;
        if !status.is_success() {
            return Err(Failure::new(Code::ClusterJoin, format!("GET {url}: {status} {}", excerpt(&body))));
        }
        let list: MemberList =
            parse::json(&url, &body).map_err(|failure| Failure { code: Code::Protocol, ..failure })?;
        Ok(list.members)
    }

    /// Where the member list does not say who leads.
    async fn has_leader(&self, base: &str) -> Result<bool> {
        Ok(self.node.client.get(&format!("{base}/admin/cluster/leader")).await?.0.is_success())
    }
}

impl Driver for Chainfire<'_> {
    async fn local_health(&self) -> Result<()> {
        let url = format!("{}/health", self.node.local_url());
        let (status, body) = self.node.client.get(&url).await?;
        if is_healthy(status, &body) {
            return Ok(());
        }
        Err(Failure::new(Code::ServiceUnhealthy, format!("GET {url}: {status} {}", excerpt(&body))))
    }

    async fn prepare(&self, _: Way) -> Result<()> {
        Ok(())
    }

    async fn join(&self) -> Result<Admission> {
        let attempts = self.node.settings.attempts();
        retry(attempts, "asking the leader to add this node", async || self.add_once().await).await
    }

    async fn verify(&self, way: Way) -> Result<Membership> {
        let base = match way {
            Way::Join => self.node.leader_url(),
            // Founders elect among themselves; the contract is the health of the local service.
            Way::Bootstrap => {
                self.local_health().await?;
                let members = self.members(&self.node.local_url()).await.unwrap_or_default();
                return Ok(seen(&members));
            }
        };
        let members = self.members(&base).await?;
        let config = &self.node.config;
        let seen = membership(&members, &config.node_id, &config.raft_addr.to_string())?;
        if seen.leader.is_none() && !self.has_leader(&base).await? {
            return Err(Failure::new(Code::ClusterJoin, "checking the cluster: there is no leader"));
        }
        Ok(seen)
    }
}

/// What the answer to `member/add` means.
fn after_add(status: StatusCode, body: &[u8]) -> Attempt<Admission> {
    let failure = || {
        let cause = format!("POST /admin/member/add: {status} {}", excerpt(body));
        Failure::new(Code::ClusterJoin, cause)
    };
    match status {
        StatusCode::OK | StatusCode::CREATED => Attempt::Done(Admission::Joined),
        StatusCode::CONFLICT => Attempt::Done(Admission::AlreadyMember),
        status if is_passing(status) => Attempt::Again(failure()),
        _ => Attempt::Never(failure()),
    }
}

fn is_healthy(status: StatusCode, body: &[u8]) -> bool {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    status == StatusCode::OK && said["status"] == "healthy"
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
    let healthy = |member: &Member| member.status.as_deref().is_none_or(|status| status == "healthy");
    let Some(own) = members.iter().find(|member| member.id == id) else {
        return refused(format!("{id} is not in the member list"));
    };
    if own.raft_addr != raft_addr {
        return refused(format!("{id} is in the member list with raft_addr {}, not {raft_addr}", own.raft_addr));
    }
    if !healthy(own) {
        return refused(format!("{id} is {} in the member list", own.status.as_deref().unwrap_or_default()));
    }
    let well = members.iter().filter(|member| healthy(member)).count();
    if well * 2 <= members.len() {
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
        let after = |code: u16| after_add(StatusCode::from_u16(code).unwrap(), b"{}");
        assert!(matches!(after(200), Attempt::Done(Admission::Joined)));
        assert!(matches!(after(201), Attempt::Done(Admission::Joined)));
        assert!(matches!(after(409), Attempt::Done(Admission::AlreadyMember)));
        for passing in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(after(passing), Attempt::Again(_)), "{passing}");
        }
        for hopeless in [400, 401, 403, 404, 307] {
            assert!(matches!(after(hopeless), Attempt::Never(_)), "{hopeless}");
        }
    }

    #[test]
    fn only_a_healthy_status_is_healthy() {
        assert!(is_healthy(StatusCode::OK, br#"{"status":"healthy","raft":"follower","cluster_size":3}"#));
        assert!(!is_healthy(StatusCode::OK, br#"{"status":"starting"}"#));
        assert!(!is_healthy(StatusCode::OK, br#"{"status":"hea"#));
        assert!(!is_healthy(StatusCode::SERVICE_UNAVAILABLE, br#"{"status":"healthy"}"#));
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
