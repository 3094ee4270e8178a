//! The life of a cluster: three machines found it, a fourth joins it, a founder is replaced, a node leaves.

use crate::install::PATIENCE;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    disk::Disk,
    etcd::Client,
    lab::{self, Lab},
    machine::{BootFrom, Firmware, Machine},
    node,
    server::Admission,
    wait,
};
use std::time::{Duration, Instant};

const FOUNDERS: [&str; 3] = ["node-01", "node-02", "node-03"];
const ALL: [&str; 4] = ["node-01", "node-02", "node-03", "node-04"];
/// How long the joiner is cut off.
const PARTITION: Duration = Duration::from_secs(10);

#[test]
fn three_machines_found_a_cluster_that_grows_heals_and_shrinks() {
    lab::test_alone("cluster", Admission::OpenLab, |lab| {
        let mut machines = Machines::default();
        machines.found(lab)?;
        machines.grow_while_the_leader_dies(lab)?;
        machines.reboot(lab)?;
        machines.replace_a_founder(lab)?;
        machines.decommission(lab)
    });
}

/// Where the time goes, for whoever reads the test's output.
fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    let result = work().with_context(|| what.to_owned());
    println!("{what}: {:.0} s", begin.elapsed().as_secs_f64());
    result
}

/// A reboot switches a machine without firmware off: it asks the server again what to start.
fn comes_back(lab: &Lab, machine: &mut Machine) -> Result<()> {
    machine.wait_off(PATIENCE)?;
    machine.power_on(&lab.network, BootFrom::Script)
}

/// The nodes' machines, in the order of their names.
#[derive(Default)]
struct Machines {
    machines: Vec<Machine>,
    client: Option<Client>,
}

impl Machines {
    fn add(&mut self, lab: &mut Lab, name: &str) -> Result<()> {
        let disk = Disk::create(lab.dir(), &format!("disk-{name}"), 2048)?;
        let machine = lab.machine_with(Firmware::Bios, vec![disk])?;
        let spec = node::member(name, &machine, &lab.prepared.system, &FOUNDERS);
        lab.server.apply(&lab.network, &spec)?;
        self.machines.push(machine);
        Ok(())
    }

    fn client(&self, lab: &Lab) -> Result<Client> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Client::new(&lab.server, "admin-of-etcd", &node::address("node-01")),
        }
    }

    fn wait_ready(&self, lab: &Lab, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| lab.server.wait_state(&lab.network, name, "ready", PATIENCE * 2))
    }

    /// Power on, all at once.
    fn found(&mut self, lab: &mut Lab) -> Result<()> {
        FOUNDERS.iter().try_for_each(|name| self.add(lab, name))?;
        timed("from power-on to a healthy cluster of three", || {
            self.machines.iter_mut().try_for_each(|machine| machine.power_on(&lab.network, BootFrom::Script))?;
            self.machines.iter_mut().try_for_each(|machine| comes_back(lab, machine))?;
            self.wait_ready(lab, &FOUNDERS)?;
            self.client = Some(self.client(lab)?);
            self.client(lab)?.wait_healthy(&lab.network, PATIENCE)
        })?;
        let voters = self.client(lab)?.voters(&lab.network)?;
        ensure!(voters == FOUNDERS, "the members are {voters:?}");
        Ok(())
    }

    /// The leader loses its power while the fourth joins, and the fourth is cut off for a while.
    fn grow_while_the_leader_dies(&mut self, lab: &mut Lab) -> Result<()> {
        self.add(lab, "node-04")?;
        timed("a fourth joins while the leader dies", || {
            lab.install(&mut self.machines[3], "node-04", PATIENCE)?;
            lab.server.wait_state(&lab.network, "node-04", "joining", PATIENCE)?;
            let leader = self.leader(lab)?;
            self.machines[leader].cut_power()?;
            self.machines[3].plug(&lab.network, false)?;
            std::thread::sleep(PARTITION);
            self.machines[3].plug(&lab.network, true)?;
            self.machines[leader].power_on(&lab.network, BootFrom::Script)?;
            self.wait_ready(lab, &["node-04"])?;
            self.client(lab)?.wait_healthy(&lab.network, PATIENCE)
        })?;
        let voters = self.client(lab)?.voters(&lab.network)?;
        ensure!(voters == ALL, "the members are {voters:?}");
        Ok(())
    }

    /// The machine that leads.
    fn leader(&self, lab: &Lab) -> Result<usize> {
        let client = self.client(lab)?;
        let leads = |name: &str| {
            let status = client.at(&node::address(name)).ctl(&lab.network, &["endpoint", "status", "-w", "json"])?;
            let status: serde_json::Value = serde_json::from_str(&status)?;
            let status = &status[0]["Status"];
            anyhow::Ok(status["leader"] == status["header"]["member_id"])
        };
        wait::until("a leader", PATIENCE, || Ok(FOUNDERS.iter().position(|name| leads(name).unwrap_or(false))))
    }

    /// All at once: the markers hold, and nobody joins twice.
    fn reboot(&mut self, lab: &Lab) -> Result<()> {
        let before = self.client(lab)?.ctl(&lab.network, &["member", "list"])?;
        timed("all four reboot", || {
            self.machines.iter().try_for_each(Machine::press_ctrl_alt_del)?;
            self.machines.iter_mut().try_for_each(|machine| comes_back(lab, machine))?;
            for machine in &mut self.machines {
                machine.wait_console(&["nothing to do: "], PATIENCE)?;
            }
            self.client(lab)?.wait_healthy(&lab.network, PATIENCE)
        })?;
        let after = self.client(lab)?.ctl(&lab.network, &["member", "list"])?;
        ensure!(before == after, "the members were\n{before}and are\n{after}");
        Ok(())
    }

    /// A founder dies with its disk, and its machine comes back with an empty one.
    fn replace_a_founder(&mut self, lab: &Lab) -> Result<()> {
        let old = self.client(lab)?.ctl(&lab.network, &["member", "list"])?;
        self.machines[2].cut_power()?;
        self.machines[2].disks = vec![Disk::create(lab.dir(), "disk-node-03", 2048)?];
        timed("a founder is replaced", || {
            println!("{}", lab.server.ask(&lab.network, &["cluster", "replace", "node-03", "--yes"])?);
            lab.install(&mut self.machines[2], "node-03", PATIENCE)?;
            lab.server.wait_state(&lab.network, "node-03", "ready", PATIENCE)?;
            self.client(lab)?.wait_healthy(&lab.network, PATIENCE)
        })?;
        let client = self.client(lab)?;
        let (voters, new) = (client.voters(&lab.network)?, client.ctl(&lab.network, &["member", "list"])?);
        ensure!(voters == ALL, "the members are {voters:?}");
        let id_of = |list: &str| {
            list.lines()
                .find(|line| line.contains("node-03"))
                .map(|line| line.split(',').next().unwrap_or_default().to_owned())
        };
        ensure!(id_of(&old) != id_of(&new), "node-03 is the same member as before:\n{old}\n{new}");
        Ok(())
    }

    /// A node leaves for good: no member any more, nothing of it on its disk, and its power is off.
    fn decommission(&mut self, lab: &Lab) -> Result<()> {
        timed("a node leaves for good", || {
            println!("{}", lab.server.ask(&lab.network, &["cluster", "decommission", "node-04", "--yes"])?);
            let machine = &mut self.machines[3];
            machine.press_ctrl_alt_del()?;
            comes_back(lab, machine)?;
            lab.server.wait_state(&lab.network, "node-04", "retired", PATIENCE)?;
            wait::until("node-04 to be off", PATIENCE, || Ok((!machine.is_on()).then_some(())))
        })?;
        let left = self.machines[3].disks[0].signatures()?;
        ensure!(left.is_empty(), "still on the disk: {left}");
        let voters = self.client(lab)?.voters(&lab.network)?;
        ensure!(voters == FOUNDERS, "the members are {voters:?}");
        println!("{}", lab.server.ask(&lab.network, &["cluster", "verify", "trio"])?);
        Ok(())
    }
}
