//! The boot-server's binary.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match boot_server::cli::run(boot_server::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("boot-server: {failure}\n  what to do: {}", failure.remedy);
            ExitCode::FAILURE
        }
    }
}
