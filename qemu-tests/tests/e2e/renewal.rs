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
use serde_json::Value;
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(180);

/// Certificates that the node has one after the other; `CENTRA_LIVES=N` makes it a campaign, at the end of which the node is
/// off until its last one has ended.
fn lives() -> u32 {
    std::env::var("CENTRA_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(2)
}

#[test]
fn a_node_outlives_its_certificates_and_the_root_above_them_in_a_cluster_that_stays_whole() {
    lab::test("renewal", Admission::OpenLab, |lab| {
        lab.server.configure_more(&lab.network, &format!("[certificates]\nnode_life = \"{}s\"\n", LIFE.as_secs()))?;
        let mut etcd = lab.etcd()?;
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
        rotates(lab, &mut etcd).context("rotating the root and the manifest key")?;
        let renewals = renewals(lab)?;
        ensure!(renewals >= 2, "there were {} certificates in a row, not three", renewals + 1);
        if lives() > 2 { comes_back_by_its_key(lab, &etcd, &mut machine) } else { Ok(()) }
    });
}

/// As the operator's guide says it, with members outside that the operator looks after; nobody touches the node.
fn rotates(lab: &Lab, etcd: &mut Etcd) -> Result<()> {
    let rotate = |words: &[&str]| lab.server.ask(&lab.network, &[&["ca", "rotate"], words].concat());
    rotate(&[])?;
    let waited = rotate(&["--finish"]).err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(waited.contains("E-WRONG-STATE") && waited.contains("node-01"), "it did not wait for the node: {waited}");
    lab.deploy_image()?;
    etcd.start_anew(&lab.network, &lab.server)?;
    rotation_waits_for_nobody(lab).context("the node learns the next root")?;
    member_is_healthy(lab, etcd)?;

    rotate(&["--finish"])?;
    lab.server.reload()?;
    rotation_waits_for_nobody(lab).context("the node gets a certificate under the next root")?;
    let before = etcd.start_anew(&lab.network, &lab.server)?;
    member_is_healthy(lab, etcd)?;

    rotate(&["--finish"])?;
    lab.server.reload()?;
    let member = before.at(node::FIRST_ADDRESS);
    let believes = || member.ctl(&lab.network, &["endpoint", "health"]).is_ok();
    wait::until("the node's member to believe the old root no more", PATIENCE, || Ok((!believes()).then_some(())))?;
    etcd.start_anew(&lab.network, &lab.server)?;
    member_is_healthy(lab, etcd)?;
    ensure!(!believes(), "it was restarting, and believes the old root still");
    Ok(())
}

fn rotation_waits_for_nobody(lab: &Lab) -> Result<()> {
    wait::until("the rotation to wait for nobody", PATIENCE, || {
        let shown: Value = serde_json::from_str(&lab.server.ask(&lab.network, &["ca", "show", "--json"])?)?;
        Ok(shown["waits_for"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
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
