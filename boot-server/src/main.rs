//! The boot-server's binary.

// host::say! and its like do not panic where the reader has gone.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use protocol::text::printable;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The server and many a verb have keys in their memory.
    host::memory::dump_nothing();
    match boot_server::cli::run(boot_server::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What a server or a machine said may be in it.
            host::tell!("{}", printable(&format!("boot-server: {failure}\n  what to do: {}", failure.remedy)));
            ExitCode::FAILURE
        }
    }
}
