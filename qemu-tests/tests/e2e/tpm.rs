//! A machine with a TPM 2.0: swtpm behind tpm-crb, and what OVMF measures into it.

use crate::install::PATIENCE;
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    lab::{self, Lab},
    machine::{BootFrom, Firmware},
    node,
    server::Admission,
    swtpm::Vendor,
};
use serde_json::json;

/// Nobody types a code here: the machine that has another TPM than the spec names waits, and is the node as soon as the
/// spec names its own. Its next boot goes by way of iPXE.
#[test]
fn a_machine_is_admitted_by_its_own_tpm_and_no_other_and_what_was_measured_otherwise_is_noticed() {
    lab::test("tpm", Admission::Approval, |lab| {
        let vendor = Vendor::new(&lab.dir().join("vendor"))?;
        let mut machine = lab.machine(Firmware::Uefi)?;
        machine.tpm = Some(vendor.make(&lab.dir().join("chip"))?);
        let vendors = format!("[tpm]\nroots = ['{}']\n", vendor.certificate().display());
        lab.server.configure_more(&lab.network, &vendors)?;
        let mut spec = node::spec("node-01", &machine, &lab.prepared.system);
        spec["match"]["ek"] = json!("0".repeat(64));
        spec["admission"] = json!(["tpm"]);
        lab.server.apply(&lab.network, &spec)?;

        machine.power_on(&lab.network, BootFrom::Script)?;
        machine.wait_console(&["this machine has another one"], PATIENCE)?;
        let known = lab.server.describe(&lab.network, "node-01")?;
        ensure!(known["summary"]["state"] == "pending", "it was admitted: {known}");
        let proven = &known["tpm"]["proven"];
        ensure!(proven["vendor"]["by"] == "CN=swtpm-localca", "its certificate counts for nothing: {known}");
        let measured = &proven["log"]["fits"];
        let secure_boot = &measured["secure_boot"];
        ensure!(secure_boot["state"] == "setup" && secure_boot.get("db").is_none(), "OVMF has no keys: {proven}");
        let started = measured["started"][0]["sha256"].clone();
        ensure!(started.is_string(), "the kernel is in no log: {proven}");

        spec["match"]["ek"] = proven["ek"].clone();
        lab.server.apply(&lab.network, &spec)?;
        machine.wait_console(&["this is node-01"], PATIENCE)?;
        machine.switch_off()?;
        ensure!(!history(lab)?.contains("measured otherwise"), "something changed within one boot");

        machine.power_on(&lab.network, BootFrom::Network)?;
        machine.wait_console(&["this is node-01"], PATIENCE)?;
        machine.switch_off()?;
        let history = history(lab)?;
        ensure!(history.contains("PCR 4 (what the firmware started): now started"), "iPXE was not noticed: {history}");
        let before = format!("SHA-256 {}", &started.as_str().unwrap_or_default()[..12]);
        ensure!(history.contains(&before), "what was started before is not named: {history}");
        ensure!(history.contains("MAC(52:54:00"), "from which card iPXE came is not named: {history}");
        let shown = lab.server.ask(&lab.network, &["describe", "node", "node-01"])?;
        ensure!(shown.contains("as its TPM proves"), "it is shown as its own word: {shown}");
        Ok(())
    });
}

fn history(lab: &Lab) -> Result<String> {
    let node = lab.server.describe(&lab.network, "node-01")?;
    Ok(node.get("history").context("a node has a history")?.to_string())
}
