//! Programs with the shared libraries they need, at the paths where the dynamic loader looks for them.

use crate::{elf, tree::Tree};
use protocol::{
    Code, Failure,
    failure::{OrFail, Result},
};
use std::path::{Path, PathBuf};

/// Where a loader without a cache looks, on Debian, Fedora and the like. NixOS names its folders in each file.
const SYSTEM_FOLDERS: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// Where programs are looked for, besides PATH (an ordinary user's has no sbin).
const SYSTEM_PATH: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Finds a program by its path, or by its name in PATH and the system's folders.
///
/// # Errors
/// `E-IMAGE` where it is nowhere.
pub fn find_tool(wanted: &str) -> Result<PathBuf> {
    if wanted.contains('/') {
        return Ok(PathBuf::from(wanted));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_PATH.iter().map(PathBuf::from));
    let found = folders.map(|folder| folder.join(wanted)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::new(Code::Image, format!("looking for the tool {wanted}: not in PATH"))
            .with_remedy("install it (Debian: e2fsprogs has mkfs.ext4, dosfstools has mkfs.vfat)")
    })
}

/// Puts a program at `target`, and its interpreter and libraries at their own paths.
///
/// # Errors
/// `E-IMAGE` where a file is missing or is no ELF file.
pub fn add_program(tree: &mut Tree, source: &Path, target: &str) -> Result<()> {
    let bytes = read(source)?;
    let elf = parse(source, &bytes)?;
    let origin = origin(source);
    tree.program(target, bytes);
    let mut waiting: Vec<(PathBuf, elf::Elf)> = vec![(origin, elf)];
    let mut done = std::collections::BTreeSet::new();
    while let Some((origin, elf)) = waiting.pop() {
        let mut found: Vec<PathBuf> = elf.interpreter.iter().map(PathBuf::from).collect();
        for name in &elf.needed {
            found.push(find_library(name, &origin, &elf.search)?);
        }
        for path in found {
            if !done.insert(path.clone()) {
                continue;
            }
            let bytes = read(&path)?;
            waiting.push((self::origin(&path), parse(&path, &bytes)?));
            tree.program(&path.to_string_lossy(), bytes);
        }
    }
    Ok(())
}

/// Puts a library that a program opens while it runs, where this machine has it. It is looked for where the loader
/// will: in the program's folders, the system's and the loader's own.
///
/// # Errors
/// As [`add_program`].
pub fn add_opened_library(tree: &mut Tree, name: &str, program: &Path) -> Result<()> {
    let elf = parse(program, &read(program)?)?;
    let beside_loader = || elf.interpreter.as_ref().map(|loader| origin(Path::new(loader)).join(name));
    let found = find_library(name, &origin(program), &elf.search).ok();
    match found.or_else(beside_loader).filter(|path| path.is_file()) {
        Some(path) => add_program(tree, &path, &path.to_string_lossy()),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).or_fail(Code::Image, || format!("reading {}", path.display()))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<elf::Elf> {
    elf::parse(bytes)
        .ok_or_else(|| Failure::new(Code::Image, format!("reading {}: not a 64-bit ELF file", path.display())))
}

/// `$ORIGIN` of a file.
fn origin(path: &Path) -> PathBuf {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.parent().unwrap_or(Path::new("/")).to_owned()
}

fn find_library(name: &str, origin: &Path, search: &[String]) -> Result<PathBuf> {
    let own = search.iter().map(|folder| {
        let origin = origin.to_string_lossy();
        PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
    });
    let folders = own.chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Failure::new(Code::Image, format!("looking for the library {name}: in no known folder")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_brings_the_libraries_of_its_libraries() {
        let mut tree = Tree::default();
        add_program(&mut tree, &find_tool("mkfs.ext4").unwrap(), "bin/mkfs.ext4").unwrap();
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
        for part in ["bin/mkfs.ext4", "ld-linux-x86-64.so.2", "libc.so.6", "libext2fs.so.2"] {
            assert!(paths.iter().any(|path| path.ends_with(part)), "{part} in {paths:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = find_tool("mkfs.of-no-such-thing").unwrap_err();
        assert_eq!(failure.code, Code::Image);
        let script = tempfile::NamedTempFile::new().unwrap();
        let failure = add_program(&mut Tree::default(), script.path(), "bin/x").unwrap_err();
        assert!(failure.cause.contains("not a 64-bit ELF file"), "{failure}");
        assert!(find_library("libnothing.so.9", Path::new("/"), &[]).is_err());
    }
}
