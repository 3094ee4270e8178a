//! First boot: from an installed system to a healthy member of its cluster (docs/design.md section 8).
//!
//! [`join`] is the table of contents. What differs between services is behind [`driver::Driver`].

mod admin_api;
pub mod arbiter;
pub mod capacity;
pub mod credentials;
pub mod discovery;
pub mod driver;
mod etcd;
pub mod health;
mod holding;
mod iam;
pub mod last_words;
pub mod leave;
pub mod log;
pub mod markers;
pub mod preflight;
pub mod renewal;
pub mod report;
pub mod revocation;
pub mod services;
pub mod system;

pub use cluster::configuration;

use arbiter::{Arbiter, Lease, keeping};
use cluster::client::call_failed;
use credentials::Credentials;
use driver::{Driver, Membership, Node};
use holding::still_holds;
use host::retry::{Attempt, retry};
use protocol::{
    Code, Timestamp,
    failure::Result,
    report::{JoinOutcome, ReadyReport},
    service::Service,
    step::Step,
};
use report::Reporter;
use services::driver;
use std::time::Instant;

/// Joins, once: `None` where a marker says that it was done before, and what it speaks of is still there. `awaits` are the services that follow.
///
/// # Errors
/// That of the step that failed; it has been logged and reported.
pub async fn join(
    mut node: Node,
    awaits: &[Service],
    credentials: &Credentials,
    arbiter: Option<&Arbiter>,
    reporter: &mut Reporter,
) -> Result<Option<JoinOutcome>> {
    let service = node.service;
    if let Some((_, marker)) = markers::find(&node.settings.state_dir, service)? {
        let holding = driver(&node)?.holding().await?;
        if let Err(lost) = still_holds(&node, holding) {
            return reporter.step(Step::Preflight, async || Err(lost.clone())).await;
        }
        tracing::info!("nothing to do: {} exists", marker.display());
        reporter.deliver(&node.settings, service).await;
        return Ok(None);
    }
    let start = Instant::now();
    let installed = reporter.installed_at();
    let prepared = async || prepared(&mut node, credentials, installed, arbiter).await;
    let lease = reporter.step(Step::Preflight, prepared).await?;
    let (outcome, membership) = keeping(arbiter, lease, entered(&node, reporter)).await?;
    let join_ms = start.elapsed().as_millis() as u64;
    let kept = reporter.keep(&node.settings, service, |marker| ReadyReport {
        run: marker.run.clone(),
        generation: marker.generation,
        service: service.name().to_owned(),
        outcome,
        join_ms,
        members: membership.members.clone(),
        service_version: membership.version.clone(),
        boot_id: system::boot_id(),
        awaits: awaits.to_vec(),
        versions: system::versions(),
        boot_order: system::boot_order(),
    });
    if let Err(failure) = kept {
        tracing::warn!(code = failure.code.as_str(), "the report cannot be kept: {}", failure.cause);
    }
    markers::write(&node.settings.state_dir, service, markers::Kind::of(node.way), Timestamp::now_utc())?;
    reporter.deliver(&node.settings, service).await;
    Ok(Some(outcome))
}

/// What must hold before anything is started: on this node, with the arbiter, at a member.
async fn prepared(
    node: &mut Node,
    credentials: &Credentials,
    installed: Option<Timestamp>,
    arbiter: Option<&Arbiter>,
) -> Result<(Lease, String)> {
    preflight::check(node, credentials, installed).await?;
    let lease = match arbiter {
        Some(arbiter) => arbiter.turn(node).await?,
        None => None,
    };
    let said = match keeping(arbiter, lease, discovery::reach(node)).await? {
        Some(member) => format!("this node is fit; {member} answers"),
        None => "this node is fit".to_owned(),
    };
    Ok((lease, said))
}

/// The way in, and a look from inside.
async fn entered(node: &Node, reporter: &mut Reporter) -> Result<(JoinOutcome, Membership)> {
    let driver = driver(node)?;
    let enter = async || enter(&*driver, node).await.map(|outcome| (outcome, words(outcome)));
    let outcome = reporter.step(Step::Join, enter).await?;
    let verify = async || {
        let membership = verified(&*driver, node).await?;
        let said = describe(&membership);
        Ok((membership, said))
    };
    let membership = reporter.step(Step::Ready, verify).await?;
    driver.settle()?;
    discovery::remember(node, &*driver).await;
    Ok((outcome, membership))
}

/// Prepare, wait for the service on this node, be taken in.
async fn enter(driver: &dyn Driver, node: &Node) -> Result<JoinOutcome> {
    driver.prepare().await?;
    let healthy = retry(node.settings.waiting(), "waiting for the local service", async || {
        match driver.local_health().await {
            Ok(()) => Attempt::Done(()),
            // An alarm stands until somebody disarms it.
            Err(failure) if failure.code == Code::NoSpace => Attempt::Never(failure),
            Err(failure) => call_failed(failure),
        }
    });
    if let Err(failure) = healthy.await {
        driver.withdraw().await;
        return Err(match failure.code {
            Code::Tls | Code::NoSpace => failure,
            _ => last_words::with(node, failure),
        });
    }
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
    if membership.members.is_empty() {
        return "it is set up and healthy".to_owned();
    }
    let leader = membership.leader.as_deref().unwrap_or("unknown");
    format!("{} members ({}), leader {leader}", membership.members.len(), membership.members.join(", "))
}
