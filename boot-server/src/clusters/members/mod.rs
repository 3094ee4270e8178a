//! Clusters as their members see them: who is listed, who is well, who leads, and whether a key can be written.
//!
//! The server speaks to the members over mTLS, with a certificate of its own CA that lives for minutes.

pub mod agreement;
pub mod caller;
pub mod discovery;
pub mod quorum;
mod same;
pub mod survey;
pub mod verify;

use crate::{base::clock::now, state::State, trust::ca::Ca};
use caller::caller;
use discovery::{Endpoint, Source};
use protocol::{
    Code, Failure,
    failure::Result,
    operations::{ClusterMembers, ServiceMembers, Verification},
    service::Service,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;

/// Asks members.
#[derive(Debug)]
pub struct Members {
    state: State,
    ca: Arc<Ca>,
}

impl Members {
    /// Of the parts it uses.
    pub fn new(state: State, ca: Arc<Ca>) -> Self {
        Self { state, ca }
    }

    /// The members of every service of the cluster, as they are now.
    ///
    /// # Errors
    /// `E-NOT-FOUND` for a cluster that no spec names; those of the members where none has reported, and none of those
    /// that the specs name answers. What is wrong with a service is in the answer.
    pub async fn list(&self, cluster: &str) -> Result<ClusterMembers> {
        let caller = caller(&self.ca, now())?;
        let mut asked = JoinSet::new();
        let endpoints = self.endpoints_of(cluster).await?;
        let by_spec = is_by_spec(&endpoints);
        for (service, endpoints) in endpoints {
            let caller = caller.clone();
            asked.spawn(async move {
                match survey::members(&caller, service, &endpoints).await {
                    Ok(members) => {
                        let missing = survey::missing(&members, &endpoints);
                        ServiceMembers { service, members, missing, failure: None }
                    }
                    Err(failure) => {
                        ServiceMembers { service, members: vec![], missing: vec![], failure: Some(failure) }
                    }
                }
            });
        }
        let mut services = asked.join_all().await;
        services.sort_by_key(|asked| asked.service);
        if by_spec {
            // Which services there are shows by who answers.
            let silent = services.extract_if(.., |asked| asked.failure.is_some()).collect::<Vec<_>>();
            let told = silent.into_iter().find_map(|asked| asked.failure).filter(|_| services.is_empty());
            if let Some(failure) = told {
                return Err(
                    failure.context(format!("looking for the members of cluster {cluster} where its specs have them"))
                );
            }
        }
        Ok(ClusterMembers { cluster: cluster.to_owned(), services })
    }

    /// Every check of every service of the cluster.
    ///
    /// # Errors
    /// As [`Members::list`].
    pub async fn verify(&self, cluster: &str) -> Result<Verification> {
        let caller = caller(&self.ca, now())?;
        let mut asked = JoinSet::new();
        let mut endpoints = self.endpoints_of(cluster).await?;
        if is_by_spec(&endpoints) {
            let there = self.list(cluster).await?;
            endpoints.retain(|service, _| there.services.iter().any(|found| found.service == *service));
        }
        for (service, endpoints) in endpoints {
            let caller = caller.clone();
            asked.spawn(async move { verify::service(&caller, service, &endpoints, now()).await });
        }
        let mut checks = asked.join_all().await.concat();
        checks.sort_by_key(|check| check.service);
        Ok(Verification { cluster: cluster.to_owned(), checks })
    }

    async fn endpoints_of(&self, cluster: &str) -> Result<BTreeMap<Service, Vec<Endpoint>>> {
        let (nodes, memberships) = (self.state.nodes().await?, self.state.memberships().await?);
        let endpoints = discovery::known(cluster, &nodes, &memberships);
        if endpoints.is_empty() {
            let failure = Failure::new(
                Code::NotFound,
                format!("looking for the members of cluster {cluster:?}: no spec names it"),
            );
            return Err(failure.with_remedy("boot-server cluster list; boot-server get nodes -o wide"));
        }
        Ok(endpoints)
    }
}

/// Whether nobody has reported a membership: those are asked whom the specs name.
pub fn is_by_spec(endpoints: &BTreeMap<Service, Vec<Endpoint>>) -> bool {
    endpoints.values().flatten().all(|endpoint| endpoint.source == Source::Spec)
}
