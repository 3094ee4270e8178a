//! A chip that hangs in the kernel has a thread of its own, for which nobody waits longer than this.

use crate::failed;
use protocol::failure::Result;
use std::{sync::mpsc, thread, time::Duration};

/// A chip makes a key of P-256 in a few seconds, and one of RSA in half a minute.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What comes of speaking with the chip, within [`PATIENCE`].
///
/// # Errors
/// Those of what is done; `E-TPM` where it does not end in time.
pub fn in_time<T: Send + 'static>(speaking: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    within(PATIENCE, speaking)
}

fn within<T: Send + 'static>(patience: Duration, speaking: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || drop(sender.send(speaking())));
    let silent = |error| match error {
        mpsc::RecvTimeoutError::Timeout => {
            failed("asking the TPM", &format!("no answer within {} s", patience.as_secs()))
        }
        mpsc::RecvTimeoutError::Disconnected => failed("asking the TPM", &"it ended without an answer"),
    };
    answer.recv_timeout(patience).map_err(silent)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Code;

    #[test]
    fn a_chip_that_hangs_is_waited_for_no_longer() {
        let (_hangs, never) = mpsc::channel::<()>();
        let failure = within(Duration::ZERO, move || Ok(never.recv().is_ok())).unwrap_err();
        assert!(failure.code == Code::Tpm && failure.cause.contains("no answer within 0 s"), "{failure}");
        assert_eq!(in_time(|| Ok(7)).unwrap(), 7);
        assert_eq!(in_time(|| Err::<(), _>(failed("a", &"b"))).unwrap_err().cause, "a: b");
    }
}
