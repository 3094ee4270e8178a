//! The boot-server as the arbiter: who founds the cluster and whose turn it is to join (docs/design.md section 8).
//!
//! A node that it installed enters only by its word, for a second cluster is worse than a wait. So there is no
//! time-out here: what is waited for is said again and again.

use super::{
    discovery::others,
    driver::{Node, Way},
    etcd,
    report::Link,
};
use host::file;
use host::http::{Broken, download};
use host::retry::{Attempt, Pauses, chance, retry, spread};
use protocol::{
    Code, Failure,
    arbiter::{Snapshot, Turn, TurnRequest},
    failure::{OrFail, Result},
    service::Service,
};
use std::{
    fs::File,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// What is waited for is said at least so often.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// The longest pause between two requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The boot-server that knows the cluster of this node.
pub struct Arbiter {
    link: Link,
    request: TurnRequest,
}

/// The turn of this node, for as long as it asks for it.
pub type Lease = Option<Duration>;

/// When what is waited for was said last.
#[derive(Default)]
struct Said(Option<(String, Instant)>);

impl Said {
    /// Whether to say it now: it is new, or was said a while ago.
    fn is_due(&mut self, text: &str, now: Instant) -> bool {
        let fresh = self.0.as_ref().is_some_and(|(said, at)| said == text && now.duration_since(*at) < SAY_AGAIN);
        if !fresh {
            self.0 = Some((text.to_owned(), now));
        }
        !fresh
    }
}

impl Arbiter {
    /// The arbiter of a service that has members.
    pub fn new(link: &Link, service: Service) -> Option<Self> {
        let request = TurnRequest { service, generation: link.marker.generation };
        (service != Service::Iam).then(|| Self { link: link.clone(), request })
    }

    /// Waits for this node's turn and has the node take it.
    ///
    /// # Errors
    /// Those of [`Arbiter::fetch`].
    pub async fn turn(&self, node: &mut Node) -> Result<Lease> {
        let mut said = Said::default();
        let mut failed = 0u32;
        loop {
            let pause = match self.link.turn(&self.request).await {
                Ok(Turn::Wait { reason, retry_seconds }) => {
                    failed = 0;
                    if said.is_due(&reason, Instant::now()) {
                        tracing::info!("waiting for the boot-server's word: {reason}");
                    }
                    spread(pause_of(retry_seconds, node.settings.retry_base), chance())
                }
                Ok(Turn::Restore { peers, token, snapshot }) => {
                    self.fetch(node, &snapshot, &token).await?;
                    let found = Turn::Found { peers, token: Some(token) };
                    return Ok(take(node, found, self.request.generation));
                }
                Ok(turn) => return Ok(take(node, turn, self.request.generation)),
                Err(failure) => {
                    failed = failed.saturating_add(1);
                    if said.is_due(&failure.cause, Instant::now()) {
                        warn(&failure);
                    }
                    Pauses { base: node.settings.retry_base, cap: LONGEST_PAUSE }.pause(failed, chance())
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Fetches what this node is to found the cluster from, where it is, and it has not begun with it yet.
    ///
    /// # Errors
    /// Those of the last attempt; `E-PROTOCOL` for a service that is founded empty alone.
    pub async fn fetch(&self, node: &mut Node, snapshot: &Snapshot, token: &str) -> Result<()> {
        let what = format!("fetching the snapshot that {} is founded from", node.service);
        if node.service != Service::Etcd {
            return Err(Failure::new(Code::Protocol, format!("{what}: this agent can do that for etcd alone")));
        }
        let file = node.settings.state_dir.join("etcd.snapshot");
        if !etcd::is_restored_as(node, token) {
            retry(node.settings.attempts(), &what, async || match self.fetch_to(&file, snapshot).await {
                Ok(()) => Attempt::Done(()),
                Err(failure) if may_get_better(failure.code) => Attempt::Again(failure),
                Err(failure) => Attempt::Never(failure),
            })
            .await
            .inspect_err(|_| drop(file::remove(&file)))?;
            tracing::info!("the snapshot is here: {} bytes", snapshot.size);
        }
        node.snapshot = Some(file);
        Ok(())
    }

    async fn fetch_to(&self, target: &Path, snapshot: &Snapshot) -> Result<()> {
        let answer = self.link.snapshot(&self.request).await?;
        let writing = || format!("writing {}", target.display());
        let unwritable = |error: std::io::Error| match error.kind() {
            ErrorKind::StorageFull => Failure::from_error(Code::NoSpace, writing(), &error)
                .with_remedy("give the file system of the state folder room for the snapshot"),
            _ => Failure::from_error(Code::System, writing(), &error),
        };
        std::fs::create_dir_all(target.parent().unwrap_or(target)).or_fail(Code::System, writing)?;
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(target);
        let downloaded = download(answer, file.or_fail(Code::System, writing)?, snapshot.size, &snapshot.sha256);
        downloaded.await.map_err(|broken| match broken {
            Broken::Connection(failure) => failure,
            Broken::Content(cause) => Failure::new(Code::Protocol, cause),
            Broken::File(error) => unwritable(error),
        })
    }

    /// Asks again and again, so that the turn is kept.
    async fn renew(&self, lease: Duration) -> ! {
        let mut said = Said::default();
        loop {
            tokio::time::sleep((lease / 3).max(Duration::from_millis(100))).await;
            match self.link.turn(&self.request).await {
                // What has been begun is carried on: the cluster itself takes one at a time.
                Ok(Turn::Wait { reason, .. }) if said.is_due(&reason, Instant::now()) => {
                    tracing::warn!("the turn to join has passed on: {reason}");
                }
                Ok(_) => {}
                Err(failure) if said.is_due(&failure.cause, Instant::now()) => warn(&failure),
                Err(_) => {}
            }
        }
    }
}

/// Does the work, and keeps the turn meanwhile.
///
/// # Errors
/// The work's own.
pub async fn keeping<T>(arbiter: Option<&Arbiter>, lease: Lease, work: impl Future<Output = Result<T>>) -> Result<T> {
    let (Some(arbiter), Some(lease)) = (arbiter, lease) else { return work.await };
    tokio::select! {
        result = work => result,
        never = arbiter.renew(lease) => never,
    }
}

/// A transfer that broke is worth another; a refusal and a full disk are not.
fn may_get_better(code: Code) -> bool {
    matches!(code, Code::ServerUnreachable | Code::Busy | Code::Protocol)
}

fn warn(failure: &Failure) {
    let code = failure.code.as_str();
    tracing::warn!(code, remedy = failure.remedy, "waiting for the boot-server's word: {}", failure.cause);
}

fn pause_of(seconds: u64, least: Duration) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_PAUSE).max(least)
}

/// What the arbiter says goes before the configuration.
fn take(node: &mut Node, turn: Turn, generation: u64) -> Lease {
    match turn {
        Turn::Found { peers, token } => {
            let listed = peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!("the boot-server has this node found the cluster with {listed}");
            (node.way, node.token) = (Way::Bootstrap, token);
            match node.service {
                Service::Flaredb => node.config.flaredb_peers = peers,
                Service::Etcd | Service::Chainfire | Service::Iam => node.config.initial_peers = peers,
            }
            None
        }
        Turn::Join { members, replaces, lease_seconds } => {
            node.way = Way::Join;
            let known = node.members.clone();
            node.members = others(node, members.into_iter().chain(known));
            let listed = node.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::info!(replaces, lease_seconds, "it is this node's turn to join, by {listed}");
            node.replaces = replaces.then_some(generation);
            Some(Duration::from_secs(lease_seconds))
        }
        Turn::Wait { .. } | Turn::Restore { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reason_is_said_when_it_changes_and_once_a_minute() {
        let (mut said, start) = (Said::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let said = [("a", 0), ("a", 5), ("b", 6), ("a", 7), ("a", 66), ("a", 67), ("a", 68)]
            .map(|(text, seconds)| said.is_due(text, after(seconds)));
        assert_eq!(said, [true, false, true, true, false, true, false]);
    }

    proptest! {
        #[test]
        fn the_server_is_asked_neither_all_the_time_nor_never(seconds: u64, least in 1u64..2000) {
            let pause = pause_of(seconds, Duration::from_millis(least));
            prop_assert!(pause >= Duration::from_millis(least) && pause <= LONGEST_PAUSE);
        }

        #[test]
        fn what_is_waited_for_is_never_unsaid_for_longer_than_a_minute(steps in proptest::collection::vec((0u64..90, "[ab]"), 1..30)) {
            let (mut said, mut now) = (Said::default(), Instant::now());
            let mut last = None;
            for (seconds, text) in steps {
                now += Duration::from_secs(seconds);
                if said.is_due(&text, now) {
                    last = Some((text, now));
                } else {
                    let (shown, at) = last.clone().unwrap();
                    prop_assert!(shown == text && now - at < SAY_AGAIN);
                }
            }
        }
    }
}
