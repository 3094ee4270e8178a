//! One static binary: PID 1 of the installer's initrd, the disk and closure engines on their own, and
//! the first-boot joiner of the installed system.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge them"))]

mod boot;
mod bootloader;
mod cli;
mod closure;
mod coldplug;
mod command;
mod console;
mod disk;
mod http;
mod init;
mod inventory;
mod join;
mod overlay;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(module) = coldplug::cli::asked_for(std::env::args_os()) {
        return coldplug::cli::answer(module);
    }
    if std::process::id() == 1 {
        init::run();
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    bound_heaps();
    cli::run()
}

/// glibc gives each thread a heap of its own and keeps in each what it held at most; with two heaps an
/// installation takes half of the memory, and no more time.
fn bound_heaps() {
    // SAFETY: a setting of the allocator, made while there is one thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}
