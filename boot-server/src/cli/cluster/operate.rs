//! `boot-server cluster remove|replace|decommission`

use super::look::chosen;
use crate::cli::{admin::checked, client::Target, output};
use protocol::{
    Code, Failure,
    calls::{self, Call, Nothing},
    failure::Result,
    operations::{ForeignRequest, OperateRequest},
};

/// What every operation on a node is told.
#[derive(Debug, clap::Args)]
struct Common {
    /// The node
    node: String,
    /// Yes, this node
    #[arg(long)]
    yes: bool,
    /// Also where a service would lose its quorum, or none of its members answers
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: Target,
}

/// Take a node out of the services of its cluster
///
/// Its members are removed through other members, and its installation is given no turn to join again: it comes back by
/// replace or reinstall. Refused where a service would lose its quorum. A member that is no node of this server goes by its
/// id or name, as cluster members prints them.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    common: Common,
    /// The cluster of a member that is no node; may be left out where there is one cluster
    #[arg(long)]
    cluster: Option<String>,
}

/// Have another machine take a node's place
///
/// Removes its members, revokes its key (the old machine is refused from then on), opens its next generation and has the
/// machine boot from the network by the power hook. For 24 hours one machine with the claims of the node's spec and a new
/// key needs no approval. Each step is printed when it is done; where one fails, mend it and run the verb again: it goes on
/// there.
#[derive(Debug, clap::Args)]
pub struct Replace {
    #[command(flatten)]
    common: Common,
}

/// Have a node leave for good
///
/// Runs the drain hook, removes its members, and opens a generation that wipes the disks of its layout at its next network
/// boot, except those whose wipe policy is keep or ignore. When its agent has reported that, the node is retired, its key
/// is revoked, and it boots nothing any more. Where a step fails, mend it and run the verb again: it goes on there.
#[derive(Debug, clap::Args)]
pub struct Decommission {
    #[command(flatten)]
    common: Common,
    /// Leave its disks as they are, and retire it at once
    #[arg(long)]
    keep_disks: bool,
}

/// Removes the node's members.
pub async fn remove(args: Remove) -> Result<()> {
    let lost = "it would be no member of its cluster any more";
    confirmed(&args.common, "removing", lost)?;
    let Common { node: member, force, target, .. } = &args.common;
    let client = target.client()?;
    let nodes = client.call::<calls::Nodes>(&[], &Nothing {}).await?;
    if args.cluster.is_none() && nodes.iter().any(|node| node.name == *member) {
        return operate::<calls::RemoveMember>(args.common, "removing", lost, false).await;
    }
    let cluster = chosen(&client, args.cluster.as_deref()).await?;
    let request = ForeignRequest { member: member.clone(), force: *force };
    let told = |step: &str| host::say!("{}", output::printable(step));
    client.steps::<calls::RemoveForeign>(&[&cluster], &request, told).await.map(drop)
}

fn confirmed(args: &Common, doing: &str, lost: &str) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    let cause = format!("{doing} {}: {lost}", args.node);
    Err(Failure::new(Code::Config, cause).with_remedy("add --yes where that is wanted"))
}

/// Has the node replaced.
pub async fn replace(args: Replace) -> Result<()> {
    operate::<calls::Replace>(
        args.common,
        "replacing",
        "its machine would be it no more, and its disks may be lost",
        false,
    )
    .await
}

/// Has the node leave.
pub async fn decommission(args: Decommission) -> Result<()> {
    let lost = if args.keep_disks { "it would be retired" } else { "what is on its disks would be lost" };
    operate::<calls::Decommission>(args.common, "decommissioning", lost, args.keep_disks).await
}

async fn operate<C: Call<Request = OperateRequest>>(
    args: Common,
    doing: &str,
    lost: &str,
    keep_disks: bool,
) -> Result<()> {
    confirmed(&args, doing, lost)?;
    let node = checked(&args.node)?;
    let request = OperateRequest { force: args.force, keep_disks };
    let told = |step: &str| host::say!("{}", output::printable(step));
    args.target.client()?.steps::<C>(&[node.as_str()], &request, told).await.map(drop)
}
