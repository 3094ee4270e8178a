//! `initrd-agent health-check`: is each service of this node healthy, and this node a member?

use super::{
    driver::{Membership, Node, driver},
    retry::{Attempt, retry},
};
use protocol::{failure::Result, report::ServiceHealth};
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

/// Polls one service until it is healthy or the time is over.
pub async fn check(node: &Node) -> ServiceHealth {
    let polled = retry(node.settings.waiting(), "checking the health", async || {
        look(node).await.map_or_else(Attempt::Again, Attempt::Done)
    });
    let (membership, failure) = match polled.await {
        Ok(membership) => (membership, None),
        Err(failure) => (Membership::default(), Some(failure)),
    };
    let Membership { members, leader, version } = membership;
    ServiceHealth { service: node.service, healthy: failure.is_none(), members, leader, version, failure }
}

async fn look(node: &Node) -> Result<Membership> {
    driver(node)?.check().await
}
