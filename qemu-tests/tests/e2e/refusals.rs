//! What is not signed by those whom the image trusts, or is not what it says, never becomes a system that boots.

use crate::{approval::pending_code, install::PATIENCE};
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    command::sh,
    lab::{self, Lab},
    machine::{BootFrom, Firmware},
    node,
    server::{Admission, Server},
};
use std::fs;

/// Whether a failed installation may have written to the disk at all.
#[derive(PartialEq)]
enum Disk {
    Untouched,
    WithoutBootLoader,
}

/// Installs with a spec that must fail, waits for this code on the console, and looks at the disk.
fn refused(lab: &mut Lab, code: &str, disk: &Disk, change: impl FnOnce(&mut serde_json::Value)) -> Result<()> {
    let mut machine = lab.machine(Firmware::Bios)?;
    let mut spec = node::spec("node-01", &machine, &lab.prepared.system);
    change(&mut spec);
    let before = machine.disks[0].digest()?;
    lab.server.apply(&lab.network, &spec)?;
    machine.power_on(&lab.network, BootFrom::Script)?;
    machine.wait_console(&[code], PATIENCE)?;
    machine.switch_off()?;
    ensure!(!machine.disks[0].has_boot_code()?, "there is a boot loader on the disk");
    let untouched = machine.writes() == 0 && machine.disks[0].digest()? == before;
    ensure!(*disk != Disk::Untouched || untouched, "the disk was written to");
    Ok(())
}

#[test]
fn a_server_without_the_manifest_key_is_not_even_enrolled_with() {
    lab::test("hello-signature", Admission::OpenLab, |lab| {
        swap_manifest_key(lab)?;
        refused(lab, "E-TLS", &Disk::Untouched, |_| {})
    });
}

#[test]
fn a_manifest_that_another_key_signed_is_refused_before_the_first_write() {
    lab::test("manifest-signature", Admission::Approval, |lab| {
        let mut machine = lab.machine(Firmware::Uefi)?;
        let before = machine.disks[0].digest()?;
        machine.power_on(&lab.network, BootFrom::Network)?;
        // The key changes after the server has proved itself, while the machine waits for approval.
        let code = pending_code(lab)?;
        swap_manifest_key(lab)?;
        lab.server.apply(&lab.network, &node::spec("node-01", &machine, &lab.prepared.system))?;
        lab.server.ask(&lab.network, &["approve", &code])?;
        machine.wait_console(&["E-MANIFEST-REFUSED"], PATIENCE)?;
        machine.switch_off()?;
        ensure!(machine.writes() == 0 && machine.disks[0].digest()? == before, "the disk was written to");
        Ok(())
    });
}

/// With the firmware's own iPXE: a script that it does not understand would leave the machine standing there.
#[test]
fn a_machine_that_is_given_no_kernel_says_what_to_look_at_and_starts_over() {
    lab::test("no-image", Admission::OpenLab, |lab| {
        let mut machine = lab.machine(Firmware::Bios)?;
        lab.server.apply(&lab.network, &node::spec("node-01", &machine, &lab.prepared.system))?;
        fs::remove_dir_all(lab.server.dir.join("images")).context("taking the images away")?;
        machine.power_on(&lab.network, BootFrom::Network)?;
        machine.wait_console(&["try 10 of 10 failed"], PATIENCE)?;
        machine.wait_console(&["image-builder deploy"], PATIENCE)?;
        machine.wait_console(&["this machine restarts in 60 seconds"], PATIENCE)?;
        machine.switch_off()
    });
}

/// Restarts the boot-server with a manifest key that no image trusts.
fn swap_manifest_key(lab: &mut Lab) -> Result<()> {
    let other = lab.dir().join("other-site");
    Server::init(&other)?;
    lab.server.kill();
    fs::copy(other.join("manifest.key"), lab.server.dir.join("manifest.key")).context("swapping the key")?;
    lab.server.start(&lab.network)
}

#[test]
fn a_closure_that_an_unknown_key_signed_is_refused() {
    lab::test("closure-signature", Admission::OpenLab, |lab| {
        let stranger = "centra-demo-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        refused(lab, "E-CLOSURE-SIGNATURE", &Disk::WithoutBootLoader, |spec| {
            spec["system"]["trusted_public_keys"] = serde_json::json!([stranger]);
        })
    });
}

#[test]
fn a_nar_with_one_wrong_byte_is_refused() {
    lab::test("corrupt-nar", Admission::OpenLab, |lab| {
        let cache = lab.dir().join("cache");
        let original = &lab.prepared.system.binary_cache;
        sh(&["cp", "-al", &original.to_string_lossy(), &cache.to_string_lossy()])?;
        let nar = nar_of(&cache, &lab.prepared.system.toplevel)?;
        let mut bytes = fs::read(&nar).with_context(|| format!("reading {}", nar.display()))?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        // The copy shares its files with the original: this one must be its own.
        fs::remove_file(&nar)?;
        fs::write(&nar, bytes)?;
        lab.server.kill();
        lab.server = Server::configure(&lab.server.dir, Admission::OpenLab, &cache)?;
        lab.server.start(&lab.network)?;
        refused(lab, "E-CLOSURE-CORRUPT", &Disk::WithoutBootLoader, |_| {})
    });
}

/// The file of a store path in a static binary cache.
fn nar_of(cache: &std::path::Path, store_path: &str) -> Result<std::path::PathBuf> {
    let hash = store_path.strip_prefix("/nix/store/").and_then(|base| base.get(..32)).context("a store path")?;
    let narinfo = fs::read_to_string(cache.join(format!("{hash}.narinfo"))).context("reading a narinfo")?;
    let url = narinfo.lines().find_map(|line| line.strip_prefix("URL:")).context("a narinfo has a URL")?;
    Ok(cache.join(url.trim()))
}
