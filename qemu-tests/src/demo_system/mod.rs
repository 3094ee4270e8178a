//! The demo system: a NixOS-shaped closure of Debian packages, made by real Nix, signed, in a static binary cache.
//!
//! `demo-system/system.nix` says what it is; this gathers its inputs and runs Nix on them. Everything is kept in the
//! cache folder, so that a second run takes a moment.

pub(crate) mod linux;
mod nix;
mod packages;

use crate::{command::sh, paths};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A system that can be installed.
#[derive(Debug, Clone)]
pub struct DemoSystem {
    /// Store path of the toplevel.
    pub toplevel: String,
    /// All store paths that it needs, itself included.
    pub closure: Vec<String>,
    /// A static binary cache that holds them.
    pub binary_cache: PathBuf,
    /// `name:base64`, the key that signed them.
    pub public_key: String,
    /// Release of the kernel, also for the boot image.
    pub kernel: linux::Kernel,
    /// Busybox, static.
    pub busybox: PathBuf,
}

/// What is asked of Debian; the rest comes by Depends.
const WANTED: &[&str] = &[
    "bash",
    "busybox-static",
    "coreutils",
    "etcd-client",
    "etcd-server",
    "grub-pc-bin",
    "grub2-common",
    "iproute2",
    "kmod",
    "mount",
    "procps",
    "systemd",
    "systemd-boot-efi",
    "udev",
    "util-linux",
];

/// The packages of the tools that open a stack in stage 1.
const STAGE_1: &[&str] =
    &["btrfs-progs", "cryptsetup-bin", "libgcc-s1", "libtss2-esys-3.0.2-0", "libtss2-rc0", "lvm2", "mdadm", "systemd"];

/// What a variant alone is made of.
const VARIANTS: &[&str] = &["grub-efi-amd64-bin"];

/// What kind of node the system is for.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// A member of etcd, its root ext4 on the partition that disko names `disk-main-root`.
    Plain,
    /// The same with file systems on stacks of RAID, LUKS, LVM and btrfs: `MOUNTPOINT:DEVICE:OPTIONS`, as
    /// `boot/stage-1.sh` has it.
    Stacked(&'a [&'a str]),
    /// As stacked, without a key in stage 1: systemd's own tools ask the TPM for it.
    Sealed(&'a [&'a str]),
    /// As plain, with the GRUB of NixOS's defaults where the firmware is UEFI, and not systemd-boot.
    EfiGrub,
    /// Chainfire, FlareDB and IAM on one node, played by this program.
    AllInOne(&'a Path),
}

/// Builds the demo system with this agent inside, or finds it built.
///
/// # Errors
/// A tool is missing or fails; its own words are in the error.
pub fn build(agent: &Path, kind: Kind) -> Result<DemoSystem> {
    // The folder of inputs is shared.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = paths::cache()?;
    let inputs = cache.join("inputs");
    let busybox = busybox()?;
    let kernel = linux::Kernel::of_this_host()?;
    let linux = if matches!(kind, Kind::Stacked(_) | Kind::Sealed(_)) { linux::STACKED } else { &[] };
    kernel.copy_modules(linux, &inputs.join(if linux.is_empty() { "linux" } else { "linux-stacked" }))?;
    let (link, options) = match kind {
        Kind::Plain => ("demo-system", Vec::new()),
        Kind::Stacked(mounts) => ("demo-system-stacked", stacked(mounts, false)),
        Kind::Sealed(mounts) => ("demo-system-sealed", stacked(mounts, true)),
        Kind::EfiGrub => ("demo-system-efi-grub", vec![("efiGrub", "true".to_owned())]),
        Kind::AllInOne(peer) => ("demo-system-all-in-one", vec![("peer", peer.display().to_string())]),
    };

    let store = nix::Store::open(&cache)?;
    let expression = paths::workspace().join("qemu-tests/demo-system/system.nix");
    let toplevel = store.build(&expression, &inputs, agent, &options, link)?;
    let closure = store.requisites(&toplevel)?;
    let key = store.signing_key()?;
    let binary_cache = cache.join("binary-cache");
    store.push(&toplevel, &binary_cache, &key)?;
    Ok(DemoSystem { toplevel, closure, binary_cache, public_key: key.public, kernel, busybox })
}

/// How `system.nix` is told.
fn stacked(mounts: &[&str], sealed: bool) -> Vec<(&'static str, String)> {
    let mounts: String = mounts.iter().map(|mount| format!("{mount:?} ")).collect();
    vec![("stacked", "true".to_owned()), ("sealed", sealed.to_string()), ("mounts", format!("[ {mounts}]"))]
}

/// Static busybox, of the packages of the demo system.
///
/// # Errors
/// They cannot be downloaded or unpacked.
pub fn busybox() -> Result<PathBuf> {
    let inputs = paths::cache()?.join("inputs");
    fs::create_dir_all(&inputs).with_context(|| format!("creating {}", inputs.display()))?;
    packages::gather(WANTED, STAGE_1, VARIANTS, &inputs)?;
    unpack_busybox(&inputs)?;
    Ok(inputs.join("busybox/bin/busybox"))
}

/// Static busybox with a link per applet: builder of every derivation and tool of the boot scripts.
fn unpack_busybox(inputs: &Path) -> Result<()> {
    let target = inputs.join("busybox");
    if target.join("bin/sh").exists() {
        return Ok(());
    }
    let debs = inputs.join("debs");
    let deb = fs::read_dir(&debs)
        .with_context(|| format!("reading {}", debs.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("busybox-static_")))
        .context("busybox-static is not among the packages")?;
    let unpacked = tempfile::tempdir_in(inputs)?;
    sh(&["dpkg-deb", "-x", &deb.to_string_lossy(), &unpacked.path().to_string_lossy()])?;

    let building = tempfile::tempdir_in(inputs)?;
    let bin = building.path().join("bin");
    fs::create_dir(&bin)?;
    let busybox = bin.join("busybox");
    fs::copy(unpacked.path().join("bin/busybox"), &busybox).context("copying busybox")?;
    let applets = crate::command::output(&mut crate::command::command(&busybox, ["--list"]))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", bin.join(applet)).with_context(|| format!("linking {applet}"))?;
    }
    let _ = fs::remove_dir_all(&target);
    fs::rename(building.keep(), &target).with_context(|| format!("moving busybox to {}", target.display()))
}
