//! The programs and modules that a layout needs, on an ordinary system.

use host::command;
use protocol::{Code, Failure, failure::Result, overlay::ToolSet};
use std::{collections::BTreeSet, ffi::OsStr};

/// On an ordinary system: checks that the programs of the sets are in PATH, and has `modprobe` load the modules.
///
/// A module that does not load is only logged, as a kernel may have it built in and not say so; otherwise the program that
/// needs it will complain.
///
/// # Errors
/// `E-TOOLS` naming the program that is missing.
pub fn ensure_local(sets: &BTreeSet<ToolSet>) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for set in sets {
        if let Some(program) = missing_program(*set, &path) {
            let cause = format!("looking for the {set} tools: {program} is not in PATH");
            let remedy = format!("install them (Debian: {})", set.packages());
            return Err(Failure::new(Code::Tools, cause).with_remedy(remedy));
        }
    }
    for module in sets.iter().flat_map(|set| set.modules()) {
        if let Err(failure) = command::run("modprobe", &["-q", "--", module]) {
            tracing::debug!("{failure}");
        }
    }
    Ok(())
}

/// The first program of a set that is in none of the folders of `path`.
pub fn missing_program(set: ToolSet, path: &OsStr) -> Option<&'static str> {
    set.programs().iter().copied().find(|program| !command::is_on_path(program, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_program_counts_where_it_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        assert_eq!(missing_program(ToolSet::Mdadm, path), Some("mdadm"));
        fs::write(folder.path().join("mdadm"), "").unwrap();
        assert_eq!(missing_program(ToolSet::Mdadm, path), Some("mdadm"));
        fs::set_permissions(folder.path().join("mdadm"), fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(missing_program(ToolSet::Mdadm, path), None);
    }

    #[test]
    fn an_ordinary_system_is_told_which_package_to_install() {
        assert_eq!(ensure_local(&BTreeSet::new()), Ok(()));
        assert_eq!(ensure_local(&[ToolSet::Xfs].into()), Ok(()), "xfsprogs is among the packages that the tests need");
        let failure = ensure_local(&[ToolSet::Bcachefs].into()).unwrap_err();
        assert_eq!((failure.code, failure.remedy.contains("bcachefs-tools")), (Code::Tools, true), "{failure:?}");
    }
}
