//! Real etcd processes, ended by their own process ids.

use super::site::{Credentials, Site};
use crate::lab::Lab;
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Members of one cluster.
pub struct Etcds {
    pub site: Site,
    pub credentials: Vec<Credentials>,
    folder: PathBuf,
    /// Who founds a cluster of its own.
    alone: Option<u8>,
    /// Bytes that each may hold.
    quota: Option<u32>,
    running: Vec<Option<Child>>,
}

impl Etcds {
    /// Three founders; they are up when this returns.
    pub fn three(lab: &Lab) -> Self {
        Self::founded(lab, None, None)
    }

    /// Three founders with room for a few hundred keys of some KiB.
    pub fn small(lab: &Lab) -> Self {
        Self::founded(lab, None, Some(400_000))
    }

    /// Two founders, and one that has founded a cluster of the same name alone.
    pub fn two_and_one(lab: &Lab) -> Self {
        Self::founded(lab, Some(3), None)
    }

    fn founded(lab: &Lab, alone: Option<u8>, quota: Option<u32>) -> Self {
        let credentials = (1..=3).map(|n| Credentials::of(lab, n)).collect();
        let mut etcds = Self {
            site: Site::new(),
            credentials,
            folder: lab.dir().join("etcd"),
            alone,
            quota,
            running: vec![None, None, None],
        };
        for n in 1..=3 {
            etcds.start(n);
        }
        etcds.wait_until_healthy();
        etcds
    }

    pub fn data(&self, n: u8) -> PathBuf {
        self.folder.join(format!("data-{n}"))
    }

    pub fn peer_url(&self, n: u8) -> String {
        format!("https://{}:{}", Site::ip(n), self.site.raft)
    }

    pub fn initial_cluster(&self) -> String {
        self.initial_cluster_of(1)
    }

    fn initial_cluster_of(&self, n: u8) -> String {
        let is_alone = |n| self.alone == Some(n);
        (1..=3)
            .filter(|other| is_alone(*other) == is_alone(n))
            .map(|n| format!("{}={}", Site::ip(n), self.peer_url(n)))
            .collect::<Vec<_>>()
            .join(",")
    }

    pub fn start(&mut self, n: u8) {
        std::fs::create_dir_all(&self.folder).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let client = format!("https://{}:{}", Site::ip(n), self.site.client);
        let credentials = &self.credentials[usize::from(n) - 1];
        let mut command = Command::new("etcd");
        command.args(["--name", &Site::ip(n), "--initial-cluster", &self.initial_cluster_of(n)]);
        command.args(["--initial-cluster-token", "prod", "--initial-cluster-state", "new"]);
        command.args(["--logger", "zap", "--log-level", "warn", "--data-dir"]).arg(self.data(n));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &self.peer_url(n), "--initial-advertise-peer-urls", &self.peer_url(n)]);
        for of in ["", "peer-"] {
            command.arg(format!("--{of}cert-file")).arg(&credentials.certificate);
            command.arg(format!("--{of}key-file")).arg(&credentials.key);
            command.arg(format!("--{of}trusted-ca-file")).arg(&credentials.ca);
            command.arg(format!("--{of}client-cert-auth"));
        }
        if let Some(quota) = self.quota {
            command.args(["--quota-backend-bytes", &quota.to_string()]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.running[usize::from(n) - 1] = Some(child);
    }

    /// kill -9.
    pub fn kill(&mut self, n: u8) {
        if let Some(mut child) = self.running[usize::from(n) - 1].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What etcdctl says, where it ends well.
    pub fn ctl(&self, arguments: &[&str]) -> Option<String> {
        let endpoints: Vec<String> = (1..=3u8)
            .filter(|n| self.running[usize::from(*n) - 1].is_some())
            .map(|n| format!("https://{}:{}", Site::ip(n), self.site.client))
            .collect();
        let credentials = &self.credentials[0];
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--dial-timeout", "2s", "--endpoints", &endpoints.join(",")]);
        command.arg("--cacert").arg(&credentials.ca).arg("--cert").arg(&credentials.certificate);
        let output = command.arg("--key").arg(&credentials.key).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn wait_until_healthy(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while self.ctl(&["endpoint", "health"]).is_none() {
            assert!(Instant::now() < patience, "{}", std::fs::read_to_string(self.folder.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Etcds {
    fn drop(&mut self) {
        for n in 1..=3 {
            self.kill(n);
        }
    }
}
