//! One static binary: PID 1 of the installer's initrd, the disk and closure engines on their own, and
//! the first-boot joiner of the installed system.

mod cli;
mod closure;
mod coldplug;
mod command;
mod http;
mod inventory;
mod join;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
