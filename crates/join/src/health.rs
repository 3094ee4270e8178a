//! `initrd-agent health-check`: is each service of this node healthy, and this node a member?

use super::{
    discovery,
    driver::{Membership, Node},
    last_words,
    report::Link,
    services::driver,
    system,
};
use host::retry::{Attempt, retry};
use protocol::{
    Code, Timestamp,
    failure::Result,
    report::{HealthReport, ServiceHealth},
};
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

impl Health {
    /// Tells the boot-server; that it does not hear is no finding about the services.
    pub async fn report(&self, link: &Link) {
        let report = HealthReport {
            generation: link.marker.generation,
            time: Timestamp::now_utc(),
            boot_id: system::boot_id(),
            healthy: self.healthy,
            services: self.services.clone(),
            versions: system::versions(),
        };
        if let Err(failure) = link.health(&report).await {
            host::tell!("reporting the health: {failure}");
        }
    }
}

/// Polls one service until it is healthy or the time is over.
pub async fn check(node: &Node) -> ServiceHealth {
    let polled = retry(node.settings.waiting(), "checking the health", async || {
        look(node).await.map_or_else(Attempt::Again, Attempt::Done)
    });
    let (membership, failure) = match polled.await {
        Ok(membership) => (membership, None),
        // Its own service is what ails it; what the cluster lacks is said as it is.
        Err(failure) if failure.code == Code::ServiceUnhealthy => {
            (Membership::default(), Some(last_words::with(node, failure)))
        }
        Err(failure) => (Membership::default(), Some(failure)),
    };
    let Membership { members, leader, version } = membership;
    ServiceHealth { service: node.service, healthy: failure.is_none(), members, leader, version, failure }
}

async fn look(node: &Node) -> Result<Membership> {
    let driver = driver(node)?;
    let membership = driver.check().await?;
    discovery::remember(node, &*driver).await;
    Ok(membership)
}
