//! Installs the closure's boot loader, as nixos-install does, and reads back that it is there.

mod read_back;

use host::command;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, chroot},
};
use protocol::{Code, Failure, failure::OrFail, failure::Result, inventory::Firmware, names::StorePath};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

const SYSTEM: &str = "/nix/var/nix/profiles/system";

/// Activates the system in a chroot, runs its `bin/switch-to-configuration boot`, and checks that an entry
/// for `toplevel` is there.
///
/// # Errors
/// `E-BOOT-LOADER` with the end of the program's output, or where no entry names the system.
pub fn install(root: &Path, toplevel: &StorePath, firmware: Firmware) -> Result<PathBuf> {
    let _mounts = ChrootMounts::mount(root, firmware)?;
    // nixos-enter goes on after a failed activation, too: parts of it need services that do not run here.
    let activate = format!("{SYSTEM}/activate");
    if let Err(failure) = run_in(root, &activate, &[], &[("IN_NIXOS_ENTER", "1")]) {
        tracing::warn!("activating the system on the target: {failure}");
    }
    let switch = format!("{SYSTEM}/bin/switch-to-configuration");
    let output = run_in(root, &switch, &["boot"], &[("NIXOS_INSTALL_BOOTLOADER", "1")])
        .map_err(|failure| Failure::new(Code::BootLoader, failure.cause))?;
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        tracing::info!("switch-to-configuration: {line}");
    }
    read_back::entry_for(root, toplevel)
}

/// Runs a program of the target with the target as its root.
fn run_in(root: &Path, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<command::Output> {
    let mut command = command::prepare(program, arguments);
    command.env_clear().envs(variables.iter().copied());
    command.env("PATH", format!("{SYSTEM}/sw/bin:{SYSTEM}/sw/sbin:/run/current-system/sw/bin"));
    command.env("HOME", "/root").env("TMPDIR", "/tmp");
    let root = std::ffi::CString::new(root.as_os_str().as_bytes()).or_fail(Code::Internal, || "naming the target")?;
    enter(&mut command, root);
    command::run_command(command, None)
}

fn enter(command: &mut Command, root: std::ffi::CString) {
    let enter = move || {
        chroot(root.as_c_str())?;
        chdir(c"/")?;
        Ok(())
    };
    // SAFETY: between fork and exec only the system calls chroot and chdir are made, on memory made before.
    unsafe { command.pre_exec(enter) };
}

/// The kernel's file systems below the target; unmounted on drop.
struct ChrootMounts {
    targets: Vec<PathBuf>,
}

impl ChrootMounts {
    fn mount(root: &Path, firmware: Firmware) -> Result<Self> {
        let mut mounts = Self { targets: Vec::new() };
        mounts.add("proc", root, "proc")?;
        mounts.add("sysfs", root, "sys")?;
        mounts.add("devtmpfs", root, "dev")?;
        mounts.add("tmpfs", root, "run")?;
        mounts.add("tmpfs", root, "tmp")?;
        if firmware == Firmware::Uefi {
            mounts.add("efivarfs", root, "sys/firmware/efi/efivars")?;
        }
        Ok(mounts)
    }

    fn add(&mut self, kind: &str, root: &Path, at: &str) -> Result<()> {
        let target = root.join(at);
        let activity = || format!("mounting {kind} at {}", target.display());
        if !target.exists() {
            fs::create_dir_all(&target).or_fail(Code::DiskIo, activity)?;
        }
        let data = if at == "tmp" { Some(OsStr::new("mode=1777")) } else { None };
        mount(Some(kind), &target, Some(kind), MsFlags::empty(), data).or_fail(Code::System, activity)?;
        self.targets.push(target);
        Ok(())
    }
}

impl Drop for ChrootMounts {
    fn drop(&mut self) {
        for target in self.targets.drain(..).rev() {
            // Activation may have mounted more below; detaching takes that along.
            let _ = umount2(&target, MntFlags::MNT_DETACH);
        }
    }
}
