//! The kernel asks for a module on demand (a file system, a character set, a cipher) by running a program as
//! `modprobe -q -- NAME`, and LVM for the target of a volume by `modprobe NAME`. In the initrd that program is the agent.

use hardware::coldplug;
use std::{ffi::OsString, path::Path, process::ExitCode};

/// The module that is asked for, where this is such a call. The kernel's may come under any name of the program.
pub fn asked_for(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let program = arguments.next()?;
    let arguments: Vec<String> = arguments.map(|argument| argument.into_string().ok()).collect::<Option<_>>()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_modprobe = Path::new(&program).file_name().is_some_and(|name| name == "modprobe");
    match words[..] {
        ["-q", "--", name] => Some(name.to_owned()),
        // With an option it may be to remove the module, or only to look for it.
        [name] if is_modprobe && !name.starts_with('-') => Some(name.to_owned()),
        _ => None,
    }
}

/// Answers the call; whoever called looks at nothing but whether the module is there afterwards.
pub fn answer(name: String) -> ExitCode {
    match coldplug::load(&[name]) {
        Ok(missing) if missing.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Option<String> {
        asked_for(arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_call_for_a_module_is_told_from_a_command_line() {
        assert_eq!(asked(&["/sbin/modprobe", "-q", "--", "fs-vfat"]).as_deref(), Some("fs-vfat"));
        assert_eq!(asked(&["/init", "-q", "--", "nls_cp437"]).as_deref(), Some("nls_cp437"));
        assert_eq!(asked(&["/sbin/modprobe", "dm-thin-pool"]).as_deref(), Some("dm-thin-pool"));
        for other in [
            &["initrd-agent", "inventory"][..],
            &["modprobe", "-q", "--"],
            &["modprobe", "-r", "ext4"],
            &["modprobe", "--version"],
            &["x", "-q", "--", "a", "b"],
            &["modprobe"],
            &[],
        ] {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }
}
