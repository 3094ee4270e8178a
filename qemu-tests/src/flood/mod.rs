//! A stranger on the boot network who does his worst: has neither certificate nor token, and takes what anybody may take.
//! Each way is bounded in number and pace, so that what it costs is the server's and not the host's.

mod boot;
mod crowd;
mod https;

use crate::network::Network;
use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// A way to be a nuisance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// HTTPS connections that say nothing: at each point where one may fall silent.
    Silence,
    /// The same by thousands and from many addresses, on both ports.
    Crowd,
    /// Bodies of 4 MB, for hello and for telemetry of a session that has only greeted; some never end.
    Bodies,
    /// Enrolments with a new key each, thousands of cards and an inventory of a megabyte.
    Enrolments,
    /// Readers of the initrd and of an answer over HTTPS that hardly read.
    Readers,
    /// TFTP transfers that stall.
    Transfers,
    /// Boot scripts, one after the other.
    Scripts,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 7] =
        [Way::Silence, Way::Crowd, Way::Bodies, Way::Enrolments, Way::Readers, Way::Transfers, Way::Scripts];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Way::Silence => "silence",
            Way::Crowd => "crowd",
            Way::Bodies => "bodies",
            Way::Enrolments => "enrolments",
            Way::Readers => "readers",
            Way::Transfers => "transfers",
            Way::Scripts => "scripts",
        }
    }

    /// Once more of it, and how long to wait then.
    fn again(self, held: &mut Held) -> Result<Duration> {
        match self {
            Way::Silence => https::fall_silent(held),
            Way::Crowd => crowd::gather(held),
            Way::Bodies => https::send_much(held),
            Way::Enrolments => https::enrol(held),
            Way::Readers => boot::read_slowly(held),
            Way::Transfers => boot::stall(held),
            Way::Scripts => boot::ask_for_scripts(held),
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Way::ALL.map(Way::name).join(", ");
        Way::ALL.into_iter().find(|way| way.name() == text).ok_or_else(|| format!("not one of {}", known()))
    }
}

/// What one way keeps from one time to the next.
struct Held {
    tls: https::Client,
    count: usize,
    connections: https::Silent,
    crowd: crowd::Crowd,
    readers: boot::Readers,
    transfers: boot::Transfers,
}

/// A flood that goes on until this is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    counts: Vec<(Way, Arc<AtomicU64>)>,
}

impl Flood {
    /// Begins it from a network namespace, which is a [`Network::crowd`], each way in a thread of its own. `ca` is the server's
    /// certificate authority.
    ///
    /// # Errors
    /// The certificate cannot be read, or this process may not open as many files.
    pub fn begin(stranger: &Arc<Network>, ca: &Path, ways: &[Way]) -> Result<Self> {
        let client = https::Client::new(ca)?;
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raising the limit of open files")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (mut threads, mut counts) = (Vec::new(), Vec::new());
        for way in ways.iter().copied() {
            let (stranger, client, stop, count) = (stranger.clone(), client.clone(), stop.clone(), Arc::default());
            counts.push((way, Arc::clone(&count)));
            threads.push(thread::spawn(move || {
                let flooded = stranger.inside(|| {
                    go_on(way, client, &stop, &count);
                    Ok(())
                });
                if let Err(error) = flooded {
                    eprintln!("the flood of {}: {error:#}", way.name());
                }
            }));
        }
        Ok(Self { stop, threads, counts })
    }

    /// How often each way was gone.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.iter().map(|(way, count)| (way.name(), count.load(Ordering::Relaxed))).collect()
    }
}

/// What is refused or broken off is what the server is to do, and no end of it.
fn go_on(way: Way, client: https::Client, stop: &AtomicBool, count: &AtomicU64) {
    const REFUSED: Duration = Duration::from_millis(50);
    let mut held = Held {
        tls: client,
        count: 0,
        connections: https::Silent::default(),
        crowd: crowd::Crowd::default(),
        readers: boot::Readers::default(),
        transfers: boot::Transfers::default(),
    };
    while !stop.load(Ordering::Relaxed) {
        let pause = way.again(&mut held).unwrap_or(REFUSED);
        held.count += 1;
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause);
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A number out of `VmRSS: 1234 kB` of a process, in MiB: `VmRSS`, or `VmHWM` for the most so far.
///
/// # Errors
/// The process is gone.
pub fn memory_of(process: u32, what: &str) -> Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).context("reading the status of a process")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.map(|kib| kib >> 10).with_context(|| format!("{what} of process {process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_known_by_its_name() {
        for way in Way::ALL {
            assert_eq!(way.name().parse(), Ok(way));
        }
        assert!("rain".parse::<Way>().is_err_and(|error| error.contains("silence")));
    }

    #[test]
    fn the_memory_of_a_process_is_in_its_status() {
        let own = std::process::id();
        let (now, most) = (memory_of(own, "VmRSS"), memory_of(own, "VmHWM"));
        assert!(now.is_ok_and(|now| most.is_ok_and(|most| now <= most)));
        assert!(memory_of(own, "VmNone").is_err());
    }
}
