//! From an empty disk to a member of the cluster, and what the disk is worth alone.

use crate::under_attack::under_attack;
use anyhow::{Result, ensure};
use qemu_tests::{
    etcd::Etcd,
    lab::{self, Lab},
    machine::{BootFrom, Firmware, Machine},
    node,
    server::Admission,
    swtpm::Chip,
    wait,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Emulated machines on a busy host: no measure of speed, only an end to waiting.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How a key in a file begins.
const OPEN_KEY: &str = "-----BEGIN PRIVATE KEY-----";

#[test]
fn an_empty_uefi_machine_becomes_a_member_of_the_cluster() {
    lab::test("uefi-install", Admission::OpenLab, |lab| {
        let etcd = lab.etcd()?;
        let mut machine = join_the_cluster(lab, &etcd, Firmware::Uefi)?;
        let node = lab.server.describe(&lab.network, "node-01")?;
        let peak = node["agent_peak_rss"].as_u64().unwrap_or(0);
        ensure!((1..64 << 20).contains(&peak), "the agent took {peak} bytes");
        ensure!(node["boot_order"].as_array().is_some_and(|order| !order.is_empty()), "no boot order: {node:#}");
        network_boot_leads_to_the_disk(lab, &etcd, &mut machine)?;
        let before = last_start(lab)?;
        the_disk_boots_alone(lab, &etcd, &mut machine)?;
        its_tpm_tells_of_the_start(lab, &before)?;
        it_is_known_again_by_the_key_that_its_tpm_opens(lab, &mut machine)?;
        ensure!(!machine.disks[0].mentions(OPEN_KEY)?, "the node's key lies open on its disk");
        Ok(())
    });
}

#[test]
fn an_empty_bios_machine_becomes_a_member_of_the_cluster_while_a_stranger_does_his_worst() {
    lab::test("bios-install", Admission::OpenLab, |lab| {
        let etcd = lab.etcd()?;
        let mut machine = under_attack(lab, |lab| join_the_cluster(lab, &etcd, Firmware::Bios))?;
        network_boot_leads_to_the_disk(lab, &etcd, &mut machine)?;
        the_disk_boots_alone(lab, &etcd, &mut machine)?;
        ensure!(machine.disks[0].mentions(OPEN_KEY)?, "without a TPM the key is a file");
        Ok(())
    });
}

fn join_the_cluster(lab: &mut Lab, etcd: &Etcd, firmware: Firmware) -> Result<Machine> {
    let mut machine = lab.machine(firmware)?;
    let mut spec = node::spec("node-01", &machine, &lab.prepared.system);
    if firmware == Firmware::Uefi {
        machine.tpm = Some(Chip::blank(&lab.dir().join("chip"))?);
        spec["node_key"] = json!("tpm");
    }
    lab.server.apply(&lab.network, &spec)?;
    machine.power_on(&lab.network, BootFrom::Network)?;
    lab.server.wait_state(&lab.network, "node-01", "ready", PATIENCE)?;
    let voters = etcd.voters(&lab.network)?;
    ensure!(voters == ["node-01", "outside"], "the members that vote are {voters:?}");
    Ok(machine)
}

/// The machine still starts from the network first: the server sends it to its disk, and nothing is installed again.
fn network_boot_leads_to_the_disk(lab: &Lab, etcd: &Etcd, machine: &mut Machine) -> Result<()> {
    let runs = runs(lab)?;
    machine.press_ctrl_alt_del()?;
    machine.wait_console(&["iPXE"], PATIENCE)?;
    machine.wait_console(&["login:"], PATIENCE)?;
    member_is_healthy(lab, etcd)?;
    ensure!(runs == self::runs(lab)?, "the second boot from the network began another installation");
    Ok(())
}

/// The last check: after a power cut, without a network card to boot from, only the disk.
fn the_disk_boots_alone(lab: &mut Lab, etcd: &Etcd, machine: &mut Machine) -> Result<()> {
    machine.cut_power()?;
    machine.power_on(&lab.network, BootFrom::DiskAlone)?;
    machine.wait_console(&["login:"], PATIENCE)?;
    member_is_healthy(lab, etcd)
}

/// The start of the node's system of which the server was told last.
fn last_start(lab: &Lab) -> Result<Value> {
    Ok(lab.server.describe(&lab.network, "node-01")?["starts"]["last"].take())
}

/// What firmware and boot loader were measured when the disk started, by the renewal's timer of the installed system.
fn its_tpm_tells_of_the_start(lab: &Lab, before: &Value) -> Result<()> {
    let start = wait::until("what was measured when the disk started", PATIENCE, || {
        Ok(Some(last_start(lab)?).filter(|start| start["boot"].is_string() && start["boot"] != before["boot"]))
    })?;
    let started = start["log"]["fits"]["started"].as_array().map_or(0, Vec::len);
    ensure!(started > 0, "no boot loader was measured: {start:#}");
    let node = lab.server.describe(&lab.network, "node-01")?;
    ensure!(node["boot_trust"] == "measured", "its enrolment was not: {node:#}");
    Ok(())
}

/// The initrd finds the closed key on the disk. A machine with another key would be admitted as well, by its TPM, and that is noted.
fn it_is_known_again_by_the_key_that_its_tpm_opens(lab: &Lab, machine: &mut Machine) -> Result<()> {
    let admissions = || -> Result<usize> {
        let node = lab.server.describe(&lab.network, "node-01")?;
        Ok(node["history"].to_string().matches("admitted a machine by").count())
    };
    let before = admissions()?;
    machine.cut_power()?;
    lab.server.ask(&lab.network, &["reinstall", "node-01", "--yes"])?;
    machine.power_on(&lab.network, BootFrom::Script)?;
    machine.wait_console(&["this is node-01"], PATIENCE)?;
    ensure!(before == 1 && admissions()? == before, "it came with another key");
    machine.cut_power()
}

/// Every member of the cluster is.
pub fn member_is_healthy(lab: &Lab, etcd: &Etcd) -> Result<()> {
    let healthy = || Ok(etcd.ctl(&lab.network, &["endpoint", "health", "--cluster"]).ok());
    wait::until("all members of the cluster to be healthy", PATIENCE, healthy).map(drop)
}

/// The runs that the server knows of the node.
fn runs(lab: &Lab) -> Result<Vec<String>> {
    let node = lab.server.describe(&lab.network, "node-01")?;
    let events = node["events"].as_array().cloned().unwrap_or_default();
    let mut runs: Vec<String> = events.iter().filter_map(|event| event["run"].as_str().map(str::to_owned)).collect();
    runs.dedup();
    Ok(runs)
}
