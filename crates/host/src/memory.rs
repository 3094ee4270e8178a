//! What a process with keys in its memory leaves nowhere.

use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};

/// The process leaves no core dump, whoever takes them (the limit does not hold for a pipe of `core_pattern`, the flag does), and no
/// other process of its account reads its memory. What it starts has the limit as well.
///
/// # Errors
/// Where the kernel refuses.
pub fn dumps_nothing() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)
}

/// The same for a program that goes on without it, and says so.
pub fn dump_nothing() {
    if let Err(error) = dumps_nothing() {
        crate::tell!("forbidding core dumps: {error}");
    }
}
