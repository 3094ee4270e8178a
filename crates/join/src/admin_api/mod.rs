//! Chainfire and FlareDB, by their HTTP admin API. The service starts by itself; a joiner is announced when it is
//! healthy.

mod plan;

use super::discovery::others;
use super::driver::{self, Call, Driver, Holding, Membership, Node, Way, at_one_of, may_go, raft_addr};
use cluster::{
    admin_api::{AdminApi, Member, Role},
    client::call_failed,
};
use host::file::write_atomically;
use host::retry::{Attempt, retry};
use plan::{after_add, after_remove, decided, membership, seen, stale};
use protocol::{
    Code, Failure,
    cluster_address::{HttpsUrl, RaftAddress},
    failure::Result,
    report::JoinOutcome,
};
use std::{net::SocketAddr, pin::Pin};

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
        AdminApi::new(&self.node.local, self.node.local_url())
    }

    fn member(&self, base: &HttpsUrl) -> AdminApi<'a> {
        AdminApi::new(&self.node.client, base.to_string())
    }

    async fn add_once(&self, base: &HttpsUrl) -> Attempt<JoinOutcome> {
        match self.asked(base).await {
            Added::Elsewhere(failure) => self.add_elsewhere(base, failure).await,
            Added::Said(attempt) => attempt,
        }
    }

    /// Another member leads: who that is is believed as far as a member of the list, and the others are asked after it.
    async fn add_elsewhere(&self, base: &HttpsUrl, refused: Failure) -> Attempt<JoinOutcome> {
        let api = self.member(base);
        let list = api.members().await.unwrap_or_default();
        let leader = api.leader().await.unwrap_or_default();
        let mut listed: Vec<&Member> = list.iter().filter(|member| member.id != self.node.config.node_id).collect();
        listed.sort_by_key(|member| member.role() != Role::Leader && leader.as_ref() != Some(&member.id));
        let urls = listed.into_iter().filter_map(|member| self.client_url(member)).filter(|url| url != base);
        let mut failures = vec![refused];
        for url in others(self.node, urls) {
            tracing::info!("{base} says that another member leads: asking {url}");
            match self.asked(&url).await {
                Added::Said(Attempt::Done(outcome)) => return Attempt::Done(outcome),
                Added::Elsewhere(failure) | Added::Said(Attempt::Again(failure) | Attempt::Never(failure)) => {
                    failures.push(failure);
                }
            }
        }
        let causes: Vec<_> = failures.iter().map(|failure| failure.cause.as_str()).collect();
        Attempt::Again(Failure::new(Code::ClusterJoin, causes.join("; ")).with_remedy(
            "no member of the list takes the join: see which of them leads, and that this node reaches it",
        ))
    }

    /// Asks one member. Where its answer leaves it open, its list decides.
    async fn asked(&self, base: &HttpsUrl) -> Added {
        let api = self.member(base);
        let said = match api.add(&self.node.config.node_id, self.raft_addr).await {
            Ok(answer) if answer.leads_elsewhere() => return Added::Elsewhere(answer.failure()),
            Ok(answer) if answer.denied => Attempt::Never(answer.failure()),
            Ok(answer) => after_add(answer),
            Err(failure) => call_failed(failure),
        };
        let is_open = match &said {
            Attempt::Done(outcome) => *outcome == JoinOutcome::AlreadyMember,
            Attempt::Again(_) => true,
            Attempt::Never(failure) => failure.code != Code::Tls,
        };
        let listed = if is_open { api.members().await.unwrap_or_default() } else { Vec::new() };
        Added::Said(decided(said, &listed, &self.node.config.node_id, &self.raft_addr.to_string()))
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

    /// Nothing was begun.
    fn withdraw(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {})
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

/// What asking a member came to.
enum Added {
    /// Another member leads.
    Elsewhere(Failure),
    /// Its answer.
    Said(Attempt<JoinOutcome>),
}
