//! The services take the new certificate: those that read it again are told to, those that must be restarted are, one member
//! of the cluster at a time.

use crate::boot_server::BootServer;
use host::{
    command::hook,
    file,
    http::pem,
    retry::{Pauses, chance},
};
use join::renewal::Pair;
use protocol::{
    Timestamp,
    arbiter::{RestartTurn, TurnRequest},
    failure::Result,
    marker::InstallMarker,
    service::Service,
    trust::TrustAnchors,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use time::format_description::well_known::Rfc3339;

/// A service is restarted without a turn where its certificate ends so soon.
const TOO_LATE: time::Duration = time::Duration::minutes(10);
const PAUSES: Pauses = Pauses { base: Duration::from_secs(2), cap: Duration::from_secs(30) };

/// The pair is new.
const PAIR: &str = "renewal-unfinished";
/// The roots are others.
pub const ROOTS: &str = "roots-unfinished";

/// How.
pub struct Handover {
    /// Called with `reload`, and with `restart SERVICE` for each of the services below.
    pub hook: Option<PathBuf>,
    /// How long each call may take.
    pub patience: Duration,
    /// Services that read their certificate when they start, and not again.
    pub restart: Vec<Service>,
    /// Services that read the roots when they start, and not again.
    pub restart_for_roots: Vec<Service>,
}

/// Notes that services may have a certificate from now on that ends then.
///
/// # Errors
/// `E-SYSTEM`.
pub fn begin(marker: &Path, ends: Timestamp) -> Result<()> {
    let text = ends.format(&Rfc3339).unwrap_or_default();
    file::write_atomically(&note(marker, PAIR), text.as_bytes(), 0o600)
}

/// When the certificate ends that services may have still, where an earlier handover was not finished.
pub fn unfinished(marker: &Path) -> Option<Timestamp> {
    let text = fs::read_to_string(note(marker, PAIR)).ok()?;
    Some(Timestamp::parse(&text, &Rfc3339).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Where it is noted that services may have what was there before.
pub fn note(marker: &Path, what: &str) -> PathBuf {
    marker.with_file_name(what)
}

impl Handover {
    /// Has the services take the pair; the one that they have ends then.
    ///
    /// # Errors
    /// `E-TOOL` where the hook failed: all of it is done again the next time.
    pub async fn run(
        &self,
        path: &Path,
        marker: &InstallMarker,
        anchors: &TrustAnchors,
        pair: &Pair,
        ends: Timestamp,
    ) -> Result<()> {
        self.hand(&self.restart, marker, anchors, pair, ends).await?;
        file::remove(&note(path, PAIR))
    }

    /// Has the services take other roots.
    ///
    /// # Errors
    /// As [`Handover::run`].
    pub async fn roots(
        &self,
        path: &Path,
        marker: &InstallMarker,
        anchors: &TrustAnchors,
        pair: &Pair,
        ends: Timestamp,
    ) -> Result<()> {
        if self.hook.is_none() {
            tracing::warn!(
                "the roots are others, and no --hook tells services: restart those that read ca.crt when they start"
            );
        }
        self.hand(&self.restart_for_roots, marker, anchors, pair, ends).await?;
        file::remove(&note(path, ROOTS))
    }

    async fn hand(
        &self,
        services: &[Service],
        marker: &InstallMarker,
        anchors: &TrustAnchors,
        pair: &Pair,
        ends: Timestamp,
    ) -> Result<()> {
        if let Some(program) = &self.hook {
            self.call(program, &["reload"], marker).await?;
            let server = BootServer::new(&marker.server, anchors, Some(pem::identity(&pair.certificate, &pair.key)?))?;
            for service in services {
                let request = TurnRequest { service: *service, generation: marker.generation };
                let lease = turn(&server, &request, ends).await;
                let arguments = ["restart", service.name()];
                let restart = self.call(program, &arguments, marker);
                keeping(&server, &request, lease, restart).await?;
                if let Err(failure) = server.restarted(&request).await {
                    tracing::warn!("giving the turn back: {failure}; it ends by itself");
                }
            }
        }
        Ok(())
    }

    async fn call(&self, program: &Path, arguments: &[&str], marker: &InstallMarker) -> Result<()> {
        let node = [("CENTRA_NODE", marker.node.to_string())];
        let said = hook::run(program, arguments, &node, self.patience).await.map_err(|failure| {
            failure.with_remedy(
                "the certificate is new, but services may have the one before it still; mend the hook: it is run again \
                 the next time (initrd-agent renew)",
            )
        })?;
        said.lines().for_each(|line| tracing::info!("{line}"));
        Ok(())
    }
}

/// Waits for the turn; none where the certificate that the service has would end meanwhile.
async fn turn(server: &BootServer, request: &TurnRequest, ends: Timestamp) -> Option<Duration> {
    let (mut failed, mut said) = (0, String::new());
    loop {
        let (pause, reason) = match server.ask_restart(request).await {
            Ok(RestartTurn::Go { lease_seconds }) => return Some(Duration::from_secs(lease_seconds)),
            Ok(RestartTurn::Wait { reason, retry_seconds }) => {
                (Duration::from_secs(retry_seconds).min(PAUSES.cap).max(Duration::from_secs(1)), reason)
            }
            Err(failure) => {
                failed += 1;
                (PAUSES.pause(failed, chance()), failure.cause)
            }
        };
        if Timestamp::now_utc() + TOO_LATE > ends {
            tracing::warn!("restarting {} without a turn, for its certificate ends {ends}: {reason}", request.service);
            return None;
        }
        if said != reason {
            tracing::info!("waiting for the turn to restart {}: {reason}", request.service);
            said = reason;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Does the work, and keeps the turn meanwhile.
async fn keeping(
    server: &BootServer,
    request: &TurnRequest,
    lease: Option<Duration>,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let Some(lease) = lease else { return work.await };
    let kept = async {
        loop {
            tokio::time::sleep((lease / 3).max(Duration::from_secs(1))).await;
            if let Err(failure) = server.ask_restart(request).await {
                tracing::warn!("keeping the turn to restart: {failure}");
            }
        }
    };
    tokio::select! {
        result = work => result,
        () = kept => Ok(()),
    }
}
