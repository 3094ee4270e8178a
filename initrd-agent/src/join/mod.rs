//! First boot: from an installed system to a healthy member of its cluster (DESIGN.md section 8).
//!
//! [`join`] is the table of contents. What differs between services is behind [`driver::Driver`].

mod admin_api;
pub mod cli;
mod credentials;
mod discovery;
mod driver;
mod etcd;
mod files;
mod health;
mod iam;
mod leave;
mod log;
mod markers;
mod peer;
mod preflight;
mod report;
mod retry;

use credentials::Credentials;
use driver::{Driver, Membership, Node, driver};
use protocol::{
    Code, Failure, Timestamp,
    encoding::Sha256,
    failure::Result,
    report::{JoinOutcome, ReadyReport, Versions},
    service::Service,
    step::Step,
};
use report::Reporter;
use retry::{Attempt, retry};
use std::time::Instant;

/// Joins, once: `None` where a marker says that it was done before. `awaits` are the services that follow.
///
/// # Errors
/// That of the step that failed; it has been logged and reported.
async fn join(
    node: &Node,
    awaits: &[Service],
    credentials: &Credentials,
    reporter: &mut Reporter,
) -> Result<Option<JoinOutcome>> {
    let (service, settings) = (node.service, &node.settings);
    if let Some((_, marker)) = markers::find(&settings.state_dir, service)? {
        tracing::info!("nothing to do: {} exists", marker.display());
        reporter.deliver(settings, service).await;
        return Ok(None);
    }
    let start = Instant::now();
    let driver = driver(node)?;
    reporter.step(Step::Preflight, preflight::check(node, credentials), String::clone).await?;
    let outcome = reporter.step(Step::Join, enter(&*driver, node), |outcome| words(*outcome)).await?;
    let membership = reporter.step(Step::Ready, verified(&*driver, node), describe).await?;
    let join_ms = start.elapsed().as_millis() as u64;
    let kept = reporter.keep(settings, service, |marker| ReadyReport {
        run: marker.run.clone(),
        generation: marker.generation,
        service: service.name().to_owned(),
        outcome,
        join_ms,
        members: membership.members.clone(),
        service_version: membership.version.clone(),
        boot_id: boot_id(),
        awaits: awaits.to_vec(),
        versions: Versions::default(),
        boot_order: Vec::new(),
    });
    if let Err(failure) = kept {
        tracing::warn!(code = failure.code.as_str(), "the report cannot be kept: {}", failure.cause);
    }
    markers::write(&settings.state_dir, service, markers::Kind::of(node.way), Timestamp::now_utc())?;
    reporter.deliver(settings, service).await;
    Ok(Some(outcome))
}

/// Prepare, wait for the service on this node, be taken in.
async fn enter(driver: &dyn Driver, node: &Node) -> Result<JoinOutcome> {
    driver.prepare().await?;
    let healthy = retry(node.settings.waiting(), "waiting for the local service", async || {
        driver.local_health().await.map_or_else(Attempt::Again, Attempt::Done)
    });
    healthy.await.map_err(|failure| Failure {
        code: Code::ServiceUnhealthy,
        remedy: format!("read the service's journal: journalctl -u {}", node.service),
        ..failure
    })?;
    tracing::info!("the local service is healthy");
    let outcome = driver.join().await?;
    match (outcome, node.service) {
        (JoinOutcome::AlreadyMember, Service::Iam) => tracing::info!("IAM is set up already"),
        (JoinOutcome::AlreadyMember, _) => tracing::warn!("the cluster had this node as a member already"),
        _ => {}
    }
    Ok(outcome)
}

/// The membership, once the cluster shows it.
async fn verified(driver: &dyn Driver, node: &Node) -> Result<Membership> {
    let settings = &node.settings;
    retry(settings.waiting(), "waiting for the membership", async || match driver.verify().await {
        Ok(membership) => Attempt::Done(membership),
        Err(failure) => Attempt::Again(failure),
    })
    .await
}

fn words(outcome: JoinOutcome) -> String {
    match outcome {
        JoinOutcome::Bootstrapped => "it is founded on this node",
        JoinOutcome::Joined => "the cluster took this node in",
        JoinOutcome::AlreadyMember => "it was done before",
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
