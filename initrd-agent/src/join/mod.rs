//! First boot: from an installed system to a healthy member of its cluster (DESIGN.md section 8).
//!
//! [`join`] is the table of contents. What differs between services is behind [`driver::Driver`].

mod chainfire;
pub mod cli;
mod credentials;
mod driver;
mod etcd;
mod files;
mod health;
mod log;
mod markers;
mod peer;
mod preflight;
mod report;
mod retry;

use credentials::Credentials;
use driver::{Admission, Driver, Membership, Node, Way, decide};
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    report::{JoinOutcome, ReadyReport, Versions},
    step::Step,
};
use report::Reporter;
use retry::{Attempt, retry};
use std::time::Instant;

/// A service that a node can become a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// etcd
    Etcd,
    /// Chainfire
    Chainfire,
}

impl Service {
    /// All of them.
    const ALL: [Self; 2] = [Self::Etcd, Self::Chainfire];

    /// As on the command line, in file names and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Chainfire => "chainfire",
        }
    }
}

impl std::str::FromStr for Service {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|service| service.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Failure::new(Code::Config, format!("joining {text:?}: not a service that can be joined ({known})"))
        })
    }
}

/// Joins, once: `None` where a marker says that it was done before.
///
/// # Errors
/// That of the step that failed; it has been logged and reported.
async fn join(
    service: Service,
    node: &Node,
    credentials: &Credentials,
    reporter: &mut Reporter,
) -> Result<Option<JoinOutcome>> {
    if let Some(marker) = markers::find(&node.settings.state_dir, service)? {
        tracing::info!("nothing to do: {} exists", marker.display());
        reporter.deliver(&node.settings, service).await;
        return Ok(None);
    }
    let outcome = match service {
        Service::Etcd => run(service, &etcd::Etcd::new(node)?, node, credentials, reporter).await,
        Service::Chainfire => run(service, &chainfire::Chainfire::new(node), node, credentials, reporter).await,
    };
    outcome.map(Some)
}

/// The way in, for every service.
async fn run(
    service: Service,
    driver: &impl Driver,
    node: &Node,
    credentials: &Credentials,
    reporter: &mut Reporter,
) -> Result<JoinOutcome> {
    let start = Instant::now();
    let way = decide(&node.config);
    reporter.step(Step::Preflight, preflight::check(node, credentials, way), String::clone).await?;
    let outcome = reporter.step(Step::Join, enter(service, driver, node, way), |outcome| words(*outcome)).await?;
    let membership = reporter.step(Step::Ready, verified(driver, node, way), describe).await?;
    let join_ms = start.elapsed().as_millis() as u64;
    let kept = reporter.keep(&node.settings, service, |marker| ReadyReport {
        run: marker.run.clone(),
        generation: marker.generation,
        service: service.name().to_owned(),
        outcome,
        join_ms,
        members: membership.members.clone(),
        service_version: membership.version.clone(),
        boot_id: boot_id(),
        awaits: Vec::new(),
        versions: Versions::default(),
        boot_order: Vec::new(),
    });
    if let Err(failure) = kept {
        tracing::warn!(code = failure.code.as_str(), "the report cannot be kept: {}", failure.cause);
    }
    let kind = match way {
        Way::Bootstrap => markers::Kind::Initialized,
        Way::Join => markers::Kind::Joined,
    };
    markers::write(&node.settings.state_dir, service, kind, Timestamp::now_utc())?;
    reporter.deliver(&node.settings, service).await;
    Ok(outcome)
}

/// Prepare, wait for the service on this node, be taken in.
async fn enter(service: Service, driver: &impl Driver, node: &Node, way: Way) -> Result<JoinOutcome> {
    driver.prepare(way).await?;
    let healthy = retry(node.settings.waiting(), "waiting for the local service", async || {
        driver.local_health().await.map_or_else(Attempt::Again, Attempt::Done)
    });
    healthy.await.map_err(|failure| Failure {
        code: Code::ServiceUnhealthy,
        remedy: format!("read the service's journal: journalctl -u {}", service.name()),
        ..failure
    })?;
    tracing::info!("the local service is healthy");
    match way {
        Way::Bootstrap => Ok(JoinOutcome::Bootstrapped),
        Way::Join => match driver.join().await? {
            Admission::Joined => Ok(JoinOutcome::Joined),
            Admission::AlreadyMember => {
                tracing::warn!("the cluster had this node as a member already");
                Ok(JoinOutcome::AlreadyMember)
            }
        },
    }
}

/// The membership, once the cluster shows it.
async fn verified(driver: &impl Driver, node: &Node, way: Way) -> Result<Membership> {
    let settings = &node.settings;
    retry(settings.waiting(), "waiting for the membership", async || match driver.verify(way).await {
        Ok(membership) => Attempt::Done(membership),
        Err(failure) => Attempt::Again(failure),
    })
    .await
}

fn words(outcome: JoinOutcome) -> String {
    match outcome {
        JoinOutcome::Bootstrapped => "the founder is healthy",
        JoinOutcome::Joined => "the cluster took this node in",
        JoinOutcome::AlreadyMember => "this node was a member already",
    }
    .to_owned()
}

fn describe(membership: &Membership) -> String {
    let leader = membership.leader.as_deref().unwrap_or("unknown");
    format!("{} members ({}), leader {leader}", membership.members.len(), membership.members.join(", "))
}

fn boot_id() -> Option<Sha256> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok().map(|bytes| Sha256::of(&bytes))
}
