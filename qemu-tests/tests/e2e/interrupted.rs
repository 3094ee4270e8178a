//! Power cuts and a boot-server that dies in the middle: the installation carries on where it was.

use crate::install::PATIENCE;
use anyhow::{Result, ensure};
use qemu_tests::{
    lab::{self, Lab},
    machine::{BootFrom, Firmware, Machine},
    network::HOST,
    node,
    proxy::{self, Proxy},
    server::Admission,
    wait,
};
use serde_json::json;
use std::{collections::BTreeSet, thread::sleep, time::Duration};

/// A machine whose closure comes through a proxy that falls silent after some NARs.
fn machine_behind_proxy(lab: &mut Lab, firmware: Firmware) -> Result<Machine> {
    let mut machine = lab.machine(firmware)?;
    let mut spec = node::spec("node-01", &machine, &lab.prepared.system);
    spec["system"]["substituters"] = json!([format!("http://{HOST}:{}/cache", proxy::PORT)]);
    lab.server.apply(&lab.network, &spec)?;
    machine.power_on(&lab.network, BootFrom::Script)?;
    Ok(machine)
}

fn wait_for_silence(proxy: &Proxy) -> Result<()> {
    wait::until("the middle of the closure", PATIENCE, || Ok(proxy.is_silent().then_some(())))
}

/// The NARs among the requests.
fn nars(requests: &[String]) -> BTreeSet<String> {
    requests.iter().filter(|path| path.contains("/nar/")).cloned().collect()
}

#[test]
fn after_a_power_cut_what_was_registered_is_not_fetched_again() {
    lab::test("power-cut", Admission::OpenLab, |lab| {
        let total = lab.prepared.system.closure.len();
        let before_cut = total / 2;
        let proxy = Proxy::start(&lab.network, before_cut)?;
        let mut machine = machine_behind_proxy(lab, Firmware::Bios)?;
        wait_for_silence(&proxy)?;
        // Time to make durable what has come.
        sleep(Duration::from_secs(15));
        let registered = registered(lab)?;
        machine.cut_power()?;
        let first = nars(&proxy.take_requests());
        ensure!(registered > 0, "nothing was registered after {before_cut} NARs");

        proxy.pass_nars(usize::MAX);
        lab.install(&mut machine, "node-01", PATIENCE)?;
        let second = nars(&proxy.take_requests());
        let again = first.intersection(&second).count();
        ensure!(
            second.len() + registered <= total,
            "{registered} of {total} paths were registered, yet {} were fetched afterwards",
            second.len()
        );
        println!(
            "{total} paths, {registered} registered at the cut; afterwards {} fetched, {again} of them asked for before",
            second.len()
        );
        machine.wait_console(&["login:"], PATIENCE).map(drop)
    });
}

/// Paths that the agent says are registered on the disk.
fn registered(lab: &Lab) -> Result<usize> {
    let node = lab.server.describe(&lab.network, "node-01")?;
    let paths = node["summary"]["progress"]["done_paths"].as_u64().unwrap_or(0);
    Ok(usize::try_from(paths)?)
}

#[test]
fn a_boot_server_that_is_killed_in_the_middle_finds_its_state_again() {
    lab::test("server-killed", Admission::OpenLab, |lab| {
        let proxy = Proxy::start(&lab.network, 20)?;
        let mut machine = machine_behind_proxy(lab, Firmware::Bios)?;
        wait_for_silence(&proxy)?;
        lab.server.kill();
        sleep(Duration::from_secs(5));
        lab.server.start(&lab.network)?;
        proxy.pass_nars(usize::MAX);
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
        machine.wait_off(PATIENCE)?;
        machine.power_on(&lab.network, BootFrom::Menu)?;
        machine.wait_console(&["login:"], PATIENCE).map(drop)
    });
}
