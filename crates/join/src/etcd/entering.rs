//! Having the cluster take this node in: as a learner, then with a vote. What was begun and cannot be ended is taken back,
//! for it would stand in the way of every other node.

use super::{
    Etcd, env_file, has_log, look_failed,
    plan::{self, Data, Standing},
};
use crate::driver::{Settings, Way, default_start_command};
use cluster::{
    client::call_failed,
    etcd::{self, Member},
};
use host::{
    command,
    retry::{Attempt, retry},
};
use protocol::{Code, Failure, cluster_address::HttpsUrl, failure::Result, report::JoinOutcome, service::Service};
use std::cell::Cell;

impl Etcd<'_> {
    /// Has the cluster expect this node, whoever began that.
    pub(super) async fn announce(&self) -> Result<()> {
        let attempts = self.node.settings.attempts();
        let data = self.data()?;
        // With data or etcd.env the listed member is this installation.
        if self.node.replaces.is_some() && data == Data::None && !env_file(self.node).exists() {
            self.replace().await?;
        }
        let what = "announcing this node to the cluster";
        let own = own_release(&self.node.settings);
        let hindered = Cell::new(false);
        let expected = retry(attempts, what, async || {
            hindered.set(false);
            let attempt =
                async |base: &HttpsUrl| self.announce_at(&self.member(base), data, own.as_deref(), &hindered).await;
            self.node.at_a_member(what, attempt).await
        });
        let expected = match expected.await {
            Err(failure) if hindered.get() => return Err(self.explained(failure).await),
            expected => expected?,
        };
        match expected {
            Some(members) => self.write_env(Way::Join, &plan::existing(&members, &self.us)?),
            None => Ok(()),
        }
    }

    /// Removes the earlier installation of this node, whose data is gone.
    async fn replace(&self) -> Result<()> {
        let what = "removing the earlier installation of this node";
        retry(self.node.settings.attempts(), what, async || {
            self.node.at_a_member(what, async |base| self.remove_stale(&self.member(base)).await).await
        })
        .await
    }

    async fn remove_stale(&self, api: &etcd::Etcd<'_>) -> Attempt<()> {
        let members = match api.members().await {
            Ok(members) => members,
            Err(failure) => return look_failed(failure),
        };
        for member in plan::stale(&members, &self.us, &self.node.config) {
            let (id, urls) = (member.id, &member.peer_urls);
            tracing::info!("removing {id:x} {} at {urls:?}: an earlier installation of this node", member.name);
            match self.remove_at(api, id).await {
                Attempt::Done(()) => {}
                failed => return failed,
            }
        }
        Attempt::Done(())
    }

    /// One attempt; the member list where this node has not started yet.
    async fn announce_at(
        &self,
        member: &etcd::Etcd<'_>,
        data: Data,
        own: Option<&str>,
        hindered: &Cell<bool>,
    ) -> Attempt<Option<Vec<Member>>> {
        let (standing, members) = match self.look(member, data).await {
            Ok(seen) => seen,
            Err(failure) => return look_failed(failure),
        };
        match standing {
            Standing::Started => return Attempt::Done(None),
            // It would wait for a health that does not come.
            Standing::Promised | Standing::Absent => match self.is_welcome(member, own).await {
                Attempt::Done(()) if standing == Standing::Promised => return Attempt::Done(Some(members)),
                Attempt::Done(()) => {}
                Attempt::Again(failure) => return Attempt::Again(failure),
                Attempt::Never(failure) => return Attempt::Never(failure),
            },
        }
        tracing::info!("adding {} as a learner", self.us.peer_url);
        let answer = match member.add_learner(&self.us.peer_url).await {
            Ok(answer) => plan::after_add(answer),
            Err(failure) => call_failed(failure),
        };
        match answer {
            Attempt::Never(failure) => return Attempt::Never(failure),
            Attempt::Again(failure) => {
                hindered.set(hindered.get() || failure.code == Code::ClusterJoin);
                return Attempt::Again(failure);
            }
            Attempt::Done(()) => {}
        }
        match self.look(member, data).await {
            Ok((Standing::Absent, _)) => Attempt::Again(Failure::new(
                Code::ClusterJoin,
                "adding this node: the member list does not show it yet",
            )),
            Ok((_, members)) => Attempt::Done(Some(members)),
            Err(failure) => look_failed(failure),
        }
    }

    async fn look(&self, member: &etcd::Etcd<'_>, data: Data) -> Result<(Standing, Vec<Member>)> {
        let members = member.members().await?;
        Ok((plan::standing(&members, &self.us, data, &self.node.settings.data_dir)?, members))
    }

    /// Whether a member that is added now could start and become healthy.
    async fn is_welcome(&self, member: &etcd::Etcd<'_>, own: Option<&str>) -> Attempt<()> {
        let (status, release) = tokio::join!(member.status(), member.cluster_release());
        let alarm = status.ok().and_then(|status| status.alarms().into_iter().next());
        if let Some(alarm) = alarm {
            return Attempt::Never(alarm.failure().context("joining the cluster"));
        }
        match plan::fits(own, release.ok().as_deref()) {
            Ok(()) => Attempt::Done(()),
            Err(failure) => Attempt::Never(failure),
        }
    }

    /// The failure of a change that the cluster goes on refusing, with who is in the way: etcd does not say.
    async fn explained(&self, failure: Failure) -> Failure {
        let Ok(members) = self.list_elsewhere(&self.node.members).await else { return failure };
        let mut silent = Vec::new();
        for member in members.iter().filter(|member| !member.client_urls.is_empty()) {
            if !self.answers(member).await {
                silent.push(member.id);
            }
        }
        let found = plan::in_the_way(&members, &self.us, &silent);
        if found.is_empty() {
            return failure;
        }
        let cause = format!("{}; in the way: {}", failure.cause, found.join("; "));
        Failure { cause, ..failure }.with_remedy(
            "start or mend what is named, or have it removed (boot-server cluster remove NODE or ID --yes, or etcdctl member \
             remove ID); this node tries again by itself",
        )
    }

    /// Gives this node its vote, once it is in sync.
    pub(super) async fn promoted(&self) -> Result<JoinOutcome> {
        let what = "promoting this node";
        let hindered = Cell::new(false);
        let promoted = retry(self.node.settings.waiting(), what, async || {
            hindered.set(false);
            self.node.at_a_member(what, async |base| self.promote_at(&self.member(base), &hindered).await).await
        });
        match promoted.await {
            Err(failure) if hindered.get() => Err(self.explained(failure).await),
            promoted => promoted,
        }
    }

    async fn promote_at(&self, api: &etcd::Etcd<'_>, hindered: &Cell<bool>) -> Attempt<JoinOutcome> {
        let members = match api.members().await {
            Ok(members) => members,
            Err(failure) => return look_failed(failure),
        };
        let Some(member) = members.iter().find(|member| member.peer_urls.contains(&self.us.peer_url)) else {
            let cause = format!("promoting this node: {} is not in the member list any more", self.us.peer_url);
            return Attempt::Never(Failure::new(Code::ClusterJoin, cause));
        };
        if !member.is_learner {
            return Attempt::Done(JoinOutcome::AlreadyMember);
        }
        let answer = match api.promote(member.id).await {
            Ok(answer) => plan::after_promote(answer),
            Err(failure) => call_failed(failure),
        };
        match answer {
            Attempt::Done(()) => Attempt::Done(JoinOutcome::Joined),
            Attempt::Again(failure) => {
                hindered.set(hindered.get() || failure.code == Code::ClusterJoin);
                Attempt::Again(failure)
            }
            Attempt::Never(failure) => Attempt::Never(failure),
        }
    }

    /// Removes this node's learner, where its etcd has never begun: every other join would be refused for it.
    pub(super) async fn take_back(&self) {
        if self.node.way != Way::Join || has_log(&self.node.settings.data_dir).unwrap_or(true) {
            return;
        }
        let what = "taking back the learner of this node";
        let taken = self.node.at_a_member(what, async |base| self.take_back_at(&self.member(base)).await).await;
        match taken.into_result() {
            Ok(Some(id)) => tracing::info!("took back the learner {id:x} of this node, which has not started"),
            Ok(None) => {}
            Err(failure) => tracing::warn!(code = failure.code.as_str(), "{what}: {}", failure.cause),
        }
    }

    async fn take_back_at(&self, api: &etcd::Etcd<'_>) -> Attempt<Option<u64>> {
        let members = match api.members().await {
            Ok(members) => members,
            Err(failure) => return look_failed(failure),
        };
        let Some(id) = plan::unstarted(&members, &self.us) else { return Attempt::Done(None) };
        match self.remove_at(api, id).await {
            Attempt::Done(()) => Attempt::Done(Some(id)),
            Attempt::Again(failure) => Attempt::Again(failure),
            Attempt::Never(failure) => Attempt::Never(failure),
        }
    }
}

/// The release of the etcd that will be started, where that can be asked: another command may start another etcd.
fn own_release(settings: &Settings) -> Option<String> {
    if settings.start_command != default_start_command(Service::Etcd) {
        return None;
    }
    let said = command::run("etcd", &["--version"]).ok()?.stdout;
    said.lines().find_map(|line| line.strip_prefix("etcd Version:")).map(|release| release.trim().to_owned())
}
