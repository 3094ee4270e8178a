//! Installations onto RAID, LUKS with LVM, and btrfs subvolumes: each boots from its disks alone afterwards.

use crate::install::PATIENCE;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    command::{command, output},
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

/// The key of the encrypted disk, and another secret of the node.
const KEY: &str = "not in any log";
const PSK: &str = "hunter2 on the encrypted root";

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
        let secret = |name: &str, content: &str| json!({ "path": format!("/etc/nixos/secrets/{name}"), "mode": "0400", "content": content });
        let secrets = json!([secret("initrd/disk.key", KEY), secret("psk", PSK)]);
        let mut machine = install(lab, "install-luks-lvm", &["main"], &["/:LABEL=system:"], &secrets)?;
        boots_alone(lab, &mut machine)?;
        let disk = &machine.disks[0];
        ensure!(disk.mentions("LUKS")?, "what is on the disk is found");
        // The key that the operator wanted in `initrd` lies packed beside the kernel, for stage 1; that is not in the clear, either.
        for text in [KEY, PSK, "PRIVATE KEY"] {
            ensure!(!disk.mentions(text)?, "{text:?} is on the disk in the clear");
        }
        // Console, log, database: all that this installation has left, beside the file that the operator applied.
        for text in [KEY, PSK] {
            let found = output(
                command("sh", ["-c", "grep -raoF -e \"$1\" --exclude='*.raw' --exclude=apply.json \"$0\" || :"])
                    .arg(lab.dir())
                    .arg(text),
            )?;
            ensure!(found.is_empty(), "{text:?} is in {found}");
        }
        nothing_secret_in_the_image(lab)
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

/// Nothing of what the server keeps to itself is in what it gives to everybody.
fn nothing_secret_in_the_image(lab: &Lab) -> Result<()> {
    let site = &lab.server.dir;
    let images = site.join("images");
    let mut kept = vec![KEY.to_owned(), PSK.to_owned()];
    for name in ["manifest.key", "secrets.key", "admin.token", "issuing.key", "ca.key"] {
        let text = fs::read_to_string(site.join(name)).with_context(|| format!("reading {name}"))?;
        // Of a key in PEM the first line of its base64 is as good as all of it.
        kept.extend(text.lines().find(|line| !line.starts_with('-') && line.len() > 20).map(str::to_owned));
    }
    // The initrd and the overlays are compressed; the rest is read as it is.
    let read = "find \"$0\" -type f | while read -r file; do zstd -qdc \"$file\" 2>/dev/null || cat \"$file\"; done";
    let read = output(command("sh", ["-c", read]).arg(&images))?;
    let has = |text: &str| read.contains(text);
    ensure!(has("ca_spki_sha256"), "the initrd was read: it has trust.json");
    for secret in &kept {
        ensure!(!has(secret), "{secret:?} is in the images");
    }
    Ok(())
}

#[test]
fn a_system_on_btrfs_subvolumes_boots() {
    lab::test("btrfs", Admission::OpenLab, |lab| {
        let mounts = ["/:LABEL=system:subvol=/root", "/nix:LABEL=system:subvol=/nix,compress=zstd"];
        let mut machine = install(lab, "install-btrfs", &["main"], &mounts, &json!([]))?;
        boots_alone(lab, &mut machine)
    });
}
