//! A disk that may not be used is not written to.

use crate::install::PATIENCE;
use anyhow::{Result, ensure};
use qemu_tests::{
    disk::Disk,
    lab::{self, Lab},
    machine::{BootFrom, Firmware},
    node,
    server::Admission,
};
use serde_json::{Value, json};

/// Powers a machine with these disks on and waits for the refusal; the disks must be as they were.
fn refused(lab: &mut Lab, disks: Vec<Disk>, select: &Value, code: &str) -> Result<()> {
    let before = disks.iter().map(Disk::digest).collect::<Result<Vec<_>>>()?;
    let mut machine = lab.machine_with(Firmware::Bios, disks)?;
    let mut spec = node::spec("node-01", &machine, &lab.prepared.system);
    spec["disks"]["select"]["main"] = select.clone();
    lab.server.apply(&lab.network, &spec)?;
    machine.power_on(&lab.network, BootFrom::Script)?;
    machine.wait_console(&[code], PATIENCE)?;
    // The refusal shows what the operator can choose from.
    machine.wait_console(&["disk-a"], PATIENCE)?;
    machine.switch_off()?;
    let after = machine.disks.iter().map(Disk::digest).collect::<Result<Vec<_>>>()?;
    ensure!(machine.writes() == 0 && before == after, "a disk was written to");
    Ok(())
}

#[test]
fn no_such_disk_is_refused_before_the_first_write() {
    lab::test("no-such-disk", Admission::OpenLab, |lab| {
        let disk = Disk::create(lab.dir(), "disk-a", 1024)?;
        refused(lab, vec![disk], &json!({ "serial": "disk-of-another-machine" }), "E-DISK-NOT-FOUND")
    });
}

#[test]
fn two_disks_that_match_are_refused_before_the_first_write() {
    lab::test("two-disks", Admission::OpenLab, |lab| {
        let disks = vec![Disk::create(lab.dir(), "disk-a", 1024)?, Disk::create(lab.dir(), "disk-b", 1024)?];
        refused(lab, disks, &json!({ "size": ">=1G" }), "E-DISK-AMBIGUOUS")
    });
}

#[test]
fn a_disk_with_a_foreign_file_system_is_refused_before_the_first_write() {
    lab::test("foreign-disk", Admission::OpenLab, |lab| {
        let disk = Disk::create(lab.dir(), "disk-a", 1024)?;
        disk.format_ext4("photographs")?;
        refused(lab, vec![disk], &json!({ "serial": "disk-a" }), "E-DISK-FOREIGN")
    });
}
