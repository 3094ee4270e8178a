//! The kernel asks for a module on demand (a file system, a character set, a cipher) by running a program as
//! `modprobe -q -- NAME`. In the initrd that program is the agent.

use std::{ffi::OsString, process::ExitCode};

/// The module that the kernel asks for, where this is the kernel's call.
pub fn asked_by_kernel(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let mut next = || arguments.next()?.into_string().ok();
    let _program = next()?;
    let form = next()? == "-q" && next()? == "--";
    let name = next().filter(|_| form)?;
    arguments.next().is_none().then_some(name)
}

/// Answers the kernel's call; it looks at nothing but whether the module is there afterwards.
pub fn answer_kernel(name: &str) -> ExitCode {
    match super::load(name) {
        Ok(report) if report.failed.is_empty() && !report.loaded.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Option<String> {
        asked_by_kernel(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_kernels_call_is_told_from_a_command_line() {
        assert_eq!(asked(&["/sbin/modprobe", "-q", "--", "fs-vfat"]).as_deref(), Some("fs-vfat"));
        assert_eq!(asked(&["/init", "-q", "--", "nls_cp437"]).as_deref(), Some("nls_cp437"));
        for other in [&["initrd-agent", "inventory"][..], &["modprobe", "-q", "--"], &["x", "-q", "--", "a", "b"], &[]]
        {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }
}
