//! Reads back that something on the boot partition starts this system.

use protocol::{Code, Failure, failure::Result, names::StorePath};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// Folders that boot loaders read: the ESP's usual mount points, and /boot.
const PLACES: [&str; 3] = ["boot", "efi", "boot/efi"];
/// Text entries are small, unified kernel images are not.
const MAX_FILE: u64 = 256 << 20;
const MAX_DEPTH: usize = 6;

/// The first boot entry (loader entry, grub.cfg, extlinux.conf, unified kernel image) that names the system.
///
/// # Errors
/// `E-BOOT-LOADER` where there is none.
pub fn entry_for(root: &Path, toplevel: &StorePath) -> Result<PathBuf> {
    let needle = toplevel.base().as_bytes();
    let found = PLACES.iter().find_map(|place| search(&root.join(place), needle, MAX_DEPTH));
    found.ok_or_else(|| {
        let cause = format!("reading the boot entries back: none below /boot names {}", toplevel.base());
        Failure::new(Code::BootLoader, cause)
            .with_remedy("enable a boot loader in the NixOS configuration of this node")
    })
}

fn search(folder: &Path, needle: &[u8], depth: usize) -> Option<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let matching = |path: &Path| is_entry(path) && contains(path, needle);
    entries.iter().find_map(|entry| {
        let kind = entry.file_type().ok()?;
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            search(&path, needle, depth - 1)
        } else {
            (kind.is_file() && matching(&path)).then_some(path)
        }
    })
}

/// What a boot loader or the firmware reads as an entry.
fn is_entry(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["conf", "cfg", "efi"].contains(&extension.to_ascii_lowercase().as_str())
}

/// Whether the file has the bytes, in a bounded buffer.
fn contains(path: &Path, needle: &[u8]) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut file = file.take(MAX_FILE);
    let mut buffer = vec![0u8; 64 << 10];
    let mut kept = 0;
    loop {
        let Ok(length) = file.read(&mut buffer[kept..]) else { return false };
        if length == 0 {
            return false;
        }
        let filled = kept + length;
        if buffer[..filled].windows(needle.len()).any(|window| window == needle) {
            return true;
        }
        // The needle may lie across two reads.
        kept = filled.min(needle.len().saturating_sub(1));
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toplevel() -> StorePath {
        "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system".parse().unwrap()
    }

    #[test]
    fn an_entry_that_names_the_system_is_found_across_reads() {
        let root = tempfile::tempdir().unwrap();
        let entries = root.path().join("boot/loader/entries");
        fs::create_dir_all(&entries).unwrap();
        let text = format!("{}options init=/nix/store/{}/init", " ".repeat((64 << 10) - 30), toplevel().base());
        fs::write(entries.join("nixos-generation-1.conf"), text).unwrap();
        assert!(entry_for(root.path(), &toplevel()).unwrap().ends_with("nixos-generation-1.conf"));
    }

    #[test]
    fn a_loader_without_an_entry_for_this_system_is_a_failure() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("boot/grub")).unwrap();
        fs::write(root.path().join("boot/grub/grub.cfg"), "menuentry old {}").unwrap();
        assert_eq!(entry_for(root.path(), &toplevel()).unwrap_err().code, Code::BootLoader);
    }
}
