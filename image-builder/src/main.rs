//! Makes boot images: a kernel, and an initrd of agent, trust anchors, modules and tools, the same byte for
//! byte whenever the inputs are the same. Needs no root.

// host::say! and its like do not panic where the reader has gone.
#![warn(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge them"))]

mod build;
mod cli;
mod command;
mod cpio;
mod deploy;
mod elf;
mod kernel;
mod libraries;
mod modules;
mod overlay;
mod profile;
mod store;
mod tree;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
