//! SHA256SUMS: what every file of a backup must be.

use super::SUMS;
use crate::base::hashing;
use protocol::{
    Code, Failure,
    encoding::Sha256,
    failure::{OrFail, Result},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A backup has a handful of files.
const MOST_FILES: usize = 10_000;

/// Every regular file below the folder, by its path within, the sums themselves left out.
///
/// # Errors
/// `E-SYSTEM`; `E-INPUT` for a link, a device or far too many files.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inside) = open.pop() {
        let dir = folder.join(&inside);
        let activity = || format!("listing {}", dir.display());
        for entry in std::fs::read_dir(&dir).or_fail(Code::System, activity)? {
            let entry = entry.or_fail(Code::System, activity)?;
            let (kind, path) = (entry.file_type().or_fail(Code::System, activity)?, inside.join(entry.file_name()));
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            } else {
                let cause = format!("reading {}: it is neither a file nor a folder", folder.join(path).display());
                return Err(Failure::new(Code::Input, cause).with_remedy("take it out of the backup"));
            }
            if found.len() > MOST_FILES {
                return Err(Failure::new(Code::Input, format!("reading {}: too many files", folder.display())));
            }
        }
    }
    found.retain(|path| path != Path::new(SUMS));
    found.sort();
    Ok(found)
}

/// The text of SHA256SUMS for the folder as it is.
///
/// # Errors
/// As [`files_below`] and [`hashing::of_file`].
pub fn write(folder: &Path) -> Result<String> {
    let line = |path: PathBuf| Ok(format!("{}  {}\n", hashing::of_file(&folder.join(&path))?.hex(), path.display()));
    files_below(folder)?.into_iter().map(line).collect()
}

/// Path and SHA-256 of each line: a pure function over untrusted text.
///
/// # Errors
/// `E-INPUT` with the number of the line.
pub fn parse(text: &str) -> Result<BTreeMap<PathBuf, Sha256>> {
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = || Failure::new(Code::Input, format!("reading {SUMS}, line {}: not HASH  PATH", number + 1));
        let (hash, path) = line.split_once("  ").ok_or_else(wrong)?;
        let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        let path = Path::new(path);
        if path.as_os_str().is_empty() || !path.components().all(plain) {
            return Err(wrong());
        }
        sums.insert(path.to_owned(), hash.parse().map_err(|_| wrong())?);
    }
    Ok(sums)
}

/// Whether the folder is what its sums say, to the last file.
///
/// # Errors
/// `E-INPUT` with the first file that is missing, strange or changed.
pub fn check(folder: &Path) -> Result<()> {
    let path = folder.join(SUMS);
    let text = std::fs::read_to_string(&path).or_fail(Code::Input, || format!("reading {}", path.display()))?;
    let sums = parse(&text)?;
    let found = files_below(folder)?;
    let damaged = |path: &Path, what: &str| {
        Failure::new(Code::Input, format!("checking {}: {what}", folder.join(path).display()))
            .with_remedy("this backup is not whole: take another one")
    };
    if let Some(strange) = found.iter().find(|path| !sums.contains_key(*path)) {
        return Err(damaged(strange, &format!("{SUMS} does not name it")));
    }
    for (path, sum) in &sums {
        if !found.contains(path) {
            return Err(damaged(path, "it is missing"));
        }
        if hashing::of_file(&folder.join(path))? != *sum {
            return Err(damaged(path, "it has changed since the backup"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_folder_is_whole_until_a_byte_or_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::create_dir(dir.join("server")).unwrap();
        std::fs::write(dir.join("server/a"), "a").unwrap();
        std::fs::write(dir.join("b"), "b").unwrap();
        std::fs::write(dir.join(SUMS), write(dir).unwrap()).unwrap();
        check(dir).unwrap();
        std::fs::write(dir.join("c"), "c").unwrap();
        assert!(check(dir).unwrap_err().cause.contains("does not name it"));
        std::fs::remove_file(dir.join("c")).unwrap();
        std::fs::write(dir.join("b"), "B").unwrap();
        assert!(check(dir).unwrap_err().cause.contains("has changed"));
        std::fs::remove_file(dir.join("b")).unwrap();
        assert!(check(dir).unwrap_err().cause.contains("is missing"));
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let hash = "0".repeat(64);
        for wrong in ["/etc/passwd", "../x", "a/../../x", ""] {
            assert!(parse(&format!("{hash}  {wrong}\n")).is_err(), "{wrong}");
        }
        assert_eq!(parse(&format!("{hash}  server/ca.key\n")).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }
    }
}
