//! Registers what has been unpacked, in batches: first everything of the batch is on the disk, then one
//! transaction says so. A power cut in between costs the batch, and never leaves a registered path that
//! is not whole.

use super::{database::Database, order::Register, progress::Meter, store::Store};
use nix_store::narinfo::NarInfo;
use protocol::{Code, Failure, failure::Result};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime},
};

/// A batch is registered when it has this many bytes of NAR ...
const BATCH_BYTES: u64 = 128 << 20;
/// ... or its first path is this old. Each batch also starts the write-back of all that is under way.
const BATCH_AGE: Duration = Duration::from_secs(1);

/// Registers the paths that arrive, until the senders are gone, and closes the database.
///
/// # Errors
/// `E-DISK-IO` or `E-NO-SPACE`.
pub fn run(
    unpacked: &Receiver<Arc<NarInfo>>,
    mut database: Database,
    store: &Store,
    meter: &Meter,
) -> Result<Register> {
    let mut register = Register::default();
    let mut more = true;
    while more {
        more = collect(unpacked, &mut register);
        tracing::debug!("syncing");
        store.sync()?;
        let ready = register.take_ready(|path| database.is_registered(path));
        if ready.is_empty() {
            continue;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        database.register(&ready, now as i64)?;
        tracing::debug!("registered {} paths", ready.len());
        meter.add_paths(ready.len() as u64);
    }
    database.close()?;
    Ok(register)
}

/// Collects one batch; false where it is the last.
fn collect(unpacked: &Receiver<Arc<NarInfo>>, register: &mut Register) -> bool {
    let Ok(first) = unpacked.recv() else { return false };
    let mut bytes = first.nar_size;
    register.unpacked(first);
    let deadline = Instant::now() + BATCH_AGE;
    while bytes < BATCH_BYTES {
        match unpacked.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(info) => {
                bytes = bytes.saturating_add(info.nar_size);
                register.unpacked(info);
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// A set of paths that cannot be registered although everything was unpacked.
pub fn check_complete(register: &Register) -> Result<()> {
    match register.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Code::Internal, "registering the closure: some paths wait for others")),
    }
}
