//! Every kind of content, applied one after the other on the same disks, each over what the one before it left.

use crate::transcript::{Transcript, leave};
use anyhow::{Context, Result};
use qemu_tests::{
    command::{command, run},
    disk_lab::{Bus, DiskLab, LabDisk},
    paths,
};
use std::path::PathBuf;

/// Our own layouts and all transcripts.
fn own() -> PathBuf {
    paths::workspace().join("qemu-tests/layouts")
}

/// disko's examples, where they stand beside the checkout.
fn shared() -> Result<Option<PathBuf>> {
    let folder = paths::workspace().join("../shared/disko");
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    let skipped = paths::workspace().join(".ci/skipped");
    run(&mut command(skipped, ["note", "layouts of disko", "../shared/disko is not there"]))?;
    Ok(None)
}

/// Applies our own layouts and disko's, by their names, and says all that went wrong.
fn check(name: &str, disks: &[LabDisk], own_names: &[&str], shared_names: &[&str]) {
    let ours = own_names.iter().map(|name| (own().join(format!("{name}.json")), own().join(format!("{name}.txt"))));
    let mut all: Vec<(PathBuf, PathBuf)> = ours.collect();
    if let Some(folder) = shared().expect("a note of what is skipped") {
        let transcript = |name: &&str| own().join("shared").join(format!("{name}.txt"));
        all.extend(shared_names.iter().map(|name| (folder.join(format!("{name}.json")), transcript(name))));
    }
    let mut lab = DiskLab::boot(name, disks).expect("a laboratory");
    let mut failed = String::new();
    for (layout, transcript) in all {
        let begin = std::time::Instant::now();
        if let Err(error) = check_one(&mut lab, &layout, &transcript) {
            failed.push_str(&format!("{}: {error:#}\n", layout.display()));
        }
        println!("{}: {:.1} s", layout.display(), begin.elapsed().as_secs_f64());
    }
    assert!(failed.is_empty(), "{failed}");
}

fn check_one(lab: &mut DiskLab, layout: &std::path::Path, transcript: &std::path::Path) -> Result<()> {
    let checked = Transcript::read(layout, transcript).and_then(|transcript| transcript.check(lab));
    leave(lab).context("unmounting")?;
    checked
}

#[test]
fn layouts_of_one_disk_are_made_as_disko_documents_them() {
    let disks = [LabDisk::new(Bus::Nvme, "only", 2048)];
    let own = ["simple-efi", "partition-table", "msdos-table", "swap-variants", "nodev", "xfs", "f2fs", "hybrid-mbr"];
    let shared = [
        "simple-efi",
        "hybrid",
        "gpt-bios-compat",
        "gpt-unformatted",
        "legacy-table",
        "negative-size",
        "tmpfs",
        "xfs-with-quota",
        "f2fs",
        "swap",
        "btrfs-subvolumes",
        "luks-interactive-login",
        "luks-lvm",
    ];
    check("one-disk", &disks, &own, &shared);
}

#[test]
fn stacks_over_several_disks_are_made_and_taken_apart_for_the_next() {
    let disks = ["first", "second", "third", "fourth"].map(|serial| LabDisk::new(Bus::Virtio, serial, 1024));
    let own = [
        "luks-lvm",
        "raid1-luks-lvm",
        "raid0-direct",
        "lvm-thin",
        "btrfs-raid1",
        "raid1-luks-lvm",
        "whole-disk",
        "lvm-thin",
    ];
    check("stacks", &disks, &own, &[]);
}

#[test]
fn the_arrays_of_disko_are_made_on_sata_and_scsi_disks() {
    let disks = [
        LabDisk::new(Bus::Ahci, "sata", 2048),
        LabDisk::new(Bus::Scsi, "scsi-1", 2048).wwn(0x5000_c500_0000_0001),
        LabDisk::new(Bus::Scsi, "scsi-2", 2048).wwn(0x5000_c500_0000_0002),
    ];
    let shared = ["boot-raid1", "lvm-raid", "mdadm", "multi-device-no-deps", "with-lib"];
    check("arrays", &disks, &[], &shared);
}

#[test]
fn plans_of_zfs_and_bcachefs_have_the_exact_commands() {
    let disks = ["first", "second", "third", "fourth"].map(|serial| LabDisk::new(Bus::Scsi, serial, 1024));
    check("plans", &disks, &["zfs", "bcachefs"], &["zfs", "zfs-over-legacy"]);
}
