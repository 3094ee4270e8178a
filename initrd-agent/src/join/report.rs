//! The steps of a join, told to the journal and, where there is one, to the boot-server.
//!
//! Nothing here can fail a join. What the boot-server has not acknowledged when the node is a member is kept
//! in the state folder and delivered again when the unit starts next.

use super::{credentials, driver::Settings, files::write_atomically, log::Log};
use crate::http::{Client, Trust, pem};
use hyper::{Method, Response, body::Incoming};
use protocol::{
    Code, Failure, Timestamp,
    arbiter::{Turn, TurnRequest},
    failure::{OrFail, Result},
    marker::InstallMarker,
    names::RunId,
    parse,
    report::{HealthReport, ReadyReport},
    service::Service,
    step::Step,
    telemetry::{Event, EventKind, Telemetry, TelemetryAck},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tokio::time::timeout;

/// A join never waits longer than this for a boot-server that is slow.
const PATIENCE: Duration = Duration::from_secs(3);

/// The boot-server that installed this node.
#[derive(Clone)]
pub struct Link {
    client: Client,
    /// What the installer left.
    pub marker: InstallMarker,
}

/// Numbers the steps, times them, and tells them.
pub struct Reporter {
    log: Log,
    link: Option<Link>,
    start: Instant,
    telemetry: Option<Telemetry>,
    count: u64,
    reachable: bool,
}

/// A report that has not been acknowledged.
#[derive(Serialize, Deserialize)]
struct Pending {
    telemetry: Telemetry,
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
        Ok(Some(Self { client: Client::new(&trust, Some(identity), SystemTime::UNIX_EPOCH)?, marker }))
    }

    async fn telemetry(&self, telemetry: &Telemetry) -> Result<TelemetryAck> {
        self.post("telemetry", telemetry).await
    }

    async fn ready(&self, report: &ReadyReport) -> Result<()> {
        self.post::<serde_json::Value>("node/ready", report).await.map(drop)
    }

    /// Asks for this node's turn.
    ///
    /// # Errors
    /// Those of the call, the server's own among them.
    pub async fn turn(&self, request: &TurnRequest) -> Result<Turn> {
        self.post("node/turn", request).await
    }

    /// What this node founds its cluster from, its body still to be read.
    ///
    /// # Errors
    /// As [`Link::turn`].
    pub async fn snapshot(&self, request: &TurnRequest) -> Result<Response<Incoming>> {
        let TurnRequest { service, generation } = request;
        self.client.fetch(&self.url(&format!("node/snapshot?service={service}&generation={generation}"))).await
    }

    /// Tells how the services of this node are.
    ///
    /// # Errors
    /// As [`Link::turn`].
    pub async fn health(&self, report: &HealthReport) -> Result<()> {
        self.post::<serde_json::Value>("node/health", report).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.marker.server.trim_end_matches('/'))
    }

    async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        let url = self.url(path);
        match timeout(PATIENCE, self.client.call(Method::POST, &url, Some(body))).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(Code::ServerUnreachable, format!("POST {url}: no answer in time"))),
        }
    }
}

impl Reporter {
    /// A reporter to the journal, and to the boot-server where there is a link.
    pub fn new(log: Log, link: Option<Link>) -> Self {
        let run = link.as_ref().map(|link| run_of(&link.marker.run, uuid::Uuid::new_v4().as_u128() as u32));
        let telemetry = run.map(|run| Telemetry { run, session: None, heartbeat: None, events: vec![], lines: vec![] });
        Self { log, link, start: Instant::now(), telemetry, count: 0, reachable: true }
    }

    /// When this node was installed, where a boot-server did it.
    pub fn installed_at(&self) -> Option<Timestamp> {
        self.link.as_ref().map(|link| link.marker.written)
    }

    /// Runs one step and tells its start and its end; `detail` is what a person wants to know of the result. A
    /// failure is told to the server here, and printed once, at the edge.
    ///
    /// # Errors
    /// The step's own.
    pub async fn step<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<T>>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        self.log.operation(step.name());
        let start = Instant::now();
        tracing::info!("{}", step.title());
        self.event(step, EventKind::Started).await;
        let result = work.await;
        let duration_ms = start.elapsed().as_millis() as u64;
        match &result {
            Ok(value) => {
                let detail = detail(value);
                tracing::info!(duration_ms, "{detail}");
                self.event(step, EventKind::Finished { duration_ms, detail }).await;
            }
            Err(failure) => {
                self.event(step, EventKind::Failed { failure: failure.clone(), retry_in_ms: None }).await;
            }
        }
        result
    }

    async fn event(&mut self, step: Step, kind: EventKind) {
        self.count += 1;
        let event = Event {
            seq: self.count,
            time: Timestamp::now_utc(),
            since_start_ms: self.start.elapsed().as_millis() as u64,
            step,
            kind,
        };
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.events.push(event);
            self.flush().await;
        }
    }

    /// Sends what there is; after the first failure the rest waits for the end.
    async fn flush(&mut self) {
        let (Some(link), Some(telemetry), true) = (&self.link, &mut self.telemetry, self.reachable) else { return };
        telemetry.lines.append(&mut self.log.take());
        match link.telemetry(telemetry).await {
            Ok(ack) => acknowledged(telemetry, ack),
            Err(failure) => {
                self.reachable = false;
                tracing::warn!(
                    code = failure.code.as_str(),
                    "the boot-server does not take reports now: {}",
                    failure.cause
                );
            }
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
        let (Some(link), Some(telemetry)) = (&self.link, &mut self.telemetry) else { return Ok(()) };
        telemetry.lines.append(&mut self.log.take());
        let pending = Pending { telemetry: telemetry.clone(), ready: ready(&link.marker) };
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
        for pause in [1, 2, 4, 0] {
            let told = match link.telemetry(&pending.telemetry).await {
                // A server that has forgotten the run must still hear that the node is ready.
                Err(failure) if failure.code == Code::ServerUnreachable => Err(failure),
                _ => link.ready(&pending.ready).await,
            };
            match told {
                Ok(()) => {
                    tracing::info!("the boot-server knows that this node is ready");
                    drop(fs::remove_file(&path));
                    return;
                }
                Err(failure) => tracing::warn!(code = failure.code.as_str(), "reporting: {}", failure.cause),
            }
            tokio::time::sleep(settings.retry_base * pause).await;
        }
        tracing::warn!("the report is kept and sent again when this unit starts next");
    }
}

/// Drops what is durable on the server.
fn acknowledged(telemetry: &mut Telemetry, ack: TelemetryAck) {
    telemetry.events.retain(|event| event.seq > ack.events_through);
    telemetry.lines.retain(|line| line.seq > ack.lines_through);
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

        #[test]
        fn only_what_is_acknowledged_is_dropped(through in 0u64..8) {
            let event = |seq| Event { seq, time: Timestamp::UNIX_EPOCH, since_start_ms: 0, step: Step::Join, kind: EventKind::Started };
            let mut telemetry = Telemetry {
                run: "r".parse().unwrap(), session: None, heartbeat: None, events: (1..=5).map(event).collect(), lines: vec![],
            };
            acknowledged(&mut telemetry, TelemetryAck { events_through: through, lines_through: 0 });
            prop_assert_eq!(telemetry.events.len() as u64, 5u64.saturating_sub(through));
        }
    }
}
