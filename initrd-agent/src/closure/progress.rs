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
}

impl Meter {
    /// Paths were registered, or are there already.
    pub fn add_paths(&self, count: u64) {
        self.paths.fetch_add(count, Ordering::Relaxed);
    }

    /// Publishes until it is dropped.
    pub async fn publish(&self, total: Progress, progress: &watch::Sender<Progress>) {
        loop {
            self.publish_once(total, progress);
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Publishes the counts as they are.
    pub fn publish_once(&self, total: Progress, progress: &watch::Sender<Progress>) {
        let done_bytes = self.bytes.load(Ordering::Relaxed);
        let done_paths = self.paths.load(Ordering::Relaxed);
        progress.send_replace(Progress { done_bytes, done_paths, ..total });
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
        let (sender, receiver) = watch::channel(Progress::default());
        meter.add_paths(2);
        meter.publish_once(Progress { total_bytes: 9, ..Progress::default() }, &sender);
        assert_eq!(*receiver.borrow(), Progress { done_bytes: 7, total_bytes: 9, done_paths: 2, total_paths: 0 });
    }
}
