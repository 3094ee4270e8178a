//! Ships telemetry to the boot-server until it is acknowledged.

use crate::Telemetry;
use host::retry::{Pauses, chance};
use protocol::{
    Code, Failure,
    failure::Result,
    telemetry::{MAX_BATCH, Telemetry as Batch, TelemetryAck},
};
use std::{future::pending, time::Duration};
use tokio::{sync::watch, time};

/// When deliveries go out.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A heartbeat goes out at least this often.
    pub heartbeat: Duration,
    /// Lines that come together travel together.
    pub gather: Duration,
    /// For a server that does not take or does not acknowledge.
    pub pauses: Pauses,
}

impl Pace {
    /// That of every run.
    pub const USUAL: Self = Self {
        heartbeat: Duration::from_secs(2),
        gather: Duration::from_millis(200),
        pauses: Pauses { base: Duration::from_secs(1), cap: Duration::from_secs(10) },
    };
}

/// The boot-server, as it is reached now.
pub trait Server: Clone + Send + Sync + 'static {
    /// Hands over one delivery.
    fn take(&self, batch: Batch) -> impl Future<Output = Result<TelemetryAck>> + Send;

    /// Tells people of the first of several failures in a row.
    fn is_away(&self, failure: &Failure);
}

/// Ships for ever, or until there is no server and will be none. While there is none, or it is away, everything waits in
/// the spool.
pub async fn ship<S: Server>(telemetry: Telemetry, mut server: watch::Receiver<Option<S>>, pace: Pace) {
    let mut failures = 0u32;
    loop {
        let now = server.borrow_and_update().clone();
        let Some(now) = now else {
            if server.changed().await.is_err() {
                return;
            }
            continue;
        };
        let delivered = deliver(&telemetry, &now).await;
        match &delivered {
            Ok(_) => failures = 0,
            Err(failure) => {
                failures = failures.saturating_add(1);
                if failures == 1 {
                    now.is_away(failure);
                }
            }
        }
        match delivered {
            Err(_) => pause(pace.pauses.pause(failures, chance()), &mut server).await,
            // There is more than one delivery holds.
            Ok(MAX_BATCH..) => {}
            Ok(_) => {
                if telemetry.is_drained() {
                    let _ = time::timeout(pace.heartbeat, telemetry.shared.changed.notified()).await;
                }
                time::sleep(pace.gather).await;
            }
        }
    }
}

/// Delivers what there is, now; nothing is tried twice.
///
/// # Errors
/// That of the first delivery that fails, or of which nothing is acknowledged.
pub async fn drain(telemetry: &Telemetry, server: &impl Server) -> Result<()> {
    while !telemetry.is_drained() {
        deliver(telemetry, server).await?;
    }
    Ok(())
}

/// One delivery: how many events or lines it held, whichever are more.
async fn deliver(telemetry: &Telemetry, server: &impl Server) -> Result<usize> {
    let batch = telemetry.batch();
    let (run, size) = (batch.run.clone(), batch.events.len().max(batch.lines.len()));
    let ack = server.take(batch).await?;
    let is_stuck = telemetry.acknowledge(&run, ack) == 0 && size > 0 && telemetry.run() == run;
    if is_stuck {
        return Err(Failure::new(Code::Protocol, "shipping the log: the boot-server took it and acknowledged nothing"));
    }
    Ok(size)
}

/// Waits, shorter where the server comes to be reached in another way.
async fn pause<S>(pause: Duration, server: &mut watch::Receiver<Option<S>>) {
    let news = async {
        if server.changed().await.is_err() {
            pending::<()>().await;
        }
    };
    let _ = time::timeout(pause, news).await;
}

#[cfg(test)]
mod tests;
