//! An etcd member outside the machines, with a certificate of the boot-server's CA.

use crate::{
    child::Process,
    command::{output, run},
    network::{HOST, Network},
    paths,
    server::Server,
    wait,
};
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command, time::Duration};

/// The member that founds the cluster `demo`.
#[derive(Debug)]
pub struct Etcd {
    dir: PathBuf,
    _process: Process,
}

impl Etcd {
    /// Starts it and waits until it is healthy.
    ///
    /// # Errors
    /// No certificate, or etcd does not start.
    pub fn start(network: &Network, server: &Server) -> Result<Self> {
        let dir = server.dir.join("etcd");
        let mut certificate = crate::command::command(
            paths::binary("boot-server")?,
            ["certificate", "--name", "outside", "--address", HOST],
        );
        certificate.arg("--dir").arg(&server.dir).arg("--out").arg(&dir);
        run(&mut certificate).context("issuing a certificate for the outside member")?;
        let mut etcd = network.command("etcd", ["--name", "outside", "--initial-cluster-token", "demo"]);
        etcd.arg("--data-dir").arg(dir.join("data")).args(["--logger", "zap", "--log-level", "warn"]);
        for (option, port) in
            [("listen-client-urls", 2379), ("advertise-client-urls", 2379), ("listen-peer-urls", 2380)]
        {
            etcd.arg(format!("--{option}=https://{HOST}:{port}"));
        }
        etcd.arg(format!("--initial-advertise-peer-urls=https://{HOST}:2380"));
        etcd.arg(format!("--initial-cluster=outside=https://{HOST}:2380"));
        for prefix in ["", "peer-"] {
            etcd.arg(format!("--{prefix}client-cert-auth"));
            etcd.arg(format!("--{prefix}trusted-ca-file={}", dir.join("ca.crt").display()));
            etcd.arg(format!("--{prefix}cert-file={}", dir.join("outside.crt").display()));
            etcd.arg(format!("--{prefix}key-file={}", dir.join("outside.key").display()));
        }
        let mut process = Process::start("etcd", &mut etcd, &dir.join("etcd.log"))?;
        let member = |process| Etcd { dir: dir.clone(), _process: process };
        wait::until("the outside etcd member", Duration::from_secs(20), || {
            process.must_run()?;
            Ok(output(&mut etcdctl(network, &dir, &["endpoint", "health"])).ok())
        })?;
        Ok(member(process))
    }

    /// What `etcdctl` says through the outside member.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, network: &Network, words: &[&str]) -> Result<String> {
        output(&mut etcdctl(network, &self.dir, words))
    }

    /// Names of the members that have started and vote.
    ///
    /// # Errors
    /// `etcdctl` fails.
    pub fn voters(&self, network: &Network) -> Result<Vec<String>> {
        let listed = self.ctl(network, &["member", "list"])?;
        Ok(listed.lines().filter_map(voter).collect())
    }
}

/// `ID, started, NAME, PEER URLS, CLIENT URLS, IS LEARNER`.
fn voter(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(", ").collect();
    let votes = fields.get(1) == Some(&"started") && fields.last() == Some(&"false");
    if votes { fields.get(2).map(|name| (*name).to_owned()) } else { None }
}

fn etcdctl(network: &Network, dir: &std::path::Path, words: &[&str]) -> Command {
    let mut ctl = network.command("etcdctl", words);
    ctl.env("ETCDCTL_API", "3").arg(format!("--endpoints=https://{HOST}:2379"));
    ctl.arg(format!("--cacert={}", dir.join("ca.crt").display()));
    ctl.arg(format!("--cert={}", dir.join("outside.crt").display()));
    ctl.arg(format!("--key={}", dir.join("outside.key").display()));
    ctl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_and_a_member_that_has_not_started_do_not_vote() {
        assert_eq!(voter("8e9e05, started, m1, https://a:2380, https://a:2379, false"), Some("m1".into()));
        assert_eq!(voter("8e9e05, started, m1, https://a:2380, https://a:2379, true"), None);
        assert_eq!(voter("8e9e05, unstarted, , https://a:2380, , false"), None);
    }
}
