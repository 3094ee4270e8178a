//! The steps of a join, told to the journal and, where there is one, to the boot-server.
//!
//! Nothing here can fail a join, nor make it wait: a task of its own ships and beats. What the boot-server has not
//! acknowledged when the node is a member is kept in the state folder and delivered again when the unit starts next.

use super::{credentials, driver::Settings, log::Log};
use host::{
    api::Api,
    file::write_atomically,
    http::{Client, Trust, pem},
    retry::{Attempt, Backoff, Limit, retry},
};
use hyper::{Response, body::Incoming};
use protocol::{
    Code, Failure, Timestamp,
    arbiter::{Turn, TurnRequest},
    calls::{self, Call},
    failure::{OrFail, Result},
    marker::InstallMarker,
    names::RunId,
    parse,
    report::{HealthReport, ReadyReport},
    service::Service,
    step::Step,
    telemetry::{Telemetry as Batch, TelemetryAck},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use telemetry::{
    Pace, Telemetry, drain, ship,
    steps::{self, Attempts},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// How long one answer of the boot-server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The boot-server that installed this node.
#[derive(Clone)]
pub struct Link {
    api: Api,
    /// What the installer left.
    pub marker: InstallMarker,
    /// What this attempt tells it.
    pub telemetry: Telemetry,
}

/// Tells the steps.
pub struct Reporter {
    log: Log,
    link: Option<Link>,
    shipper: Option<Shipper>,
}

/// Ships for as long as it is held.
struct Shipper(JoinHandle<()>);

impl Drop for Shipper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A report that has not been acknowledged.
#[derive(Serialize, Deserialize)]
struct Pending {
    telemetry: Batch,
    ready: ReadyReport,
}

impl Link {
    /// Reads the installer's marker; `None` where this node was not installed by a boot-server. The node shows the
    /// certificate that the installer left, whatever the cluster's configuration says: a wrong one is told of.
    ///
    /// # Errors
    /// Where the marker or the certificate cannot be used.
    pub fn open(marker: &Path, secrets_dir: &Path) -> Result<Option<Self>> {
        let bytes = match fs::read(marker) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).or_fail(Code::System, || format!("reading {}", marker.display())),
        };
        let marker: InstallMarker = parse::json(&marker.display().to_string(), &bytes)?;
        let trust = Trust::Pinned(marker.ca_spki_sha256.clone());
        let (certificate, key) = credentials::installed_pair(secrets_dir, marker.node.as_str());
        let identity = pem::identity(&certificate, &key)?;
        let client = Client::new(&trust, Some(identity), SystemTime::UNIX_EPOCH)?;
        let run = run_of(&marker.run, uuid::Uuid::new_v4().as_u128() as u32);
        let api = Api::new(client, &marker.server);
        Ok(Some(Self { api, marker, telemetry: Telemetry::new(run, None) }))
    }

    async fn ready(&self, report: &ReadyReport) -> Result<()> {
        self.call::<calls::Ready>(report).await.map(drop)
    }

    /// Asks for this node's turn.
    ///
    /// # Errors
    /// Those of the call, the server's own among them.
    pub async fn turn(&self, request: &TurnRequest) -> Result<Turn> {
        self.call::<calls::AskTurn>(request).await
    }

    /// What this node founds its cluster from, its body still to be read.
    ///
    /// # Errors
    /// As [`Link::turn`].
    pub async fn snapshot(&self, request: &TurnRequest) -> Result<Response<Incoming>> {
        self.api.fetch::<calls::Snapshot>(&[], request).await
    }

    /// Tells how the services of this node are.
    ///
    /// # Errors
    /// As [`Link::turn`].
    pub async fn health(&self, report: &HealthReport) -> Result<()> {
        self.call::<calls::Health>(report).await.map(drop)
    }

    async fn call<C: Call>(&self, request: &C::Request) -> Result<C::Answer> {
        let late = || Failure::new(Code::ServerUnreachable, format!("{}: no answer in time", C::PATH));
        timeout(PATIENCE, self.api.call::<C>(&[], request)).await.unwrap_or_else(|_| Err(late()))
    }
}

impl telemetry::Server for Link {
    async fn take(&self, batch: Batch) -> Result<TelemetryAck> {
        self.call::<calls::DeliverTelemetry>(&batch).await
    }

    fn is_away(&self, failure: &Failure) {
        let code = failure.code.as_str();
        tracing::warn!(code, "the boot-server does not take reports now: {}", failure.cause);
    }
}

impl Reporter {
    /// A reporter to the journal, and to the boot-server where there is a link.
    pub fn new(log: Log, link: Option<Link>) -> Self {
        Self { log, link, shipper: None }
    }

    /// When this node was installed, where a boot-server did it.
    pub fn installed_at(&self) -> Option<Timestamp> {
        self.link.as_ref().map(|link| link.marker.written)
    }

    /// Runs one step, once, and tells its start and its end; `work` also returns what a person wants to know of the result.
    /// A failure is told to the server here, and printed once, at the edge.
    ///
    /// # Errors
    /// The step's own.
    pub async fn step<T>(&mut self, step: Step, work: impl AsyncFnMut() -> Result<(T, String)>) -> Result<T> {
        if let (Some(link), None) = (&self.link, &self.shipper) {
            let (_, known) = watch::channel(Some(link.clone()));
            self.shipper = Some(Shipper(tokio::spawn(ship(link.telemetry.clone(), known, Pace::USUAL))));
        }
        let telemetry = self.link.as_ref().map(|link| &link.telemetry);
        let result = steps::run(telemetry, &self.log, step, Attempts::AtMost(1), work).await;
        if result.is_err() {
            self.flush().await;
        }
        result
    }

    /// Delivers what there is before the process ends; a boot-server that does not take it is not waited for.
    async fn flush(&mut self) {
        self.shipper = None;
        let Some(link) = &self.link else { return };
        if let Err(failure) = drain(&link.telemetry, link).await {
            telemetry::Server::is_away(link, &failure);
        }
    }

    /// Keeps the report of a member until it is acknowledged; written before the marker, so that no power cut
    /// loses it.
    ///
    /// # Errors
    /// `E-SYSTEM` where the file cannot be written.
    pub fn keep(
        &mut self,
        settings: &Settings,
        service: Service,
        ready: impl FnOnce(&InstallMarker) -> ReadyReport,
    ) -> Result<()> {
        self.shipper = None;
        let Some(link) = &self.link else { return Ok(()) };
        let pending = Pending { telemetry: link.telemetry.everything(), ready: ready(&link.marker) };
        let bytes = serde_json::to_vec(&pending).or_fail(Code::Internal, || "writing the report as JSON")?;
        write_atomically(&pending_path(&settings.state_dir, service), &bytes, 0o600)
    }

    /// Delivers what was kept, now or in an earlier start; what is not acknowledged stays.
    pub async fn deliver(&self, settings: &Settings, service: Service) {
        self.log.operation("report");
        let path = pending_path(&settings.state_dir, service);
        let (Some(link), Ok(bytes)) = (&self.link, fs::read(&path)) else { return };
        let pending: Pending = match parse::json(&path.display().to_string(), &bytes) {
            Ok(pending) => pending,
            Err(failure) => {
                tracing::warn!(code = failure.code.as_str(), "{}", failure.cause);
                return;
            }
        };
        let telemetry = Telemetry::ended(pending.telemetry);
        let backoff = Backoff { base: settings.retry_base, cap: settings.retry_base * 4, limit: Limit::Attempts(4) };
        let told = retry(backoff, "reporting", async || {
            match drain(&telemetry, link).await {
                // A server that has forgotten the run must still hear that the node is ready.
                Err(failure) if matches!(failure.code, Code::ServerUnreachable | Code::Busy) => Attempt::Again(failure),
                _ => link.ready(&pending.ready).await.map_or_else(Attempt::Again, Attempt::Done),
            }
        });
        match told.await {
            Ok(()) => {
                tracing::info!("the boot-server knows that this node is ready");
                drop(fs::remove_file(&path));
            }
            Err(Failure { code, cause, .. }) => {
                let code = code.as_str();
                tracing::warn!(code, "the report is kept and sent again when this unit starts next: {cause}");
            }
        }
    }
}

/// Each attempt is a run of its own, named after the installation, with numbers of its own.
fn run_of(installed: &RunId, random: u32) -> RunId {
    let stem = &installed.as_str()[..installed.as_str().len().min(50)];
    format!("{stem}-join-{random:08x}").parse().unwrap_or_else(|_| installed.clone())
}

fn pending_path(state_dir: &Path, service: Service) -> PathBuf {
    state_dir.join(format!("report-{}.json", service.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_attempt_has_a_run_id_of_its_own_that_shows_the_installation(run in "[a-z0-9-]{1,64}", random: u32) {
            let installed: RunId = run.parse().unwrap();
            let ours = run_of(&installed, random);
            prop_assert_ne!(&ours, &installed);
            prop_assert!(ours.as_str().starts_with(&run[..run.len().min(50)]));
            prop_assert_ne!(ours, run_of(&installed, random.wrapping_add(1)));
        }
    }

    #[test]
    fn the_newest_lines_of_a_long_wait_are_in_the_report_that_is_kept() {
        let telemetry = Telemetry::new("run-1-join-00000000".parse().unwrap(), None);
        for number in 0..6_000 {
            telemetry.line("info", "agent", &format!("waiting {number}"));
        }
        let kept = telemetry.everything();
        assert_eq!(kept.lines.last().map(|line| line.message.as_str()), Some("waiting 5999"));
        assert_eq!(kept.lines.first().map(|line| line.seq), Some(1_001), "the gap shows in the numbers");
    }
}
