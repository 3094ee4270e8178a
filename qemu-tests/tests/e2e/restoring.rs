//! A cluster is lost with its disks, and comes back with what it held: its machine installs itself anew and founds it from
//! the backup.

use crate::install::PATIENCE;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    disk::Disk,
    etcd::Client,
    lab::{self, Lab},
    machine::{Firmware, Machine},
    node,
    server::Admission,
};

#[test]
fn a_lost_cluster_comes_back_from_its_backup_by_itself() {
    lab::test("restoring", Admission::OpenLab, |lab| {
        let mut machine = lab.machine(Firmware::Bios)?;
        let spec = node::member("node-01", &machine, &lab.prepared.system, &["node-01"]);
        lab.server.apply(&lab.network, &spec)?;
        let client = Client::new(&lab.server, "admin-of-etcd", &node::address("node-01"))?;
        found(lab, &mut machine, &client)?;
        client.ctl(&lab.network, &["put", "order", "four and twenty"])?;
        let out = lab.dir().join("backups").display().to_string();
        let told = lab.server.ask(&lab.network, &["cluster", "backup", "--out", &out])?;
        let backup = told.lines().last().context("cluster backup says nothing")?;
        client.ctl(&lab.network, &["put", "order", "later"])?;

        machine.cut_power()?;
        machine.disks = vec![Disk::create(lab.dir(), &machine.disks[0].serial, 2048)?];
        let restore = ["cluster", "restore", "--cluster", "trio", "--from", backup, "--yes"];
        println!("{}", lab.server.ask(&lab.network, &restore)?);
        lab.server.ask(&lab.network, &["reinstall", "node-01", "--yes"])?;
        found(lab, &mut machine, &client)?;
        let held = client.ctl(&lab.network, &["get", "order", "--print-value-only"])?;
        ensure!(held.trim() == "four and twenty", "the cluster holds {held:?}");
        println!("{}", lab.server.ask(&lab.network, &["cluster", "verify", "trio"])?);
        Ok(())
    });
}

/// Powers the machine on, and waits until it is a healthy cluster.
fn found(lab: &Lab, machine: &mut Machine, client: &Client) -> Result<()> {
    lab.install(machine, "node-01", PATIENCE)?;
    lab.server.wait_state(&lab.network, "node-01", "ready", PATIENCE)?;
    client.wait_healthy(&lab.network, PATIENCE)
}
