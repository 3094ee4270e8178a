//! `initrd-agent inventory`

use std::process::ExitCode;

/// Print the hardware as JSON.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: &Args) -> ExitCode {
    ExitCode::SUCCESS
}
