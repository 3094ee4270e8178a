//! The files of trust in the folder of a server, and how several of them change at once.
//!
//! What belongs together is written into a folder of its own that gets its name when it is whole. What is to take the place of
//! the files that count is `placing/`: from then on it is what counts, and whoever comes next finishes the copying.

use host::file;
use nix::fcntl::{Flock, FlockArg};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

/// The root's certificate.
pub const ROOT: &str = "ca.crt";
/// Its key, which issuing does not need: it may be kept elsewhere.
pub const ROOT_KEY: &str = "ca.key";
/// The certificate that issues, with what stands between it and the root. A folder of an earlier release has none: there the
/// root issues.
pub const ISSUING: &str = "issuing.crt";
/// Its key.
pub const ISSUING_KEY: &str = "issuing.key";
/// The key that signs manifests.
pub const MANIFEST_KEY: &str = "manifest.key";
/// What images believe.
pub const ANCHORS: &str = "trust.json";

/// The folder of the set to come.
pub const NEXT: &str = "next";
/// The folder of what went before.
pub const OLD: &str = "old";

/// What belongs together.
const SET: [&str; 5] = [ROOT, ROOT_KEY, ISSUING, ISSUING_KEY, MANIFEST_KEY];
/// Takes the place of what counts.
const PLACING: &str = "placing";

/// Folders that the files of trust have below the server's, while something is changing.
pub const FOLDERS: [&str; 3] = [NEXT, OLD, PLACING];

/// What there may be of a rotation that is under way, below the server's folder.
pub fn of_rotation() -> impl Iterator<Item = String> {
    [NEXT, OLD].into_iter().flat_map(|folder| SET.map(|name| format!("{folder}/{name}")))
}

/// The folder of what counts now.
pub fn current(dir: &Path) -> PathBuf {
    Some(dir.join(PLACING)).filter(|placing| placing.exists()).unwrap_or_else(|| dir.to_owned())
}

/// One verb at a time changes the folder.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held")] Flock<File>);

/// Locks the folder, and finishes what was interrupted.
///
/// # Errors
/// `E-WRONG-STATE` where another verb changes it now; `E-SYSTEM`.
pub fn lock(dir: &Path) -> Result<Lock> {
    let opened = File::open(dir).or_fail(Code::Config, || format!("opening {}", dir.display()))?;
    let taken = |_| {
        let cause = format!("changing the CA in {}: another command does so now", dir.display());
        Failure::new(Code::WrongState, cause).with_remedy("try again when it has ended")
    };
    let lock = Flock::lock(opened, FlockArg::LockExclusiveNonblock).map_err(taken)?;
    finish(dir)?;
    Ok(Lock(lock))
}

/// Files that belong together, by name. No `Debug`: keys are among them.
#[derive(Clone, Default)]
pub struct Set(pub BTreeMap<&'static str, String>);

impl Set {
    /// Those of the folder that are there.
    ///
    /// # Errors
    /// `E-CONFIG` with the path.
    pub fn read(dir: &Path) -> Result<Self> {
        let there = SET.into_iter().filter(|name| dir.join(name).exists());
        there.map(|name| Ok((name, file::read_text(&dir.join(name))?))).collect::<Result<_>>().map(Self)
    }

    /// With this file in the place of the one of its name.
    #[must_use]
    pub fn with(mut self, name: &'static str, content: String) -> Self {
        self.0.insert(name, content);
        self
    }

    /// Without this file.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// What is kept of a set that goes: all but what could issue.
    #[must_use]
    pub fn retired(self) -> Self {
        self.without(ROOT_KEY).without(ISSUING).without(ISSUING_KEY)
    }

    /// Writes them to a folder of `dir`, which has its name when all of it is there; what had the name before must be gone.
    ///
    /// # Errors
    /// `E-SYSTEM` with the path.
    pub fn write(&self, dir: &Path, name: &str) -> Result<()> {
        let partial = partial(dir, name);
        remove_folder(&partial)?;
        file::make_private(&partial, false)?;
        for (name, content) in &self.0 {
            file::write_new(&partial.join(name), mode(name), content.as_bytes())?;
            give(dir, &partial.join(name))?;
        }
        give(dir, &partial)?;
        file::sync(&partial)?;
        rename(dir, &partial, &dir.join(name))
    }

    /// Makes them those that count: at once, whenever this is interrupted.
    ///
    /// # Errors
    /// `E-SYSTEM` with the path.
    pub fn place(&self, dir: &Path) -> Result<()> {
        self.write(dir, PLACING)?;
        finish(dir)
    }
}

/// Makes the set of a folder of `dir` the one that counts.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn place(dir: &Path, name: &str) -> Result<()> {
    rename(dir, &dir.join(name), &dir.join(PLACING))?;
    finish(dir)
}

/// Removes a folder of `dir`: it has lost its name before anything in it is gone.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn remove(dir: &Path, name: &str) -> Result<()> {
    let (folder, partial) = (dir.join(name), partial(dir, name));
    remove_folder(&partial)?;
    if folder.exists() {
        rename(dir, &folder, &partial)?;
    }
    remove_folder(&partial)
}

/// Copies what counts to its place.
fn finish(dir: &Path) -> Result<()> {
    let placing = dir.join(PLACING);
    if !placing.exists() {
        return Ok(());
    }
    let set = Set::read(&placing)?;
    for name in SET {
        match set.0.get(name) {
            Some(content) => {
                file::write_atomically(&dir.join(name), content.as_bytes(), mode(name))?;
                give(dir, &dir.join(name))?;
            }
            None => file::remove(&dir.join(name))?,
        }
    }
    file::sync(dir)?;
    remove(dir, PLACING)
}

/// The server may run as another user than the one who runs the command: whose the folder is the file is.
///
/// # Errors
/// `E-SYSTEM` with the path.
pub fn give(dir: &Path, path: &Path) -> Result<()> {
    let activity = || format!("giving {} to the owner of its folder", path.display());
    let (owner, own) =
        (dir.metadata().or_fail(Code::System, activity)?, path.metadata().or_fail(Code::System, activity)?);
    if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    chown(path, Some(owner.uid()), Some(owner.gid())).or_fail(Code::System, activity)
}

fn mode(name: &str) -> u32 {
    if matches!(name, ROOT | ISSUING) { 0o644 } else { 0o600 }
}

fn partial(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.partial"))
}

fn rename(dir: &Path, from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).or_fail(Code::System, || format!("renaming {} to {}", from.display(), to.display()))?;
    file::sync(dir)
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.or_fail(Code::System, || format!("removing {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(mark: &str, names: &[&'static str]) -> Set {
        Set(names.iter().map(|name| (*name, format!("{mark} {name}"))).collect())
    }

    #[test]
    fn a_set_takes_the_place_of_another_wherever_it_is_interrupted() {
        let (old, new) = (set("old", &[ROOT, ROOT_KEY, MANIFEST_KEY]), set("new", &[ROOT, ISSUING, ISSUING_KEY]));
        // The copying, broken off behind each of its files.
        for copied in 0..=SET.len() {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path();
            for (name, content) in &old.0 {
                fs::write(dir.join(name), content).unwrap();
            }
            fs::create_dir(dir.join("placing.partial")).unwrap();
            fs::write(dir.join("placing.partial/ca.crt"), "torn").unwrap();
            assert_eq!(Set::read(&current(dir)).unwrap().0, old.0);
            new.write(dir, PLACING).unwrap();
            for name in &SET[..copied] {
                match new.0.get(name) {
                    Some(content) => fs::write(dir.join(name), content).unwrap(),
                    None => file::remove(&dir.join(name)).unwrap(),
                }
            }
            assert_eq!(Set::read(&current(dir)).unwrap().0, new.0, "{copied} copied");
            drop(lock(dir).unwrap());
            assert_eq!((Set::read(dir).unwrap().0, current(dir)), (new.0.clone(), dir.to_owned()));
            assert_eq!(fs::read_dir(dir).unwrap().count(), 3, "nothing is left");
        }
    }

    #[test]
    fn one_command_at_a_time_changes_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert_eq!(lock(folder.path()).unwrap_err().code, Code::WrongState);
        drop(held);
        assert!(lock(folder.path()).is_ok());
    }
}
