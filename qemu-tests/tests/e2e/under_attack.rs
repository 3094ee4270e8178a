//! A stranger beside the machines takes whatever a stranger may take of the server, and the server stays within its bounds.

use anyhow::{Context, Result, ensure};
use qemu_tests::{
    flood::{Flood, Way, memory_of},
    lab::Lab,
    netboot,
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What the bounds of docs/threat-model.md let one source have of the server's memory: bodies that are read, 64 connections
/// with what they leave unread, 256 plain ones; what silent ones of all sources have, some 50 MiB; and the server itself.
const MEMORY: u64 = 256;
/// What they let it keep on the disk: 256 machines that wait and, of each, what it told; a flood of a few minutes comes
/// nowhere near, as long as nothing of it is kept without a bound.
const STATE: u64 = 64;

/// Does something while the stranger does his worst, in every way at once.
pub fn under_attack<T>(lab: &mut Lab, body: impl FnOnce(&mut Lab) -> Result<T>) -> Result<T> {
    let server = lab.server.process().context("the boot-server runs")?;
    let stranger = Arc::new(lab.network.crowd(200)?);
    let flood = Flood::begin(&stranger, &lab.server.dir.join("ca.crt"), &Way::ALL)?;
    let watch = Watch::begin(lab);
    let done = body(lab)?;
    let (counts, health) = (flood.counts(), watch.end());
    drop(flood);
    ensure!(counts.iter().all(|(_, count)| *count > 0), "not all of the flood came: {counts:?}");
    health?;
    let memory = memory_of(server, "VmHWM")?;
    ensure!(memory < MEMORY, "the server took {memory} MiB under {counts:?}");
    let kept = kept(lab)?;
    ensure!(kept < STATE, "the state has {kept} MiB after {counts:?}");
    println!("under {counts:?}: {memory} MiB of memory, {kept} MiB of state");
    Ok(done)
}

/// The state and the log that is written ahead, MiB.
fn kept(lab: &Lab) -> Result<u64> {
    let size = |name: &str| fs::metadata(lab.server.dir.join(name)).map(|file| file.len());
    Ok((size("state.db").context("the size of the state")? + size("state.db-wal").unwrap_or(0)) >> 20)
}

/// Somebody who asks the server how it is, all the time.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<()>>,
}

impl Watch {
    fn begin(lab: &Lab) -> Self {
        let (stop, network) = (Arc::new(AtomicBool::new(false)), lab.network.clone());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let said = network.inside(|| netboot::get("/health")).context("asking how the server is")?;
                let said = String::from_utf8_lossy(&said).into_owned();
                ensure!(said.contains("\"status\":\"healthy\""), "the server says of itself {said}");
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        });
        Self { stop, thread }
    }

    fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("who asked has panicked"))?
    }
}
