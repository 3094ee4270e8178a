//! A network of its own: a namespace with a bridge, which is 10.77.0.1, and a tap for each machine.

use crate::command::{command, output, sh};
use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use std::{
    ffi::OsStr,
    fs::File,
    net::Ipv4Addr,
    os::{fd::AsFd, unix::process::CommandExt},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Address of the boot-server and of everything else that is not a machine.
pub const HOST: &str = "10.77.0.1";
/// 256 addresses, of which a neighbour may be each ([`Network::crowd`]).
pub const CROWD: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 0);
/// The bridge.
pub const BRIDGE: &str = "br0";
/// Names of our namespaces: `centra-PID-N`.
const PREFIX: &str = "centra-";

/// The namespace; gone with everything in it when this is dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    namespace: Arc<File>,
    taps: AtomicU32,
}

impl Network {
    /// Makes a namespace with a bridge, after cleaning up what a killed run has left.
    ///
    /// # Errors
    /// Not root, or no `ip` command.
    pub fn create() -> Result<Self> {
        remove_leftovers();
        let network = Self::empty()?;
        network.ip(&["link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0"])?;
        network.ip(&["addr", "add", &format!("{HOST}/24"), "dev", BRIDGE])?;
        network.ip(&["link", "set", BRIDGE, "up"])?;
        Ok(network)
    }

    /// Another host on the bridge, which is 10.77.0.`number`: a namespace of its own.
    ///
    /// # Errors
    /// As [`Network::create`].
    pub fn neighbour(&self, number: u8) -> Result<Self> {
        let (host, port) = (Self::empty()?, format!("host{number}"));
        self.ip(&["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &host.name])?;
        self.ip(&["link", "set", &port, "master", BRIDGE, "up"])?;
        host.ip(&["addr", "add", &format!("10.77.0.{number}/24"), "dev", "eth0"])?;
        host.ip(&["link", "set", "eth0", "up"])?;
        Ok(host)
    }

    /// The same, which has all addresses of [`CROWD`] as well.
    ///
    /// # Errors
    /// As [`Network::create`].
    pub fn crowd(&self, number: u8) -> Result<Self> {
        let (host, crowd) = (self.neighbour(number)?, format!("{CROWD}/24"));
        host.ip(&["route", "add", "local", &crowd, "dev", "lo"])?;
        self.ip(&["route", "add", &crowd, "via", &format!("10.77.0.{number}")])?;
        Ok(host)
    }

    fn empty() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        sh(&["ip", "netns", "add", &name]).context("making a network namespace (this needs root)")?;
        let path = format!("/run/netns/{name}");
        let namespace = match File::open(&path) {
            Ok(file) => Arc::new(file),
            Err(error) => {
                let _ = sh(&["ip", "netns", "del", &name]);
                return Err(anyhow!(error).context(format!("opening {path}")));
            }
        };
        let network = Network { name, namespace, taps: AtomicU32::new(0) };
        network.ip(&["link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// Its name, as `ip netns` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn ip(&self, words: &[&str]) -> Result<()> {
        sh(&[&["ip", "-n", &self.name], words].concat())
    }

    /// A new tap on the bridge.
    ///
    /// # Errors
    /// No tun driver.
    pub fn tap(&self) -> Result<String> {
        let tap = format!("tap{}", self.taps.fetch_add(1, Ordering::Relaxed));
        self.ip(&["tuntap", "add", "dev", &tap, "mode", "tap"])?;
        self.ip(&["link", "set", &tap, "master", BRIDGE, "up"])?;
        Ok(tap)
    }

    /// Pulls the cable of a tap out, or puts it in again.
    ///
    /// # Errors
    /// There is no such tap.
    pub fn plug(&self, tap: &str, plugged: bool) -> Result<()> {
        self.ip(&["link", "set", tap, if plugged { "up" } else { "down" }])
    }

    /// A command that will run in the namespace.
    pub fn command<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = command(program, args);
        let namespace = Arc::clone(&self.namespace);
        // SAFETY: setns is a plain system call on a descriptor that is open, fit for the time between fork and exec.
        unsafe {
            command.pre_exec(move || Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?));
        }
        command
    }

    /// Does something in the namespace, such as opening a socket: that stays there.
    ///
    /// # Errors
    /// What the function returns.
    pub fn inside<T: Send>(&self, function: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(self.namespace.as_fd(), CloneFlags::CLONE_NEWNET).context("entering the network namespace")?;
                function()
            });
            inside.join().map_err(|_| anyhow!("a thread in the network namespace panicked"))?
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what still runs in a namespace and removes it.
fn remove(name: &str) {
    if let Ok(pids) = output(&mut command("ip", ["netns", "pids", name])) {
        for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
    let _ = sh(&["ip", "netns", "del", name]);
}

/// Removes the namespaces whose owner is no longer there.
fn remove_leftovers() {
    let listed = output(&mut command("ip", ["netns", "list"])).unwrap_or_default();
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        if owner(name).is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            remove(name);
        }
    }
}

/// The process that made a namespace of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_an_owner() {
        assert_eq!(owner("centra-123-0"), Some(123));
        for foreign in ["pxe", "centra-", "centra-x-1", "123-0"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }
}
