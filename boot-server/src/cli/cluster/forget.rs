//! `boot-server cluster forget`

use crate::cli::client::Target;
use protocol::{Code, Failure, calls, failure::Result, operations::ForgetRequest};

/// Have the founders of a cluster that was destroyed fixed anew
///
/// Only for a cluster whose members are all gone. The next founder that asks for its turn fixes a new founding set,
/// and the cluster is bootstrapped a second time: where members of the old one are still up, there are two.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster, as cluster list prints it
    cluster: String,
    /// Yes, this cluster is gone for good
    #[arg(long)]
    yes: bool,
    /// Also where members of it are still heard healthy, or it is to begin with a snapshot, which is given up
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: Target,
}

/// Forgets the cluster.
pub async fn run(args: Args) -> Result<()> {
    let cluster = super::checked(&args.cluster)?;
    if !args.yes {
        let cause = format!("forgetting cluster {}: its founders would bootstrap another one", args.cluster);
        return Err(Failure::new(Code::Config, cause).with_remedy("add --yes where the cluster is gone for good"));
    }
    let request = ForgetRequest { force: args.force };
    let forgotten = args.target.client()?.call::<calls::ForgetCluster>(&[cluster], &request).await?;
    host::say!("cluster {} is forgotten ({} services): its founders are fixed anew", args.cluster, forgotten.services);
    Ok(())
}
