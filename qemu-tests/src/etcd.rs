//! etcd seen from outside of the machines: a member there, and etcdctl.

use crate::{
    child::Process,
    command::{output, run},
    network::{HOST, Network},
    paths,
    server::Server,
    wait,
};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, time::Duration};

/// The member that founds the cluster `demo`.
#[derive(Debug)]
pub struct Etcd {
    client: Client,
    process: Process,
}

/// An admin of a cluster: `etcdctl` with a certificate of the boot-server's CA.
#[derive(Debug, Clone)]
pub struct Client {
    /// Certificates.
    dir: PathBuf,
    name: String,
    /// Address of the member that is asked.
    address: String,
}

impl Etcd {
    /// Starts it and waits until it is healthy.
    ///
    /// # Errors
    /// No certificate, or etcd does not start.
    pub fn start(network: &Network, server: &Server) -> Result<Self> {
        let client = Client::new(server, "outside", HOST)?;
        let process = member(network, &client)?;
        Ok(Etcd { client, process })
    }

    /// Gives it the roots and a certificate of the CA as it is now, as an operator does while the CA is rotated; who it was
    /// before is handed out.
    ///
    /// # Errors
    /// As [`Etcd::start`].
    pub fn start_anew(&mut self, network: &Network, server: &Server) -> Result<Client> {
        self.process.kill();
        let kept = tempfile::Builder::new().prefix("etcd-").tempdir_in(&server.dir)?.keep();
        for file in ["ca.crt", "outside.crt", "outside.key"] {
            fs::rename(self.client.dir.join(file), kept.join(file)).with_context(|| format!("moving {file}"))?;
        }
        let before = Client { dir: kept, ..self.client.clone() };
        *self = Self::start(network, server)?;
        Ok(before)
    }

    /// What `etcdctl` says through the outside member.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, network: &Network, words: &[&str]) -> Result<String> {
        self.client.ctl(network, words)
    }

    /// As [`Client::voters`].
    ///
    /// # Errors
    /// `etcdctl` fails.
    pub fn voters(&self, network: &Network) -> Result<Vec<String>> {
        self.client.voters(network)
    }
}

fn member(network: &Network, client: &Client) -> Result<Process> {
    let dir = &client.dir;
    let mut etcd = network.command("etcd", ["--name", "outside", "--initial-cluster-token", "demo"]);
    etcd.arg("--data-dir").arg(dir.join("data")).args(["--logger", "zap", "--log-level", "warn"]);
    for (option, port) in [("listen-client-urls", 2379), ("advertise-client-urls", 2379), ("listen-peer-urls", 2380)] {
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
    wait::until("the outside etcd member", Duration::from_secs(60), || {
        process.must_run()?;
        Ok(client.ctl(network, &["endpoint", "health"]).ok())
    })?;
    Ok(process)
}

impl Client {
    /// Gets a certificate of this name; it asks the member at an address.
    ///
    /// # Errors
    /// No certificate.
    pub fn new(server: &Server, name: &str, address: &str) -> Result<Self> {
        let dir = server.dir.join("etcd");
        let mut certificate =
            crate::command::command(paths::binary("boot-server")?, ["certificate", "--name", name, "--address", HOST]);
        certificate.arg("--dir").arg(&server.dir).arg("--out").arg(&dir);
        run(&mut certificate).with_context(|| format!("issuing a certificate for {name}"))?;
        Ok(Client { dir, name: name.to_owned(), address: address.to_owned() })
    }

    /// The same, asking another member.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Client { address: address.to_owned(), ..self.clone() }
    }

    /// What `etcdctl` says.
    ///
    /// # Errors
    /// It fails.
    pub fn ctl(&self, network: &Network, words: &[&str]) -> Result<String> {
        let mut ctl = network.command("etcdctl", words);
        ctl.env("ETCDCTL_API", "3").arg(format!("--endpoints=https://{}:2379", self.address));
        ctl.arg(format!("--cacert={}", self.dir.join("ca.crt").display()));
        ctl.arg(format!("--cert={}", self.dir.join(format!("{}.crt", self.name)).display()));
        ctl.arg(format!("--key={}", self.dir.join(format!("{}.key", self.name)).display()));
        output(&mut ctl)
    }

    /// Names of the members that have started and vote, sorted.
    ///
    /// # Errors
    /// `etcdctl` fails.
    pub fn voters(&self, network: &Network) -> Result<Vec<String>> {
        let listed = self.ctl(network, &["member", "list"])?;
        let mut voters: Vec<String> = listed.lines().filter_map(voter).collect();
        voters.sort();
        Ok(voters)
    }

    /// Waits until all members that the cluster lists are healthy.
    ///
    /// # Errors
    /// They are not in time.
    pub fn wait_healthy(&self, network: &Network, patience: Duration) -> Result<()> {
        let healthy = || Ok(self.ctl(network, &["endpoint", "health", "--cluster"]).ok());
        wait::until("all members of the cluster to be healthy", patience, healthy).map(drop)
    }
}

/// `ID, started, NAME, PEER URLS, CLIENT URLS, IS LEARNER`.
fn voter(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(", ").collect();
    let votes = fields.get(1) == Some(&"started") && fields.last() == Some(&"false");
    if votes { fields.get(2).map(|name| (*name).to_owned()) } else { None }
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
