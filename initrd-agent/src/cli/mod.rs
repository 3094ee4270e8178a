//! The command line. Each subcommand's arguments stand beside its code.

mod closure;
mod disk;
mod inventory;
mod join;
pub mod modprobe;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit code for a command line that makes no sense.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(
    name = "initrd-agent",
    version,
    about = "Installs a NixOS system onto this machine and joins it to its cluster"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install this machine: what PID 1 starts in the initrd
    #[command(hide = true)]
    Boot,
    /// Print the hardware as JSON
    Inventory(inventory::Args),
    /// The disk engine alone
    #[command(subcommand)]
    Disk(disk::Command),
    /// The closure engine alone
    #[command(subcommand)]
    Closure(closure::Command),
    /// Join a cluster (in the installed system)
    Join(join::JoinArgs),
    /// Check the health of the cluster's services on this node
    HealthCheck(join::HealthArgs),
    /// Leave a cluster: another member removes this node
    Leave(join::LeaveArgs),
    /// List the members of a cluster
    Members(join::MembersArgs),
    /// Renew this node's certificate where it is due (in the installed system)
    Renew(join::RenewArgs),
    /// Open this node's key by its TPM (in the installed system)
    Unseal(join::UnsealArgs),
    /// Check the cluster configuration, and contact nobody
    CheckConfig(join::CheckConfigArgs),
}

/// Parses the command line and runs it.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    match cli.command {
        Command::Boot => crate::boot::run(),
        Command::Inventory(args) => inventory::run(&args),
        Command::Disk(command) => disk::run(&command),
        Command::Closure(command) => closure::run(command),
        Command::Join(args) => join::join(&args),
        Command::HealthCheck(args) => join::health_check(&args),
        Command::Leave(args) => join::leave(&args),
        Command::Members(args) => join::members(&args),
        Command::Renew(args) => join::renew(&args),
        Command::Unseal(args) => join::unseal(&args),
        Command::CheckConfig(args) => join::check_config(&args),
    }
}

/// Prints help, or what is wrong with the command line.
fn refused(error: &clap::Error) -> ExitCode {
    // Nobody reads standard error: nothing to be done about it.
    drop(error.print());
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let of_cluster = ["join", "leave", "members", "check-config"];
    let is_of_cluster = arguments.first().is_some_and(|first| of_cluster.iter().any(|verb| first == verb));
    let decides = arguments.iter().any(|argument| argument == "--decide");
    ExitCode::from(if is_of_cluster { join::usage_status(decides) } else { USAGE })
}

/// Prints a failure the way every command does: code and cause, then the remedy.
pub fn print_failure(failure: &protocol::Failure) {
    host::tell!("{failure}\n  remedy: {}", failure.remedy);
}
