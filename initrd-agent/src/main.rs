//! One static binary: PID 1 of the installer's initrd, the disk and closure engines on their own, and
//! the first-boot joiner of the installed system.

// host::say! and its like do not panic where the reader has gone.
#![warn(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge them"))]

mod boot;
mod boot_server;
mod bootloader;
mod cli;
mod console;
mod init;
mod kernel_log;
mod overlay;
mod renew;
mod sealed;
mod signature;

use std::process::ExitCode;

fn main() -> ExitCode {
    end_on_panic();
    if let Some(module) = cli::modprobe::asked_for(std::env::args_os()) {
        return cli::modprobe::answer(module);
    }
    // The node's key and its secrets are in the memory of the agent and the joiner.
    host::memory::dump_nothing();
    if std::process::id() == 1 {
        init::run();
    }
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    bound_heaps();
    cli::run()
}

/// A panic in any thread is the end of the process, also in a build that unwinds: PID 1 sees it and begins again.
fn end_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
}

/// glibc gives each thread a heap of its own and keeps in each what it held at most; with two heaps an
/// installation takes half of the memory, and no more time.
fn bound_heaps() {
    // SAFETY: a setting of the allocator, made while there is one thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    #[test]
    fn a_panic_in_any_thread_ends_the_process() {
        const INSIDE: &str = "CENTRA_PANICS";
        if std::env::var_os(INSIDE).is_some() {
            super::end_on_panic();
            let _ = std::thread::spawn(|| panic!("on purpose")).join();
            return;
        }
        let own = std::env::current_exe().unwrap();
        let name = "tests::a_panic_in_any_thread_ends_the_process";
        let ended = Command::new(own).args(["--exact", name]).env(INSIDE, "1").output().unwrap();
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
    }
}
