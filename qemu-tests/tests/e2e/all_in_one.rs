//! Chainfire, FlareDB and IAM on one node, entered one after the other by the units of the first boot.

use crate::{install::PATIENCE, misconfigured};
use anyhow::{Context, Result, ensure};
use qemu_tests::{
    demo_system::{self, Kind},
    lab::{self, Lab},
    machine::{BootFrom, Firmware},
    node, paths,
    server::Admission,
    wait,
};
use serde_json::json;

/// In no log and in no answer of the server.
const PASSWORD: &str = "correct horse battery staple";

#[test]
fn services_are_entered_in_order_once_the_configuration_is_right() {
    lab::test("all-in-one", Admission::OpenLab, |lab| {
        let system =
            demo_system::build(&paths::binary("initrd-agent")?, Kind::AllInOne(&paths::binary("cluster-peer")?))?;
        let mut machine = lab.machine(Firmware::Bios)?;
        let mut spec = node::member("node-01", &machine, &system, &["node-01"]);
        spec["cluster"]["flaredb_peers"] = json!(["node-01:2480"]);
        spec["cluster"]["node_role"] = json!("all-in-one");
        let administrator = json!({ "username": "admin", "password": PASSWORD }).to_string();
        spec["secrets"] = json!([
            { "path": "/etc/nixos/secrets/iam-admin.json", "mode": "0600", "content": administrator },
        ]);
        lab.server.apply(&lab.network, &spec)?;
        machine.power_on(&lab.network, BootFrom::Script)?;
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
        machine.cut_power()?;
        misconfigured::says_what_is_wrong(lab, &mut machine)?;
        let before = wait::read_log(&machine.console()).len();
        machine.power_on(&lab.network, BootFrom::Menu)?;
        lab.server.wait_state(&lab.network, "node-01", "ready", PATIENCE)?;
        machine.wait_console(&["systemd finds nothing wrong with the units"], PATIENCE)?;
        let console = wait::read_log(&machine.console());
        is_in_order(console.get(before..).unwrap_or_default())?;
        is_patient(console.get(before..).unwrap_or_default())?;
        is_kept_secret(lab, &console)
    });
}

/// The journal, as it went by on the console: each service is entered after the one before it.
fn is_in_order(console: &str) -> Result<()> {
    let ready = |service: &str| {
        let line = format!("\"service\":\"{service}\"");
        let known = |text: &&str| text.contains(&line) && text.contains("knows that this node");
        console.lines().position(|text| known(&text)).with_context(|| format!("{service} was never entered"))
    };
    let begun = |service: &str| {
        let line = format!("\"service\":\"{service}\"");
        console.lines().position(|text| text.contains(&line)).with_context(|| format!("{service} was never begun"))
    };
    ensure!(ready("chainfire")? < begun("flaredb")?, "FlareDB was begun before Chainfire was entered");
    ensure!(ready("flaredb")? < begun("iam")?, "IAM was begun before FlareDB was entered");
    ensure!(console.contains("\"healthy\":true"), "the health check did not find all healthy");
    Ok(())
}

/// The faults of iam.service, as the agent met them.
fn is_patient(console: &str) -> Result<()> {
    for (activity, fault) in [
        ("creating the administrator: ", "POST /api/users: 503 "),
        ("creating the administrator: ", "reading the answer: "),
        ("making the initial token: ", "POST /api/tokens: 502 "),
    ] {
        let said = console.lines().any(|line| line.contains(activity) && line.contains(fault));
        ensure!(said, "the agent did not try again after {activity}{fault}");
    }
    Ok(())
}

fn is_kept_secret(lab: &Lab, console: &str) -> Result<()> {
    let described = lab.server.ask(&lab.network, &["describe", "node", "node-01", "-o", "json"])?;
    let logged = lab.server.ask(&lab.network, &["logs", "node-01"])?;
    for (place, text) in [("console", console), ("description", &described), ("log", &logged)] {
        ensure!(!text.contains(PASSWORD), "the password is in the {place}");
    }
    ensure!(described.contains("iam"), "IAM is not in what the server knows:\n{described}");
    Ok(())
}
