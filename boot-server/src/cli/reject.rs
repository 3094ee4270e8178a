//! `boot-server reject`: machines that are refused, and that taken back.

use super::{
    client::{Client, Target},
    output::printable,
};
use protocol::{
    Failure,
    calls::{self, Nothing},
    failure::Result,
    rejection::{RejectRequest, Rejection, Unrejected},
};

/// Refuse machines that wait, or take that back (--undo)
///
/// A machine that is refused is told so on its console, with the reason, and asks on: nobody has to go there when that is taken
/// back, or when it is approved. It stays refused when it comes with another key. What proves to be another machine with the same
/// labels is not: the node's own key, a one-time token, the TPM that the spec names. boot-server get rejections lists them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Machines as get nodes prints them (machine-1a2b3c4d), the codes on their consoles, or the nodes that they claim to be
    #[arg(value_name = "MACHINE", required = true)]
    machines: Vec<String>,
    /// Why, for whoever stands before the machine
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take the refusal back: the machine waits again
    #[arg(long, conflicts_with = "reason")]
    undo: bool,
    #[command(flatten)]
    target: Target,
}

/// Refuses each machine, or takes that back, and goes on where one fails.
///
/// # Errors
/// The first failure, after all have been tried.
pub async fn run(args: Args) -> Result<()> {
    let client = args.target.client()?;
    let request = RejectRequest { reason: args.reason };
    let mut failed: Vec<Failure> = Vec::new();
    for machine in &args.machines {
        let said = if args.undo { undo(&client, machine).await } else { reject(&client, machine, &request).await };
        match said {
            Ok(said) => host::say!("{}", printable(&said)),
            Err(failure) if args.machines.len() == 1 => return Err(failure),
            Err(failure) => {
                host::tell!("{}: {}", printable(machine), printable(&failure.to_string()));
                failed.push(failure);
            }
        }
    }
    let (count, all) = (failed.len(), args.machines.len());
    match failed.into_iter().next() {
        Some(first) => {
            let cause = format!("{count} of {all} machines, the first by: {}", first.cause);
            Err(Failure { cause, ..first })
        }
        None => Ok(()),
    }
}

async fn reject(client: &Client, machine: &str, request: &RejectRequest) -> Result<String> {
    let Rejection { machine, node, .. } = client.call::<calls::Reject>(&[machine], request).await?;
    let claimed = node.map(|node| format!(", which claims to be {node},")).unwrap_or_default();
    Ok(format!("{machine}{claimed} is refused; taken back by: boot-server reject --undo {machine}"))
}

async fn undo(client: &Client, machine: &str) -> Result<String> {
    let Unrejected { machines } = client.call::<calls::Unreject>(&[machine], &Nothing {}).await?;
    let (names, verb) = (machines.join(", "), if machines.len() == 1 { "is" } else { "are" });
    Ok(format!("{names} {verb} no longer refused"))
}
