//! A machine that nobody looks at: a one-time token on a medium admits it.

use crate::install::PATIENCE;
use anyhow::ensure;
use qemu_tests::{
    lab,
    machine::{BootFrom, Firmware},
    node,
    server::Admission,
};

#[test]
fn a_machine_with_a_token_on_a_medium_is_admitted_by_it() {
    lab::test("token", Admission::Token, |lab| {
        let mut machine = lab.machine(Firmware::Bios)?;
        lab.server.apply(&lab.network, &node::spec("node-01", &machine, &lab.prepared.system))?;
        let medium = lab.server.dir.join("node-01.iso");
        let create = ["enrol-token", "create", "--serial", &machine.serial, "--medium", &medium.to_string_lossy()];
        lab.server.ask(&lab.network, &create)?;
        machine.medium = Some(medium);
        machine.power_on(&lab.network, BootFrom::Script)?;
        machine.wait_console(&["a one-time token was given by /dev/vd"], PATIENCE)?;
        lab.server.wait_state(&lab.network, "node-01", "installing", PATIENCE)?;
        let tokens = lab.server.ask(&lab.network, &["enrol-token", "list"])?;
        ensure!(tokens.contains("made node-01"), "the token is not used up: {tokens}");
        machine.cut_power()
    });
}
