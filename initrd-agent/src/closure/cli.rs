//! `initrd-agent closure ...`

use std::process::ExitCode;

/// The closure engine alone.
#[derive(clap::Subcommand)]
pub enum Command {}

/// Runs the command.
pub fn run(command: Command) -> ExitCode {
    match command {}
}
