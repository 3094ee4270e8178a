//! The command line. Each subcommand's arguments stand beside its code.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    /// Print the hardware as JSON
    Inventory(crate::inventory::cli::Args),
    /// The closure engine alone
    #[command(subcommand)]
    Closure(crate::closure::cli::Command),
    /// Join a cluster (in the installed system)
    Join(crate::join::cli::JoinArgs),
    /// Check the health of the cluster's services on this node
    HealthCheck(crate::join::cli::HealthArgs),
}

/// Parses the command line and runs it.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Inventory(args) => crate::inventory::cli::run(&args),
        Command::Closure(command) => crate::closure::cli::run(command),
        Command::Join(args) => crate::join::cli::join(&args),
        Command::HealthCheck(args) => crate::join::cli::health_check(&args),
    }
}

/// Prints a failure the way every command does: code and cause, then the remedy.
pub fn print_failure(failure: &protocol::Failure) {
    eprintln!("{failure}\n  remedy: {}", failure.remedy);
}
