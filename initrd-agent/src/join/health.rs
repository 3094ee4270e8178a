//! `initrd-agent health-check`: is each service of this node healthy, and this node a member?

use super::{
    Service,
    chainfire::Chainfire,
    driver::{Driver, Membership, Node, decide},
    etcd::Etcd,
    retry::{Attempt, retry},
};
use protocol::{Failure, failure::Result};
use serde::Serialize;

/// What is printed: one JSON object.
#[derive(Serialize)]
pub struct Health {
    /// Every service is.
    pub healthy: bool,
    /// The node.
    pub node: String,
    /// One entry each.
    pub services: Vec<ServiceHealth>,
}

/// One service.
#[derive(Serialize)]
pub struct ServiceHealth {
    /// Its name.
    pub service: &'static str,
    /// The local service is healthy and this node a member.
    pub healthy: bool,
    /// The cluster, where it is.
    #[serde(flatten)]
    pub membership: Option<Membership>,
    /// Why not, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Polls one service until it is healthy or the time is over.
pub async fn check(service: Service, node: &Node) -> ServiceHealth {
    let polled = retry(node.settings.waiting(), "checking the health", async || {
        look(service, node).await.map_or_else(Attempt::Again, Attempt::Done)
    });
    let (membership, failure) = match polled.await {
        Ok(membership) => (Some(membership), None),
        Err(failure) => (None, Some(failure)),
    };
    ServiceHealth { service: service.name(), healthy: failure.is_none(), membership, failure }
}

async fn look(service: Service, node: &Node) -> Result<Membership> {
    match service {
        Service::Etcd => look_with(&Etcd::new(node)?, node).await,
        Service::Chainfire => look_with(&Chainfire::new(node), node).await,
    }
}

async fn look_with(driver: &impl Driver, node: &Node) -> Result<Membership> {
    driver.local_health().await?;
    driver.verify(decide(&node.config)).await
}
