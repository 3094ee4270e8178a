//! Installations onto RAID, LUKS with LVM, and btrfs subvolumes: each boots from its disks alone afterwards.

use crate::install::PATIENCE;
use anyhow::{Context, Result};
use qemu_tests::{
    demo_system::{self, Kind},
    disk::Disk,
    lab::{self, Lab},
    machine::{BootFrom, Firmware, Machine},
    node, paths,
    server::Admission,
    swtpm::Chip,
};
use serde_json::{Value, json};
use std::fs;

/// A layout of ours.
fn layout(name: &str) -> Result<Value> {
    let file = paths::workspace().join(format!("qemu-tests/layouts/{name}.json"));
    Ok(serde_json::from_slice(&fs::read(&file).with_context(|| format!("reading {name}"))?)?)
}

/// Installs a layout of ours onto disks named as the layout names them; stage 1 mounts `mounts`.
fn install(lab: &mut Lab, name: &str, names: &[&str], mounts: &[&str], secrets: &Value) -> Result<Machine> {
    let system = demo_system::build(&paths::binary("initrd-agent")?, Kind::Stacked(mounts))?;
    let devices = layout(name)?;
    let disks = names.iter().map(|name| Disk::create(lab.dir(), name, 1024)).collect::<Result<Vec<_>>>()?;
    let mut machine = lab.machine_with(Firmware::Uefi, disks)?;
    machine.memory = 1024;
    let mut spec = node::spec("node-01", &machine, &system);
    spec["disks"]["devices"] = devices;
    spec["disks"]["select"] = names.iter().map(|name| ((*name).to_owned(), json!({ "serial": name }))).collect();
    spec["secrets"] = secrets.clone();
    lab.server.apply(&lab.network, &spec)?;
    machine.power_on(&lab.network, BootFrom::Script)?;
    lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
    machine.cut_power()?;
    Ok(machine)
}

fn boots_alone(lab: &Lab, machine: &mut Machine) -> Result<()> {
    machine.power_on(&lab.network, BootFrom::DiskAlone)?;
    machine.wait_console(&["login:"], PATIENCE)?;
    machine.cut_power()?;
    Ok(())
}

#[test]
fn a_mirror_boots_from_either_disk_with_the_other_one_pulled() {
    lab::test("raid1", Admission::OpenLab, |lab| {
        let mut machine = install(lab, "install-raid1", &["one", "two"], &["/:LABEL=system:"], &json!([]))?;
        let both = machine.disks.clone();
        for left in &both {
            machine.disks = vec![left.clone()];
            boots_alone(lab, &mut machine).with_context(|| format!("from disk {} alone", left.serial))?;
        }
        Ok(())
    });
}

#[test]
fn an_encrypted_system_boots_with_the_key_of_its_manifest() {
    lab::test("luks-lvm", Admission::OpenLab, |lab| {
        let key =
            json!([{ "path": "/etc/nixos/secrets/initrd/disk.key", "mode": "0400", "content": "not in any log" }]);
        let mut machine = install(lab, "install-luks-lvm", &["main"], &["/:LABEL=system:"], &key)?;
        boots_alone(lab, &mut machine)
    });
}

/// The server has drawn the key that a person would have, and no person and no file of the disk has it.
#[test]
fn a_root_sealed_to_the_tpm_boots_alone_and_does_not_open_beside_another_chip() {
    lab::test("sealed", Admission::OpenLab, |lab| {
        let system = demo_system::build(&paths::binary("initrd-agent")?, Kind::Sealed(&["/:LABEL=system:"]))?;
        let mut machine = lab.machine_with(Firmware::Uefi, vec![Disk::create(lab.dir(), "main", 1024)?])?;
        machine.memory = 1024;
        let mut spec = node::spec("node-01", &machine, &system);
        let mut devices = layout("install-luks-lvm")?;
        let luks = &mut devices["disk"]["main"]["content"]["partitions"]["luks"]["content"];
        luks["settings"] = json!({ "crypttabExtraOpts": ["tpm2-device=auto", "tpm2-pcrs=7"] });
        luks["passwordFile"] = json!("/tmp/disk.key");
        spec["disks"]["devices"] = devices;
        spec["disks"]["select"] = json!({ "main": { "serial": "main" } });
        lab.server.ask(&lab.network, &["secret", "generate", "node-01", "/tmp/disk.key"])?;
        lab.server.apply(&lab.network, &spec)?;

        machine.tpm = Some(Chip::blank(&lab.dir().join("chip"))?);
        machine.power_on(&lab.network, BootFrom::Script)?;
        machine.wait_console(&["seal a key of /dev/vda2 to the TPM (PCR 7)"], PATIENCE)?;
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
        machine.cut_power()?;
        boots_alone(lab, &mut machine)?;

        machine.tpm = Some(Chip::blank(&lab.dir().join("another chip"))?);
        machine.power_on(&lab.network, BootFrom::DiskAlone)?;
        machine.wait_console(&["the TPM does not open /dev/vda2"], PATIENCE)?;
        machine.cut_power()
    });
}

#[test]
fn a_system_on_btrfs_subvolumes_boots() {
    lab::test("btrfs", Admission::OpenLab, |lab| {
        let mounts = ["/:LABEL=system:subvol=/root", "/nix:LABEL=system:subvol=/nix,compress=zstd"];
        let mut machine = install(lab, "install-btrfs", &["main"], &mounts, &json!([]))?;
        boots_alone(lab, &mut machine)
    });
}
