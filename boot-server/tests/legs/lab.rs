//! A small network: a namespace with a bridge where the legs run, and one namespace per client.

use boot_server::{
    base::health::Health,
    domain::{addresses::FixedAddresses, boot::Boot},
    netboot::{
        context::Context,
        policy::{Answer, Policy},
        site::{Boots, Site},
    },
};
use nix::sched::{CloneFlags, setns};
use protocol::{claims::Claims, failure::Result, names::Mac};
use std::{
    fs::File,
    future::Future,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// What the legs ask, answered from a table; what they report is kept.
#[derive(Default)]
pub struct Table {
    pub reserved: Option<(Mac, Ipv4Addr)>,
    pub boot: Option<Boot>,
    pub asked: Mutex<Vec<Claims>>,
    pub events: Mutex<Vec<String>>,
}

impl Policy for Table {
    fn boot<'a>(&'a self, claims: &'a Claims) -> Answer<'a, Boot> {
        self.asked.lock().unwrap().push(claims.clone());
        Box::pin(async { self.boot.clone().unwrap_or(Boot::LocalDisk) })
    }

    fn addresses(&self) -> Arc<FixedAddresses> {
        Arc::new(self.reserved.iter().cloned().collect())
    }

    fn event(&self, text: &str) {
        self.events.lock().unwrap().push(text.to_owned());
    }
}

/// A context with this policy that keeps its files in the folder.
pub fn context(policy: &Arc<Table>, state_dir: &Path) -> Context {
    Context {
        site: Site { address: SERVER, http_port: 8080, https_port: 8443, boots: Boots::Plainly },
        policy: policy.clone(),
        health: Health::default(),
        requests: Arc::default(),
        state_dir: state_dir.to_owned(),
    }
}

/// A network namespace; deleted when dropped.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("legs-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// A namespace with the bridge `br0`, which is the server's address.
    pub fn with_bridge() -> Self {
        let namespace = Self::new();
        namespace.run(&["ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"]);
        namespace.run(&["ip", "addr", "add", &format!("{SERVER}/24"), "dev", "br0"]);
        namespace.run(&["ip", "link", "set", "br0", "up"]);
        namespace
    }

    /// A new namespace plugged into the bridge, by `eth0` with this hardware address.
    pub fn plug_in(&self, mac: &str) -> Self {
        let client = Self::new();
        client.cable("eth0", self);
        client.run(&["ip", "link", "set", "eth0", "address", mac, "up"]);
        client
    }

    /// A cable from an interface here to the bridge there.
    pub fn cable(&self, interface: &str, bridge: &Namespace) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let port = format!("port{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let link = ["ip", "link", "add", &port, "type", "veth", "peer", "name", interface, "netns", &self.name];
        bridge.run(&link);
        bridge.run(&["ip", "link", "set", &port, "master", "br0", "up"]);
        self.run(&["ip", "link", "set", interface, "up"]);
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(words).stdin(Stdio::null());
        command
    }

    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn run(&self, words: &[&str]) {
        let output = self.output(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a program that is ended when the guard is dropped.
    pub fn start(&self, words: &[&str]) -> Running {
        Running(self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Runs the function in a thread that is in this namespace.
    pub fn inside<T: Send + 'static>(&self, function: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            function()
        })
    }

    /// Runs a leg here until the guard is dropped, and waits until it says that it is running.
    pub fn serve<F: Future<Output = Result<()>>>(
        &self,
        leg: &'static str,
        context: &Context,
        serve: impl FnOnce(Context) -> F + Send + 'static,
    ) -> Serving {
        let (stop, stopped) = oneshot::channel();
        let inner = context.clone();
        let thread = self.inside(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let health = inner.health.clone();
                tokio::select! {
                    ended = health.watch(leg, serve(inner)) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let running = || context.health.report().services.get(leg).is_some_and(|state| state == "running");
        wait_for("the leg to run", || running() || thread.is_finished());
        assert!(running(), "{:?}", context.health.report());
        Serving { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A leg; dropped, it has ended and its sockets are closed.
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A child process.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits generously: the machine may be busy.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
