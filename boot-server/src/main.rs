//! The boot-server's binary.

use clap::Parser;
use protocol::text::printable;
use std::process::ExitCode;

fn main() -> ExitCode {
    match boot_server::cli::run(boot_server::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What a server or a machine said may be in it.
            eprintln!("{}", printable(&format!("boot-server: {failure}\n  what to do: {}", failure.remedy)));
            ExitCode::FAILURE
        }
    }
}
