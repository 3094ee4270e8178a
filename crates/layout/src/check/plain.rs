//! Values that are what they look like.

use crate::{Nodev, fault::Fault};
use std::collections::BTreeSet;

/// swapon(2) has 15 bits for it; -1 is the kernel's own choice.
const HIGHEST_PRIORITY: i32 = 0x7fff;

/// An absolute path that a line of a plan can show.
///
/// # Errors
/// `E-LAYOUT`.
pub fn path(at: &str, path: &str) -> Result<(), Fault> {
    if !path.starts_with('/') || path.split('/').any(|part| part == ".." || part == ".") {
        return Err(Fault::at(at, "it is not an absolute path without `..`"));
    }
    if path.contains(char::is_control) {
        return Err(Fault::at(at, &format!("{path:?} has a control character")));
    }
    Ok(())
}

/// What a bind mount shows lies on the target.
///
/// # Errors
/// `E-LAYOUT`.
pub fn nodev(at: &str, one: &Nodev) -> Result<(), Fault> {
    let is_bind = one.mount_options.iter().any(|option| option == "bind" || option == "rbind");
    one.device.as_ref().filter(|_| is_bind).map_or(Ok(()), |folder| path(&format!("{at}.device"), folder))
}

/// A file that holds the same bytes each time it is read.
///
/// # Errors
/// `E-LAYOUT`.
pub fn key_file(at: &str, file: &str) -> Result<(), Fault> {
    const NO_FILES: [&str; 3] = ["/dev/", "/proc/", "/sys/"];
    if NO_FILES.iter().any(|folder| file.starts_with(folder)) {
        let why = format!("{file} is no regular file: nobody could be sure to read the same key again");
        return Err(Fault::at(at, &why));
    }
    Ok(())
}

/// A priority of swap space.
///
/// # Errors
/// `E-LAYOUT`.
pub fn priority(at: &str, priority: Option<i32>) -> Result<(), Fault> {
    if priority.is_none_or(|priority| (-1..=HIGHEST_PRIORITY).contains(&priority)) {
        return Ok(());
    }
    Err(Fault::at(&format!("{at}.priority"), "a priority of swap space is from 0 to 32767, or -1"))
}

/// Of subvolumes by their keys, no two are the same path.
///
/// # Errors
/// `E-LAYOUT`.
pub fn each_once<'a>(at: &str, names: impl Iterator<Item = (&'a String, &'a String)>) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (key, name) in names {
        let path = name.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        if !seen.insert(path) {
            return Err(Fault::at(&format!("{at}.subvolumes.{key}"), "another subvolume has this path"));
        }
    }
    Ok(())
}
