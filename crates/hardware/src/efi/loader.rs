//! Which of the programs on an EFI system partition is the boot loader.

use protocol::{Code, Failure, failure::Result};
use std::{fs, path::Path};

/// What the firmware starts without being told.
const REMOVABLE: &str = "\\EFI\\BOOT\\BOOTX64.EFI";
const SYSTEMD: &str = "\\EFI\\systemd\\systemd-bootx64.efi";
/// Loaders that a system puts into a folder of its own name.
const NAMED: [&str; 3] = ["grubx64.efi", "limine.efi", "limine_x64.efi"];
const LIMINE: &str = "\\EFI\\limine\\";
/// A loader lies in a folder of `EFI`.
const DEPTH: usize = 3;
/// An EFI system partition has dozens of programs; what has more is not read to its end.
const MOST: usize = 10_000;

/// The programs on the partition that is mounted at `root`, as UEFI writes paths.
pub fn programs(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(root, "", DEPTH, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, kind) = (format!("{prefix}\\{name}"), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() && depth > 0 => collect(&entry.path(), &path, depth - 1, found),
            Ok(kind) if kind.is_file() && name.to_ascii_lowercase().ends_with(".efi") && found.len() < MOST => {
                found.push(path);
            }
            _ => {}
        }
    }
}

/// The loader among the programs: the one that firmware starts by itself, else systemd-boot, else the only one that is
/// known to be a loader.
///
/// # Errors
/// `E-BOOT-LOADER` where there is none, or where there are several.
pub fn choose(programs: &[String]) -> Result<&str> {
    let is = |wanted: &'static str| programs.iter().find(|program| program.eq_ignore_ascii_case(wanted));
    if let Some(program) = is(REMOVABLE).or_else(|| is(SYSTEMD)) {
        return Ok(program);
    }
    let is_loader = |program: &&String| {
        let name = program.rsplit('\\').next().unwrap_or_default().to_ascii_lowercase();
        NAMED.contains(&name.as_str()) || program.to_ascii_lowercase().starts_with(&LIMINE.to_ascii_lowercase())
    };
    let loaders: Vec<&String> = programs.iter().filter(is_loader).collect();
    if let [only] = loaders[..] {
        return Ok(only);
    }
    let found: Vec<&str> = loaders.iter().map(|loader| loader.as_str()).collect();
    let cause = match found[..] {
        [] => "looking for the boot loader: there is none on the EFI system partition".to_owned(),
        _ => format!("looking for the boot loader: the EFI system partition has several: {}", found.join(", ")),
    };
    Err(Failure::new(Code::BootLoader, cause).with_remedy(
        "set boot.loader.grub.efiInstallAsRemovable or boot.loader.efi.canTouchEfiVariables in the NixOS configuration, \
         and push its system",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_one_that_is_there() {
        let chosen = |programs: &[&str]| {
            let programs: Vec<String> = programs.iter().map(|program| (*program).to_owned()).collect();
            choose(&programs).map(str::to_owned).map_err(|failure| failure.code)
        };
        let grub = "\\EFI\\NixOS-boot\\grubx64.efi";
        assert_eq!(chosen(&[grub, "\\efi\\boot\\bootx64.efi", SYSTEMD]).as_deref(), Ok("\\efi\\boot\\bootx64.efi"));
        assert_eq!(chosen(&["\\EFI\\nixos\\kernel.efi", SYSTEMD]).as_deref(), Ok(SYSTEMD));
        assert_eq!(chosen(&["\\EFI\\nixos\\kernel.efi", grub]).as_deref(), Ok(grub));
        assert_eq!(chosen(&["\\EFI\\limine\\BOOTX64.EFI"]).as_deref(), Ok("\\EFI\\limine\\BOOTX64.EFI"));
        for none_or_several in [&[][..], &["\\EFI\\Linux\\a.efi"], &[grub, "\\EFI\\other\\grubx64.efi"]] {
            assert_eq!(chosen(none_or_several), Err(Code::BootLoader));
        }
    }

    #[test]
    fn programs_are_written_as_uefi_does() {
        let root = tempfile::tempdir().unwrap();
        for path in ["EFI/BOOT/BOOTX64.EFI", "EFI/a/b/c/too-deep.efi", "EFI/Linux/x.efi", "loader/loader.conf"] {
            fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs::write(root.path().join(path), "").unwrap();
        }
        assert_eq!(programs(root.path()), [REMOVABLE, "\\EFI\\Linux\\x.efi"]);
        assert_eq!(programs(&root.path().join("none")), Vec::<String>::new());
    }
}
