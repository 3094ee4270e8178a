//! An installed node in a folder: its secrets, its state, and the agent run on them.

use qemu_tests::certificates::{self, Ca, Leaf};
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

pub struct Node {
    pub folder: tempfile::TempDir,
    pub config: Value,
    pub port: u16,
    pub raft: u16,
    /// Programs that go before those of the system.
    pub programs: Option<PathBuf>,
}

/// What one run of the agent did.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub lines: Vec<Value>,
}

impl Run {
    /// The log line of the failure.
    pub fn failure(&self) -> String {
        let line = self.lines.iter().rfind(|line| line["level"] == "ERROR");
        line.map(|line| format!("{} {}", line["code"].as_str().unwrap(), line["message"].as_str().unwrap()))
            .unwrap_or_else(|| panic!("no failure was logged: {self:#?}"))
    }

    pub fn remedy(&self) -> &str {
        let line = self.lines.iter().rfind(|line| line["level"] == "ERROR").unwrap();
        line["remedy"].as_str().unwrap()
    }

    pub fn says(&self, level: &str, part: &str) -> bool {
        self.lines.iter().any(|line| line["level"] == level && line["message"].as_str().unwrap().contains(part))
    }
}

impl Node {
    /// A founder that is alone.
    pub fn founder(ca: &Ca, id: &str) -> Self {
        let mut node = Self::joiner(ca, id, 1);
        node.config["bootstrap"] = json!(true);
        node.config["leader_url"] = json!(format!("https://127.0.0.1:{}", node.port));
        node.config["initial_peers"] = json!([format!("127.0.0.1:{}", node.raft)]);
        node
    }

    /// A node that joins by the member at this port.
    pub fn joiner(ca: &Ca, id: &str, leader_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates::write(&folder.path().join("secrets"), &ca.pem, &ca.leaf());
        let (port, raft) = (free_port(), free_port());
        let config = json!({
            "node_id": id, "node_role": "worker", "bootstrap": false, "cluster_name": "test",
            "leader_url": format!("https://127.0.0.1:{leader_port}"), "raft_addr": format!("127.0.0.1:{raft}"),
        });
        Self { folder, config, port, raft, programs: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn use_certificate(&self, ca_pem: &str, leaf: &Leaf) {
        certificates::write(&self.path("secrets"), ca_pem, leaf);
    }

    pub fn has_marker(&self, name: &str) -> bool {
        self.path("state").join(name).exists()
    }

    pub fn remove_marker(&self, name: &str) {
        fs::remove_file(self.path("state").join(name)).unwrap();
    }

    pub fn join(&self, service: &str, options: &[&str]) -> Run {
        self.run(self.join_command(service, options))
    }

    /// The agent is killed after a while, as by a power cut; whether it had ended by then.
    pub fn join_killed_after(&self, while_: Duration, service: &str, options: &[&str]) -> bool {
        let mut child = self.join_command(service, options).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(while_);
        child.kill().unwrap();
        child.wait().unwrap().success()
    }

    /// The agent is killed after a while, and what it said by then.
    pub fn join_for(&self, while_: Duration, service: &str, options: &[&str]) -> Run {
        let mut child = self.join_command(service, options).stdout(Stdio::piped()).spawn().unwrap();
        thread::sleep(while_);
        child.kill().unwrap();
        self.judge(child.wait_with_output().unwrap())
    }

    /// Another verb of the cluster.
    pub fn run_verb(&self, verb: &str, options: &[&str]) -> Run {
        self.run(self.agent(&[verb], options))
    }

    /// Only what is in the configuration, and where that is.
    pub fn check_config(&self, services: &[&str]) -> Output {
        fs::write(self.path("secrets/cluster-config.json"), self.config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
        command.arg("check-config").args(services).arg("--secrets-dir").arg(self.path("secrets"));
        command.output().unwrap()
    }

    pub fn health_check(&self, options: &[&str]) -> Run {
        self.run(self.agent(&["health-check"], options))
    }

    /// `initrd-agent renew`
    pub fn renew(&self, options: &[&str]) -> Run {
        fs::write(self.path("secrets/cluster-config.json"), self.config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
        command.arg("renew").arg("--secrets-dir").arg(self.path("secrets"));
        command.arg("--install-marker").arg(self.path("install.json")).args(options);
        self.run(command)
    }

    fn join_command(&self, service: &str, options: &[&str]) -> Command {
        let mut all = options.to_vec();
        let resolv_conf = self.path("no-name-servers").display().to_string();
        let defaults = [
            ["--resolv-conf", &resolv_conf],
            ["--retry-base", "300"],
            ["--health-timeout", "60"],
            ["--least-free", "1"],
        ];
        for [name, value] in defaults.iter().filter(|[name, _]| !options.contains(name)) {
            all.extend([name, value]);
        }
        // The peers of the tests play the services.
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        if service != "etcd" && !options.contains(&"--process") {
            all.extend(["--process", program]);
        }
        self.agent(&["join", service], &all)
    }

    fn agent(&self, verb: &[&str], options: &[&str]) -> Command {
        fs::write(self.path("secrets/cluster-config.json"), self.config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_initrd-agent"));
        command.args(verb);
        for (name, folder) in [("--secrets-dir", "secrets"), ("--state-dir", "state"), ("--data-dir", "data")] {
            command.arg(name).arg(self.path(folder));
        }
        if let Some(programs) = &self.programs {
            command.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
        }
        command.arg("--install-marker").arg(self.path("install.json"));
        command.args(["--port", &self.port.to_string()]).args(options);
        command
    }

    fn run(&self, mut command: Command) -> Run {
        self.judge(command.output().unwrap())
    }

    fn judge(&self, Output { status, stdout, stderr }: Output) -> Run {
        let text = String::from_utf8(stdout).unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let stderr = String::from_utf8_lossy(&stderr);
        // Shown by the test harness where the test fails.
        println!("{} ended with {status}\n{text}{stderr}", self.config["node_id"]);
        Run { code: status.code(), lines: text.lines().map(parse).collect() }
    }
}

/// Below the ports that the kernel gives to outgoing connections, so that none of them takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 1000) as u16 * 20;
    let mut candidates = (0..2000).map(|_| first + NEXT.fetch_add(1, Ordering::SeqCst));
    candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
