//! Installs the closure's boot loader, as nixos-install does, and reads back that it is there.

mod chroot;
mod read_back;

use chroot::Chroot;
use disk::target_dev::{Asked, TargetDev};
use host::command;
use protocol::{Code, Failure, failure::Result, inventory::Firmware, names::StorePath};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const SYSTEM: &str = "/nix/var/nix/profiles/system";
/// Where the target's /dev is put together.
const DEV: &str = "/run/centra-target-dev";
/// Activation is scripts of the operator; the boot loader's installer may write to slow disks.
const ACTIVATION: Duration = Duration::from_secs(600);
const INSTALLER: Duration = Duration::from_secs(1800);

/// Activates the system in a chroot, runs its `bin/switch-to-configuration boot`, and checks that an entry
/// for `toplevel` is there. The programs see these disks and no other.
///
/// # Errors
/// `E-BOOT-LOADER` with the end of the program's output, or where no entry names the system.
pub fn install(root: &Path, toplevel: &StorePath, firmware: Firmware, disks: &[Asked<'_>]) -> Result<PathBuf> {
    let dev = TargetDev::stage(Path::new(DEV), disks)?;
    // nixos-enter goes on after a failed activation, too: parts of it need services that do not run here.
    let activate = format!("{SYSTEM}/activate");
    let enter = [("IN_NIXOS_ENTER", "1")];
    match run_in(target(root, firmware, &dev)?, &activate, &[], &enter, ACTIVATION) {
        Ok(output) => log("activate", &output),
        Err(failure) => tracing::warn!("activating the system on the target: {failure}"),
    }
    let switch = format!("{SYSTEM}/bin/switch-to-configuration");
    let bootloader = [("NIXOS_INSTALL_BOOTLOADER", "1")];
    let output = run_in(target(root, firmware, &dev)?, &switch, &["boot"], &bootloader, INSTALLER)
        .map_err(|failure| Failure::new(Code::BootLoader, failure.cause))?;
    log("switch-to-configuration", &output);
    read_back::entry_for(root, toplevel)
}

fn log(program: &str, output: &command::Output) {
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        tracing::info!("{program}: {line}");
    }
}

/// The target with the kernel's file systems.
fn target(root: &Path, firmware: Firmware, dev: &TargetDev) -> Result<Chroot> {
    let chroot = Chroot::new(root)?
        .with(root, "sysfs", "sys", None)?
        .with_folder(root, dev.path(), "dev")?
        .with(root, "tmpfs", "run", None)?
        .with(root, "tmpfs", "tmp", Some("mode=1777"))?;
    match firmware {
        Firmware::Uefi => chroot.with(root, "efivarfs", "sys/firmware/efi/efivars", None),
        Firmware::Bios => Ok(chroot),
    }
}

/// Runs a program of the target.
fn run_in(
    target: Chroot,
    program: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
    limit: Duration,
) -> Result<command::Output> {
    let path = format!("{SYSTEM}/sw/bin:{SYSTEM}/sw/sbin:/run/current-system/sw/bin");
    let usual = [("PATH", path.as_str()), ("HOME", "/root"), ("TMPDIR", "/tmp")];
    target.run(program, arguments, &[&usual, variables].concat(), limit)
}
