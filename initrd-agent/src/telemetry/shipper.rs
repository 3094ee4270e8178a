//! Ships telemetry to the boot-server until it is acknowledged.

use super::Telemetry;
use crate::http::Client;
use hyper::Method;
use protocol::{
    failure::Result,
    telemetry::{Telemetry as Batch, TelemetryAck},
};
use std::time::Duration;
use tokio::{sync::watch, time};

/// A heartbeat goes out at least this often.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Lines that come together travel together.
const GATHER: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How the server is reached now: by session before there is a certificate, by certificate after.
#[derive(Clone)]
pub struct Channel {
    /// The client.
    pub client: Client,
    /// `https://HOST:PORT`.
    pub server: String,
    /// The enrolment, while there is no certificate.
    pub session: Option<String>,
}

/// Ships for ever. While there is no channel, or the server is away, everything waits in the spool.
pub async fn ship(telemetry: Telemetry, mut channel: watch::Receiver<Option<Channel>>) {
    let mut failures = 0u32;
    loop {
        let now = channel.borrow_and_update().clone();
        let Some(now) = now else {
            if channel.changed().await.is_err() {
                return;
            }
            continue;
        };
        let batch = telemetry.batch(now.session.clone());
        match deliver(&now, &batch).await {
            Ok(ack) => {
                telemetry.acknowledge(&batch.run, ack);
                failures = 0;
            }
            Err(failure) => {
                failures += 1;
                // Not through the log: that would feed the spool with its own troubles.
                if failures == 1 {
                    eprintln!("shipping the log: {failure}");
                }
            }
        }
        if failures > 0 {
            let pause = Duration::from_secs(1 << failures.min(4)).min(LONGEST_PAUSE);
            let _ = time::timeout(pause, channel.changed()).await;
        } else if telemetry.is_drained() {
            let _ = time::timeout(HEARTBEAT, telemetry.shared.changed.notified()).await;
            time::sleep(GATHER).await;
        }
    }
}

async fn deliver(channel: &Channel, batch: &Batch) -> Result<TelemetryAck> {
    channel.client.call(Method::POST, &format!("{}/v1/telemetry", channel.server), Some(batch)).await
}
