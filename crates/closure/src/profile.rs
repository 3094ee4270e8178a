//! The system profile: which generation boots, and what the garbage collector keeps.

use protocol::{Code, failure::OrFail, failure::Result, names::StorePath};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::Path,
};

const PROFILES: &str = "nix/var/nix/profiles";
const GCROOTS: &str = "nix/var/nix/gcroots";
/// Where `gcroots/profiles` leads; a path inside the installed system.
const PROFILES_INSIDE: &str = "/nix/var/nix/profiles";

/// Makes `toplevel` the system profile under `root`, as `nix-env --profile system --set` does:
/// a new `system-N-link`, then `system` by rename. The newest generation is kept where it is this one.
///
/// # Errors
/// `E-DISK-IO` where a folder or link cannot be written.
pub fn set_system_profile(root: &Path, toplevel: &StorePath) -> Result<()> {
    let folder = root.join(PROFILES);
    set(root, &folder, toplevel).or_fail(Code::DiskIo, || format!("setting the system profile in {}", folder.display()))
}

fn set(root: &Path, folder: &Path, toplevel: &StorePath) -> io::Result<()> {
    make_folder(folder)?;
    let newest = generations(folder)?.into_iter().max();
    let current = newest.filter(|number| {
        fs::read_link(folder.join(link_name(*number))).is_ok_and(|target| target == Path::new(toplevel.as_str()))
    });
    let number = match current {
        Some(number) => number,
        None => newest.unwrap_or(0) + 1,
    };
    let link = link_name(number);
    if current.is_none() {
        replace_link(folder, &link, toplevel.as_str())?;
    }
    replace_link(folder, "system", &link)?;
    let roots = root.join(GCROOTS);
    make_folder(&roots)?;
    replace_link(&roots, "profiles", PROFILES_INSIDE)?;
    fs::File::open(&roots)?.sync_all()?;
    fs::File::open(folder)?.sync_all()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)
}

fn link_name(number: u64) -> String {
    format!("system-{number}-link")
}

fn generations(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(generation));
    }
    Ok(numbers)
}

/// `system-12-link` is generation 12.
fn generation(name: &str) -> Option<u64> {
    name.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok()
}

/// Puts a link in place in one step: whoever looks sees the old one or the new one.
fn replace_link(folder: &Path, name: &str, target: &str) -> io::Result<()> {
    let temporary = folder.join(format!(".{name}.new"));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &temporary)?;
    fs::rename(&temporary, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::from_base(&format!("0123456789abcdfghijklmnpqrsvwxyz-{name}")).unwrap()
    }

    fn link(root: &Path, name: &str) -> String {
        fs::read_link(root.join(PROFILES).join(name)).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_first_system_is_generation_1_and_setting_it_again_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            set_system_profile(root.path(), &path("a")).unwrap();
            assert_eq!(link(root.path(), "system"), "system-1-link");
            assert_eq!(link(root.path(), "system-1-link"), path("a").as_str());
            assert!(!root.path().join(PROFILES).join("system-2-link").exists());
        }
        let roots = fs::read_link(root.path().join(GCROOTS).join("profiles")).unwrap();
        assert_eq!(roots, Path::new(PROFILES_INSIDE));
    }

    #[test]
    fn another_system_is_the_next_generation_even_after_a_gap() {
        let root = tempfile::tempdir().unwrap();
        set_system_profile(root.path(), &path("a")).unwrap();
        symlink(path("b").as_str(), root.path().join(PROFILES).join("system-12-link")).unwrap();
        set_system_profile(root.path(), &path("c")).unwrap();
        assert_eq!(link(root.path(), "system"), "system-13-link");
        assert_eq!(link(root.path(), "system-1-link"), path("a").as_str());
    }
}
