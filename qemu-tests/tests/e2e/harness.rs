//! The harness itself.

use qemu_tests::{
    machine::{BootFrom, Firmware, Machine},
    network::Network,
};
use std::{path::Path, time::Duration};

#[test]
fn a_machine_starts_its_network_card_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = Network::create().expect("a network");
    let mut machine = Machine::new(dir.path(), &network, "bare", 9, Firmware::Bios, Vec::new()).expect("a machine");
    machine.power_on(&network, BootFrom::Network).expect("power");
    machine.wait_console(&["iPXE"], Duration::from_secs(60)).expect("iPXE");
    assert!(machine.is_on());
    machine.cut_power().expect("a power cut");
    assert!(!machine.is_on());
    let name = network.name().to_owned();
    assert!(Path::new("/run/netns").join(&name).exists());
    drop(network);
    assert!(!Path::new("/run/netns").join(&name).exists());
}
