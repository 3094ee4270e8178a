//! Certificates that are short: the installed system renews them by itself.

use crate::install::{PATIENCE, member_is_healthy};
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    etcd::Etcd,
    lab::{self, Lab},
    machine::{BootFrom, Firmware, Machine},
    node,
    server::Admission,
    wait,
};
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(180);

/// Certificates that the node has one after the other; `CENTRA_LIVES=N` makes it a campaign, at the end of which the node is
/// off until its last one has ended.
fn lives() -> u32 {
    std::env::var("CENTRA_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(2)
}

#[test]
fn a_node_outlives_its_certificates_and_its_cluster_is_whole_all_the_time() {
    lab::test("renewal", Admission::OpenLab, |lab| {
        lab.server.configure_more(&lab.network, &format!("[certificates]\nnode_life = \"{}s\"\n", LIFE.as_secs()))?;
        let etcd = lab.etcd()?;
        let mut machine = lab.machine(Firmware::Bios)?;
        lab.server.apply(&lab.network, &node::spec("node-01", &machine, &lab.prepared.system))?;
        machine.power_on(&lab.network, BootFrom::Script)?;
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
        machine.cut_power()?;
        machine.power_on(&lab.network, BootFrom::DiskAlone)?;
        lab.server.wait_state(&lab.network, "node-01", "ready", PATIENCE)?;
        let patience = Instant::now() + LIFE * lives();
        while renewals(lab)? + 1 < lives() as usize {
            member_is_healthy(lab, &etcd).context("while certificates come and go")?;
            ensure!(Instant::now() < patience, "only {} renewals", renewals(lab)?);
            std::thread::sleep(Duration::from_secs(2));
        }
        // etcd shows the new one by now: the one that it began with is not good for ever.
        member_is_healthy(lab, &etcd)?;
        if lives() > 2 { comes_back_by_its_key(lab, &etcd, &mut machine) } else { Ok(()) }
    });
}

/// Nobody types anything.
fn comes_back_by_its_key(lab: &Lab, etcd: &Etcd, machine: &mut Machine) -> Result<()> {
    let shown = || lab.server.ask(&lab.network, &["describe", "node", "node-01"]);
    machine.cut_power()?;
    wait::until("the certificate to end", LIFE * 2, || Ok(shown()?.contains("Certificate: ended").then_some(())))?;
    machine.power_on(&lab.network, BootFrom::DiskAlone)?;
    wait::until("a new certificate", PATIENCE, || Ok((!shown()?.contains("Certificate: ended")).then_some(())))?;
    member_is_healthy(lab, etcd)
}

fn renewals(lab: &Lab) -> Result<usize> {
    let node = lab.server.describe(&lab.network, "node-01")?;
    Ok(node["history"].to_string().matches("renewed its certificate").count())
}
