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
    if let Some(module) = coldplug::cli::asked_by_kernel(std::env::args_os()) {
        return coldplug::cli::answer_kernel(&module);
    }
    cli::run()
}
