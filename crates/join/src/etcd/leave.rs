//! The member list for people, and the way out of the cluster.

use super::{Etcd, env_file, plan::after_remove, restore};
use crate::driver::{self, at_one_of, may_go};
use cluster::client::call_failed;
use cluster::etcd::{self, Member};
use host::file;
use host::retry::{Attempt, retry};
use protocol::{cluster_address::HttpsUrl, failure::Result};

impl Etcd<'_> {
    /// The member list: by the local member, or, where that cannot say, by another.
    async fn list(&self) -> Result<Vec<Member>> {
        match self.local().members().await {
            Ok(members) => Ok(members),
            Err(_) => self.list_elsewhere(&self.node.members).await,
        }
    }

    pub(super) async fn list_elsewhere(&self, members: &[HttpsUrl]) -> Result<Vec<Member>> {
        let listed = at_one_of(members, "listing the members", async |base| {
            self.member(base).members().await.map_or_else(Attempt::Again, Attempt::Done)
        });
        listed.await.into_result()
    }

    /// For [`driver::Driver::members`].
    pub(super) async fn shown(&self) -> Result<Vec<driver::Member>> {
        let list = self.list().await?;
        let mut leader = 0;
        for url in [self.node.local_url()].iter().chain(list.iter().flat_map(|member| &member.client_urls)) {
            leader = self.member(url).status().await.map_or(0, |status| status.leader);
            if leader != 0 {
                break;
            }
        }
        Ok(list.iter().map(|member| shown(member, leader)).collect())
    }

    /// For [`driver::Driver::leave`].
    pub(super) async fn left(&self) -> Result<bool> {
        // A member that was removed, or that is down, has an old list or none: the others are believed first.
        let local = self.local().members().await;
        let known = local.as_ref().map(|list| urls(list, &self.us.peer_url)).unwrap_or_default();
        let known: Vec<_> = known.into_iter().chain(self.node.members.iter().cloned()).collect();
        let list = self.list_elsewhere(&known).await.or(local)?;
        let Some(own) = list.iter().find(|member| member.peer_urls.contains(&self.us.peer_url)) else {
            self.forget()?;
            return Ok(false);
        };
        let others: Vec<_> = list.iter().filter(|member| member.id != own.id).cloned().collect();
        if !own.is_learner {
            let voters: Vec<_> = others.iter().filter(|member| !member.is_learner).collect();
            let mut healthy = 0;
            for voter in &voters {
                healthy += usize::from(self.answers(voter).await);
            }
            may_go(voters.len(), healthy)?;
        }
        let others = urls(&others, &self.us.peer_url);
        let what = "asking a member to remove this node";
        retry(self.node.settings.attempts(), what, async || {
            at_one_of(&others, what, async |base| self.remove_at(&self.member(base), own.id).await).await
        })
        .await?;
        self.forget()?;
        Ok(true)
    }

    pub(super) async fn answers(&self, member: &Member) -> bool {
        for url in &member.client_urls {
            if self.member(url).health().await.is_ok() {
                return true;
            }
        }
        false
    }

    pub(super) async fn remove_at(&self, member: &etcd::Etcd<'_>, id: u64) -> Attempt<()> {
        match member.remove(id).await {
            Ok(answer) => after_remove(answer),
            Err(failure) => call_failed(failure),
        }
    }

    /// etcd would start on data that no cluster knows any more.
    fn forget(&self) -> Result<()> {
        file::remove(&env_file(self.node))?;
        file::remove(&restore::note(self.node))
    }
}

/// Where the members but this one take their clients.
fn urls(members: &[Member], own: &String) -> Vec<HttpsUrl> {
    let others = members.iter().filter(|member| !member.is_learner && !member.peer_urls.contains(own));
    others.flat_map(|member| &member.client_urls).filter_map(|url| url.parse().ok()).collect()
}

fn shown(member: &Member, leader: u64) -> driver::Member {
    let started = !member.name.is_empty();
    let role = match member {
        Member { is_learner: true, .. } => Some("learner"),
        Member { id, .. } if *id == leader => Some("leader"),
        _ if leader != 0 && started => Some("follower"),
        _ => None,
    };
    driver::Member {
        id: format!("{:x}", member.id),
        name: member.name.clone(),
        raft_addr: member.peer_urls.join(","),
        status: Some(if started { "started" } else { "unstarted" }.to_owned()),
        role: role.map(str::to_owned),
        client_urls: member.client_urls.clone(),
    }
}
