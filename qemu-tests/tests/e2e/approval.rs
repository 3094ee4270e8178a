//! A machine that nobody has admitted waits, and says so.

use crate::install::PATIENCE;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    lab::{self, Lab},
    machine::{BootFrom, Firmware},
    node,
    server::Admission,
    wait,
};

#[test]
fn an_unknown_machine_waits_for_approval_and_then_installs() {
    lab::test("approval", Admission::Approval, |lab| {
        let mut machine = lab.machine(Firmware::Bios)?;
        let before = machine.disks[0].digest()?;
        machine.power_on(&lab.network, BootFrom::Network)?;
        let code = pending_code(lab)?;
        machine.wait_console(&[&code], PATIENCE)?;
        let untouched = machine.writes() == 0 && machine.disks[0].digest()? == before;
        ensure!(untouched, "something was written before anybody approved");

        // He does not want it, and it is told so; then he thinks better of it, and the machine goes on where it stands.
        lab.server.ask(&lab.network, &["reject", &code, "--reason", "not ours"])?;
        machine.wait_console(&["has refused this machine (machine-", "): not ours"], PATIENCE)?;

        // The operator finds the machine in the list, says what it is to be, and types the code from its console.
        lab.server.apply(&lab.network, &node::spec("node-01", &machine, &lab.prepared.system))?;
        lab.server.ask(&lab.network, &["approve", &code, "--node", "node-01"])?;
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)
    });
}

/// Waits for a machine that waits for approval, and takes its code from the list.
pub fn pending_code(lab: &Lab) -> Result<String> {
    let waiting = wait::until("a machine that waits for approval", PATIENCE, || {
        Ok(lab.server.nodes(&lab.network)?.into_iter().find(|node| node["state"] == "pending"))
    })?;
    waiting["code"].as_str().map(str::to_owned).context("a machine that waits shows a code")
}
