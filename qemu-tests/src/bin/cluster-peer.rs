//! Plays Chainfire, FlareDB or IAM on a node of a machine test: the documented API over mutual TLS, a cluster of one.

use anyhow::{Context, Result};
use clap::Parser;
use qemu_tests::cluster_peer::{
    self,
    documented::{Documented, Service, member},
    faults::Faults,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Play a service of the cluster.
#[derive(Parser)]
struct Args {
    service: Service,
    /// Its clients' port.
    #[arg(long)]
    port: u16,
    /// Where cluster-config.json and the node's certificate are.
    #[arg(long, default_value = "/etc/nixos/secrets")]
    secrets: PathBuf,
    /// What the first requests that change something are answered instead, one each: 503,half,slow,409
    #[arg(long, value_name = "SCRIPT")]
    faults: Option<Faults>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let config = args.secrets.join("cluster-config.json");
    let config: Value =
        serde_json::from_slice(&std::fs::read(&config).with_context(|| format!("reading {}", config.display()))?)?;
    let member = member(&config["node_id"], &config["raft_addr"], "leader");
    let service = Documented::new(args.service, vec![member]).with_faults(args.faults.unwrap_or_default());
    let tls = tls(&args.secrets)?;
    let listener = TcpListener::bind(("0.0.0.0", args.port)).with_context(|| format!("listening on {}", args.port))?;
    cluster_peer::serve(&listener, &tls, move |request| service.answer(request));
    Ok(())
}

fn tls(secrets: &Path) -> Result<Arc<ServerConfig>> {
    let pem = |name: &str| secrets.join(name);
    let ca = CertificateDer::from_pem_file(pem("ca.crt")).context("reading ca.crt")?;
    let chain =
        CertificateDer::pem_file_iter(pem("node.crt")).context("reading node.crt")?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(pem("node.key")).context("reading node.key")?;
    cluster_peer::tls(ca, chain, key)
}
