//! How tasks wake one another.

use tokio::sync::watch;

/// Wakes everybody who waits for a change.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Bell {
    /// Wakes them.
    pub fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears every ring after this call.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// Tells everybody that the server stops.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// It stops now.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Becomes true when it does.
    pub fn listen(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}
