//! The admin's verbs: apply, get, describe, approve, wait.

use super::{
    client::{Client, Target},
    output, specs,
};
use crate::domain::{enrolment, plan};
use protocol::{
    Code, Failure,
    admin::{ApplyRequest, ApprovePlan, ApproveRequest, NodeState, NodeSummary},
    calls::{self, Nothing},
    failure::Result,
    names::NodeName,
    operations::ReinstallRequest,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Say what nodes shall be: a NodeSpec, or several, as JSON or TOML
///
/// A node that is new gets its first generation: the first machine that is admitted as it is installed, once.
/// Applying the same file again changes nothing.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// File of NodeSpecs; - reads the standard input; repeat for more
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Expect a machine anew for those of the nodes that are retired
    #[arg(long)]
    reopen: bool,
    #[command(flatten)]
    target: Target,
}

/// Applies the files in one request.
pub async fn apply(args: Apply) -> Result<()> {
    let client = args.target.client()?;
    let mut nodes = Vec::new();
    for file in &args.file {
        nodes.extend(specs::read(file)?);
    }
    let applied = client.call::<calls::Apply>(&[], &ApplyRequest { nodes, reopen: args.reopen }).await?;
    for node in applied {
        host::say!("node {} {}", node.name, node.result);
        for warning in &node.warnings {
            host::say!("  warning: {}", output::printable(warning));
        }
    }
    Ok(())
}

/// List nodes and machines that wait to become one, or machines that were refused
#[derive(Debug, clap::Args)]
pub struct Get {
    /// What to list
    #[arg(value_parser = ["nodes", "node", "rejections"])]
    what: String,
    /// Only this one
    name: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: output::Format,
    #[command(flatten)]
    target: Target,
}

/// Prints the list.
pub async fn get(args: Get) -> Result<()> {
    let client = args.target.client()?;
    if args.what == "rejections" {
        let mut rejections = client.call::<calls::Rejections>(&[], &Nothing {}).await?;
        rejections.retain(|known| args.name.as_ref().is_none_or(|name| known.machine == *name));
        host::show!("{}", output::rejections(&rejections, args.output)?);
        return Ok(());
    }
    let mut nodes = client.call::<calls::Nodes>(&[], &Nothing {}).await?;
    if let Some(name) = &args.name {
        nodes.retain(|node| node.name == *name);
        if nodes.is_empty() {
            return Err(Failure::new(Code::NotFound, format!("looking for node {name:?}: there is none")));
        }
    }
    host::show!("{}", output::nodes(&nodes, args.output)?);
    Ok(())
}

/// Show one node: what it is, how far it is, what happened to it
#[derive(Debug, clap::Args)]
pub struct Describe {
    /// What to show
    #[arg(value_parser = ["node"])]
    what: String,
    /// Its name, as get nodes prints it
    name: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: output::DetailFormat,
    #[command(flatten)]
    target: Target,
}

/// Prints one node.
pub async fn describe(args: Describe) -> Result<()> {
    let name = checked(&args.name)?;
    let detail = args.target.client()?.call::<calls::Node>(&[name.as_str()], &Nothing {}).await?;
    host::show!("{}", output::detail(&detail, args.output)?);
    Ok(())
}

/// Admit a machine by the code on its console, or agree to a plan that is held
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The code that the machine shows, such as K7QF-2M5X; or the name of a node
    #[arg(value_name = "CODE-or-NAME")]
    subject: String,
    /// The node it becomes, where no NodeSpec matches the machine
    #[arg(long, value_name = "NAME")]
    node: Option<NodeName>,
    /// The code that the machine shows, where the node is named
    #[arg(long)]
    code: Option<String>,
    /// The plan of the node to agree to, as describe prints it; needed where the plan destroys something
    #[arg(long, value_name = "HASH", conflicts_with_all = ["code", "node"])]
    plan: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Approves a machine or a plan.
pub async fn approve(args: Approve) -> Result<()> {
    let client = args.target.client()?;
    let (code, node) = match (&args.code, enrolment::normal_code(&args.subject)) {
        (Some(code), _) => {
            let name = args.subject.parse();
            let name = name.map_err(|error| Failure::new(Code::Input, format!("reading the node's name: {error}")))?;
            (code.clone(), Some(name))
        }
        (None, Some(code)) => (code, args.node),
        // No name of a node either: a code that was misread.
        (None, None) if args.subject.parse::<NodeName>().is_err() => (args.subject.clone(), args.node),
        (None, None) => {
            return approve_plan(&client, &args.subject, args.plan.as_deref()).await;
        }
    };
    let approved = client.call::<calls::Approve>(&[], &ApproveRequest { code, node }).await?;
    host::say!("the machine is node {}", approved.node);
    Ok(())
}

/// Agrees to the plan that the admin has read: where something is lost, only to the one that was named.
async fn approve_plan(client: &Client, name: &str, named: Option<&str>) -> Result<()> {
    let node = checked(name)?;
    let detail = client.call::<calls::Node>(&[node.as_str()], &Nothing {}).await?;
    let approving = || format!("approving the plan of node {name}");
    let held = detail.held_plan.ok_or_else(|| {
        Failure::new(Code::WrongState, format!("{}: it holds no plan", approving())).with_remedy(
            "a machine that waits to become a node is approved by the code on its console: boot-server approve CODE",
        )
    })?;
    let short = plan::short(&held);
    if let Some(named) = named
        && (named.len() < short.len() || !held.hex().starts_with(&named.to_ascii_lowercase()))
    {
        let cause = format!("{}: it is {short}, not {named}", approving());
        return Err(Failure::new(Code::WrongState, cause)
            .with_remedy(format!("read the plan as it is now: boot-server describe node {name}")));
    }
    let lost: Vec<&str> = detail.marked_plan().filter(|(_, destroys)| *destroys).map(|(line, _)| line).collect();
    if named.is_none() && !lost.is_empty() {
        let cause = format!("{}: what is on these disks would be lost\n{}", approving(), lost.join("\n"));
        return Err(Failure::new(Code::Config, output::printable(&cause)).with_remedy(format!(
            "read it all (boot-server describe node {name}); where that is wanted: boot-server approve {name} --plan {short}"
        )));
    }
    let approved = client.call::<calls::ApproveHeldPlan>(&[node.as_str()], &ApprovePlan { plan: held }).await?;
    host::say!("the plan of node {} is approved", approved.node);
    Ok(())
}

/// Open a node's next generation: it is wiped and installed anew at its next network boot
///
/// This is also the way out of quarantine. A member of a service is taken out of it first, where the quorum holds without
/// it.
#[derive(Debug, clap::Args)]
pub struct Reinstall {
    /// The node
    name: String,
    /// Yes, what is on its disks may be lost
    #[arg(long)]
    yes: bool,
    /// Also where a service of its cluster would lose its quorum
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: Target,
}

/// Opens the next generation.
pub async fn reinstall(args: Reinstall) -> Result<()> {
    if !args.yes {
        let cause = format!("reinstalling node {}: what is on its disks would be lost", args.name);
        return Err(Failure::new(Code::Config, cause).with_remedy("add --yes where that is wanted"));
    }
    let name = checked(&args.name)?;
    let request = ReinstallRequest { force: args.force };
    let open = args.target.client()?.call::<calls::Reinstall>(&[name.as_str()], &request).await?;
    for step in &open.steps {
        host::say!("{}", output::printable(step));
    }
    host::say!("node {} is installed anew at its next network boot (generation {})", open.node, open.generation);
    Ok(())
}

/// Wait until a node has come to a state
///
/// Ends with an error at once where the node cannot come there by itself: failed, rejected, in conflict.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// The node
    name: String,
    /// The state: expected, discovered, pending, approved, installing, installed, joining, ready, failed ...
    #[arg(long = "for", value_name = "STATE", value_parser = state)]
    state: NodeState,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
    #[command(flatten)]
    target: Target,
}

fn state(text: &str) -> Result<NodeState, String> {
    let names = NodeState::ALL.map(NodeState::name).join(", ");
    NodeState::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| format!("not one of {names}"))
}

/// Whether a node in this state has come to the wanted one: states of the way count once they are passed.
fn reached(now: NodeState, wanted: NodeState) -> bool {
    let place = |state| {
        use NodeState::{Approved, Discovered, Expected, Installed, Installing, Joining, Pending, Ready};
        let way = [Expected, Discovered, Pending, Approved, Installing, Installed, Joining, Ready];
        way.iter().position(|step| *step == state)
    };
    match (place(now), place(wanted)) {
        (Some(now), Some(wanted)) => now >= wanted,
        _ => now == wanted,
    }
}

/// Asks every second.
pub async fn wait(args: Wait) -> Result<()> {
    let client = args.target.client()?;
    let name = checked(&args.name)?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    loop {
        let found = client.call::<calls::Node>(&[name.as_str()], &Nothing {}).await;
        let summary = match found {
            Ok(detail) => detail.summary,
            // The server may be restarting; a node may be applied in a moment.
            Err(failure) if Instant::now() < deadline && failure.code == Code::ServerUnreachable => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if reached(summary.state, args.state) {
            host::say!("node {} is {}", args.name, summary.state);
            return Ok(());
        }
        let stuck = matches!(summary.state, NodeState::Rejected | NodeState::Conflict | NodeState::Revoked);
        if stuck || Instant::now() >= deadline {
            return Err(not_reached(&args, &summary));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn not_reached(args: &Wait, summary: &NodeSummary) -> Failure {
    let mut cause = format!("waiting for node {} to be {}: it is {}", args.name, args.state, summary.state);
    if let Some(step) = summary.step {
        cause.push_str(&format!(", {}", step.title()));
    }
    if let Some(failure) = &summary.failure {
        cause.push_str(&format!(" ({failure})"));
    }
    let failure = Failure::new(Code::WrongState, cause);
    match summary.missing.first() {
        Some(missing) => failure.with_remedy(format!("it needs {}", missing.text)),
        None => failure.with_remedy(format!("boot-server describe node {}", args.name)),
    }
}

/// The name of a node; what is none is refused before anybody is asked.
pub fn checked(name: &str) -> Result<NodeName> {
    name.parse().map_err(|error| Failure::new(Code::Input, format!("reading the node's name: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_passed_has_been_reached() {
        assert!(reached(NodeState::Ready, NodeState::Installed));
        assert!(!reached(NodeState::Installing, NodeState::Installed));
        assert!(!reached(NodeState::Failed, NodeState::Installed));
        assert!(reached(NodeState::Failed, NodeState::Failed));
    }

    #[test]
    fn no_name_leads_out_of_its_path() {
        assert!(checked("../tokens").is_err());
        assert_eq!(checked("n1").unwrap().as_str(), "n1");
    }
}
