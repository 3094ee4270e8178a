//! What the devices of a sysfs call themselves.

use std::{collections::BTreeSet, fs, path::Path};

/// Deeper than any device stands; a folder that contains itself through a mount would have no end.
const DEEPEST: usize = 40;

/// Longer than any modalias of the kernel's own making.
const LONGEST: usize = 4096;

/// Every modalias below `devices`.
pub fn modaliases(sys: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&sys.join("devices"), DEEPEST, &mut found);
    found
}

fn collect(folder: &Path, depth: usize, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // Not through links: every device has one place where it is a folder.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            collect(&entry.path(), depth - 1, found);
        } else if entry.file_name() == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let text = text.trim();
            if !text.is_empty() && text.len() <= LONGEST {
                found.insert(text.to_owned());
            }
        }
    }
}
