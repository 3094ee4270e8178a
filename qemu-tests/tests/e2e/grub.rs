//! GRUB on UEFI as NixOS installs it by default: in a folder of its own, and nobody has told the firmware.

use crate::install::PATIENCE;
use anyhow::ensure;
use qemu_tests::{
    demo_system::{self, Kind},
    lab,
    machine::{BootFrom, Firmware},
    node, paths,
    server::Admission,
    wait,
};
use serde_json::json;

#[test]
fn a_uefi_machine_boots_the_only_loader_that_its_system_has_left_and_says_where_there_is_none() {
    lab::test("efi-grub", Admission::OpenLab, |lab| {
        let system = demo_system::build(&paths::binary("initrd-agent")?, Kind::EfiGrub)?;
        let mut machine = lab.machine(Firmware::Uefi)?;
        let spec = |grub: &str| {
            let mut spec = node::spec("node-01", &machine, &system);
            let file = json!({ "path": "/etc/nixos/grub", "mode": "0644", "content": grub });
            spec["files"].as_array_mut().into_iter().for_each(|files| files.push(file.clone()));
            spec
        };
        let (without, with) = (spec("left out"), spec("installed"));
        lab.server.apply(&lab.network, &without)?;
        machine.power_on(&lab.network, BootFrom::Script)?;
        machine.wait_console(&["E-BOOT-LOADER"], PATIENCE)?;
        machine.wait_console(&["boot.loader.grub.efiInstallAsRemovable"], PATIENCE)?;
        let shown = || lab.server.ask(&lab.network, &["describe", "node", "node-01"]);
        wait::until("the server to say why", PATIENCE, || Ok(shown()?.contains("E-BOOT-LOADER").then_some(())))?;

        // The agent tries again by itself.
        lab.server.apply(&lab.network, &with)?;
        lab.server.wait_state(&lab.network, "node-01", "installed", PATIENCE)?;
        machine.wait_off(PATIENCE)?;
        let loaders = machine.disks[0].efi_files("disk-main-ESP")?;
        ensure!(loaders == ["NixOS-boot/grubx64.efi"], "the EFI system partition has {loaders:?}");
        machine.power_on(&lab.network, BootFrom::DiskAlone)?;
        machine.wait_console(&["\\EFI\\NixOS-boot\\grubx64.efi"], PATIENCE)?;
        machine.wait_console(&["GRUB of NixOS-boot"], PATIENCE)?;
        machine.wait_console(&["login:"], PATIENCE).map(drop)
    });
}
