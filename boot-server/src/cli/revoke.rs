//! `boot-server revoke`: what somebody else may have is worth nothing any more.

use super::{
    client::{Client, Target},
    output::printable,
};
use protocol::{
    Code, Failure,
    admin::KeyRevoked,
    calls::{self, Nothing},
    failure::Result,
};

/// Revoke the keys of nodes, or the certificate of a member that this server did not install (--certificate)
///
/// For a key or a disk that was stolen, at once: the node can ask this server for nothing more, and services that read the list of
/// revoked certificates (etcd) refuse it as soon as their nodes have fetched that, which they do every hour. Its members stay listed:
/// cluster remove takes them out. Nothing takes a revocation back: the machine, or another one, becomes the node again by cluster
/// replace, with a new key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Nodes whose keys are revoked
    #[arg(value_name = "NODE", required_unless_present = "certificate")]
    nodes: Vec<String>,
    /// The serial number of a certificate that boot-server certificate has made, as it printed it and the audit has it
    #[arg(long, value_name = "SERIAL", conflicts_with = "nodes")]
    certificate: Option<String>,
    /// Yes, there is no way back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

/// Revokes each, and goes on where one fails.
///
/// # Errors
/// `E-CONFIG` without `--yes`; the first failure, after all have been tried.
pub async fn run(args: Args) -> Result<()> {
    if !args.yes {
        let cause = "revoking: nothing takes it back";
        return Err(Failure::new(Code::Config, cause).with_remedy("add --yes where that is wanted"));
    }
    let client = args.target.client()?;
    if let Some(serial) = &args.certificate {
        client.call::<calls::RevokeCertificate>(&[serial], &Nothing {}).await?;
        host::say!("{} is revoked; nodes fetch the list of revoked certificates every hour", printable(serial));
        return Ok(());
    }
    let mut failed = Ok(());
    for node in &args.nodes {
        if let Err(failure) = revoke(&client, node).await {
            host::tell!("{}", printable(&failure.to_string()));
            failed = failed.and(Err(failure));
        }
    }
    failed
}

async fn revoke(client: &Client, node: &str) -> Result<()> {
    let KeyRevoked { node, key } = client.call::<calls::RevokeKey>(&[node], &Nothing {}).await?;
    host::say!(
        "the key {} of node {node} is revoked; a machine becomes it again by: boot-server cluster replace {node} --yes",
        &key.hex()[..12]
    );
    Ok(())
}
