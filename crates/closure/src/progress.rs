//! How far the installation is, counted by many threads and shown by one.

use protocol::telemetry::Progress;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How often the progress is published.
const PERIOD: Duration = Duration::from_millis(200);

/// The counts.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    paths: AtomicU64,
    total_bytes: AtomicU64,
    total_paths: AtomicU64,
    present: AtomicU64,
}

impl Meter {
    /// The walk has found a path that is to be fetched, of so many NAR bytes.
    pub fn found(&self, nar_size: u64) {
        self.total_bytes.fetch_add(nar_size, Ordering::Relaxed);
        self.total_paths.fetch_add(1, Ordering::Relaxed);
    }

    /// The walk has found a path that is there.
    pub fn found_present(&self) {
        self.present.fetch_add(1, Ordering::Relaxed);
        self.total_paths.fetch_add(1, Ordering::Relaxed);
        self.add_paths(1);
    }

    /// Paths that were there before.
    pub fn present(&self) -> u64 {
        self.present.load(Ordering::Relaxed)
    }

    /// Paths were registered.
    pub fn add_paths(&self, count: u64) {
        self.paths.fetch_add(count, Ordering::Relaxed);
    }

    /// The counts as they are.
    pub fn read(&self) -> Progress {
        Progress {
            done_bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            done_paths: self.paths.load(Ordering::Relaxed),
            total_paths: self.total_paths.load(Ordering::Relaxed),
        }
    }

    /// Publishes until it is dropped.
    pub async fn publish(&self, progress: &watch::Sender<Progress>) {
        loop {
            progress.send_replace(self.read());
            tokio::time::sleep(PERIOD).await;
        }
    }
}

/// What one attempt added; taken back if the attempt fails.
#[derive(Debug)]
pub struct Share {
    meter: Arc<Meter>,
    bytes: u64,
    kept: bool,
}

impl Share {
    /// Nothing yet.
    pub fn new(meter: Arc<Meter>) -> Self {
        Self { meter, bytes: 0, kept: false }
    }

    /// So many NAR bytes more.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.meter.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The attempt succeeded.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.kept {
            self.meter.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_attempt_takes_its_bytes_back() {
        let meter = Arc::new(Meter::default());
        for kept in [true, false] {
            let mut share = Share::new(meter.clone());
            share.add(7);
            if kept {
                share.keep();
            }
        }
        meter.found(9);
        meter.found_present();
        assert_eq!(meter.read(), Progress { done_bytes: 7, total_bytes: 9, done_paths: 1, total_paths: 2 });
    }
}
