//! What a report says of the node itself.

use hardware::efi;
use nix::sys::utsname::uname;
use protocol::{encoding::Sha256, names::StorePath, report::Versions};
use std::fs;

/// Releases of the agent, the kernel and the system.
pub fn versions() -> Versions {
    let kernel = uname().map(|name| name.release().to_string_lossy().into_owned());
    Versions {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel.unwrap_or_default(),
        system: fs::read_link("/run/current-system").ok().and_then(|path| path.to_str()?.parse::<StorePath>().ok()),
    }
}

/// Tells one boot from another.
pub fn boot_id() -> Option<Sha256> {
    fs::read("/proc/sys/kernel/random/boot_id").ok().map(|bytes| Sha256::of(&bytes))
}

/// The UEFI boot order, descriptions in order; empty on BIOS. A report is not held up by what cannot be read.
pub fn boot_order() -> Vec<String> {
    efi::found().unwrap_or_else(|failure| {
        tracing::warn!(code = failure.code.as_str(), "{}", failure.cause);
        Vec::new()
    })
}
