//! A machine made of QEMU: firmware, a network card, disks, a serial console that is written to a file.

use crate::{
    child::Process,
    disk::Disk,
    netboot::{self, Told},
    network::Network,
    power_cut::{Flush, Random, Sector, VolatileDisk},
    qmp::Qmp,
    swtpm::Chip,
    vmlinux, wait,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What a machine starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which starts the network card's iPXE.
    Bios,
    /// OVMF, with variables of its own that outlive a power cut.
    Uefi,
}

/// From where a machine may boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootFrom {
    /// As a real machine that is set to boot from the network: the order in its firmware decides.
    Network,
    /// What the script says that the boot-server has for it, without the firmware's way there: the kernel that it names, or
    /// [`BootFrom::Menu`]. A reboot switches the machine off.
    Script,
    /// What the boot loader on the first disk starts by itself, without firmware and loader: the kernel of GRUB's menu.
    Menu,
    /// The network card has no boot ROM: what comes up is on the disk.
    DiskAlone,
}

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// A machine, on or off.
#[derive(Debug)]
pub struct Machine {
    /// Name of its files.
    pub name: String,
    /// What it starts with.
    pub firmware: Firmware,
    /// Memory, MiB.
    pub memory: u32,
    /// Hardware address of its only network card.
    pub mac: String,
    /// SMBIOS UUID.
    pub uuid: String,
    /// SMBIOS serial number.
    pub serial: String,
    /// Its disks, in the order of the bus.
    pub disks: Vec<Disk>,
    /// A medium in its drive, which it can only read.
    pub medium: Option<PathBuf>,
    /// Its TPM.
    pub tpm: Option<Chip>,
    dir: PathBuf,
    tap: String,
    // QEMU goes before the disks that it uses.
    running: Option<Process>,
    swtpm: Option<Process>,
    served: Vec<VolatileDisk>,
    writes_before: u64,
    random: Random,
    read_from: usize,
}

impl Machine {
    /// A machine that is off. `number` makes its addresses.
    ///
    /// # Errors
    /// No tap, or no firmware on this host.
    pub fn new(
        dir: &Path,
        network: &Network,
        name: &str,
        number: u8,
        firmware: Firmware,
        disks: Vec<Disk>,
    ) -> Result<Self> {
        if firmware == Firmware::Uefi {
            fs::copy(OVMF_VARS, dir.join(format!("{name}.vars"))).with_context(|| format!("copying {OVMF_VARS}"))?;
        }
        Ok(Machine {
            name: name.to_owned(),
            firmware,
            memory: 512,
            mac: format!("52:54:00:77:00:{number:02x}"),
            uuid: format!("c0ffee00-0000-4000-8000-0000000000{number:02x}"),
            serial: format!("DEMO-{number:04}"),
            disks,
            medium: None,
            tpm: None,
            dir: dir.to_owned(),
            tap: network.tap()?,
            running: None,
            swtpm: None,
            served: Vec::new(),
            writes_before: 0,
            random: Random::of_this_run(name)?,
            read_from: 0,
        })
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.name))
    }

    /// The file that the serial console is written to.
    pub fn console(&self) -> PathBuf {
        self.file("console")
    }

    /// Presses the power button of a machine that is off.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn power_on(&mut self, network: &Network, from: BootFrom) -> Result<()> {
        self.read_from = wait::read_log(&self.console()).len();
        let _ = fs::remove_file(self.file("qmp"));
        self.serve_disks()?;
        let mut qemu = network.command("qemu-system-x86_64", ["-nodefaults", "-display", "none", "-no-user-config"]);
        let from = self.add_kernel(&mut qemu, network, from)?;
        self.add_platform(&mut qemu);
        self.add_tpm(&mut qemu)?;
        self.add_disks(&mut qemu, from);
        self.add_network(&mut qemu, from);
        let log = self.file("qemu-log");
        self.running = Some(Process::start(&format!("QEMU of {}", self.name), &mut qemu, &log)?);
        Ok(())
    }

    /// The kernel of the script or of the menu. Says where the machine boots from then.
    fn add_kernel(&self, qemu: &mut Command, network: &Network, from: BootFrom) -> Result<BootFrom> {
        let told = match from {
            BootFrom::Network | BootFrom::DiskAlone => return Ok(from),
            BootFrom::Script => self.ask(network)?,
            BootFrom::Menu => Told::Disk,
        };
        let place = |name: &str| self.file(name);
        let (kernel, from) = match told {
            Told::Kernel(kernel) => (kernel, BootFrom::Script),
            Told::Disk if self.firmware == Firmware::Uefi => return Ok(BootFrom::DiskAlone),
            Told::Disk => (netboot::read_menu(self.disks.first().context("no disk")?, place)?, BootFrom::Menu),
        };
        // OVMF starts only what is packed.
        let image = if self.firmware == Firmware::Bios { vmlinux::of(&kernel.image)? } else { kernel.image };
        qemu.arg("-kernel").arg(image).arg("-initrd").arg(kernel.initrd);
        qemu.args(["-append", &format!("{} cryptomgr.notests", kernel.line), "-no-reboot"]);
        Ok(from)
    }

    fn ask(&self, network: &Network) -> Result<Told> {
        let platform = if self.firmware == Firmware::Bios { "pcbios" } else { "efi" };
        let (mac, uuid, serial) = (self.mac.replace(':', "-"), &self.uuid, &self.serial);
        let query = format!("mac={mac}&uuid={uuid}&serial={serial}&platform={platform}&arch=x86_64");
        netboot::ask(network, &query, |name| self.file(name))
    }

    /// Waits until the machine has gone off by itself, as it does for a reboot after [`BootFrom::Script`].
    ///
    /// # Errors
    /// It is still on; the end of the console is in the error.
    pub fn wait_off(&mut self, patience: Duration) -> Result<()> {
        let name = self.name.clone();
        let off = wait::until(&format!("{name} to go off"), patience, || Ok((!self.is_on()).then_some(())));
        off.map_err(|error| self.with_console(error))
    }

    fn add_platform(&self, qemu: &mut Command) {
        let machine = if self.firmware == Firmware::Bios { "q35,graphics=off" } else { "q35" };
        qemu.args(["-machine", machine, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        qemu.args(["-m", &self.memory.to_string(), "-uuid", &self.uuid]);
        qemu.args(["-smbios", &format!("type=1,manufacturer=QEMU,product=demo,serial={}", self.serial)]);
        qemu.args(["-chardev", &format!("file,id=console,path={},append=on", self.console().display())]);
        qemu.args(["-serial", "chardev:console", "-device", "virtio-rng-pci"]);
        qemu.args(["-qmp", &format!("unix:{},server=on,wait=off", self.file("qmp").display())]);
        if self.firmware == Firmware::Uefi {
            qemu.args(["-drive", &format!("if=pflash,format=raw,readonly=on,file={OVMF_CODE}")]);
            qemu.args(["-drive", &format!("if=pflash,format=raw,file={}", self.file("vars").display())]);
            // Without these OVMF tries IPv6 for a minute before it goes on to the next entry of its boot order.
            qemu.args(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
        }
    }

    fn add_tpm(&mut self, qemu: &mut Command) -> Result<()> {
        let socket = self.file("tpm");
        // The last one ends with its machine, and has written its memory by then.
        self.swtpm = None;
        let Some(chip) = &self.tpm else { return Ok(()) };
        self.swtpm = Some(chip.serve(&socket)?);
        qemu.args(["-chardev", &format!("socket,id=tpm,path={}", socket.display())]);
        qemu.args(["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]);
        Ok(())
    }

    fn add_disks(&self, qemu: &mut Command, from: BootFrom) {
        for (index, (disk, served)) in self.disks.iter().zip(&self.served).enumerate() {
            let drive = served.blockdev(&format!("disk{index}")).to_string();
            let boot_index = match (from, self.firmware) {
                (BootFrom::DiskAlone, _) if index == 0 => ",bootindex=1",
                (BootFrom::Network, Firmware::Bios) if index == 0 => ",bootindex=2",
                _ => "",
            };
            let device = format!("virtio-blk-pci,drive=disk{index},serial={}{boot_index}", disk.serial);
            qemu.args(["-blockdev", &drive, "-device", &device]);
        }
        if let Some(medium) = &self.medium {
            let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
            qemu.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=medium"]);
        }
    }

    fn serve_disks(&mut self) -> Result<()> {
        self.writes_before = self.writes();
        self.served.clear();
        for (index, disk) in self.disks.iter().enumerate() {
            let socket = self.file(&format!("disk{index}"));
            self.served.push(VolatileDisk::serve(&disk.path, &socket, Sector::Physical, Flush::Obeyed)?);
        }
        Ok(())
    }

    /// How often the machine has written to a disk.
    pub fn writes(&self) -> u64 {
        self.writes_before + self.served.iter().map(VolatileDisk::writes).sum::<u64>()
    }

    fn add_network(&self, qemu: &mut Command, from: BootFrom) {
        // UEFI gets no bootindex: with one, OVMF would throw away at each start what the installer wrote to BootOrder.
        let boot = match (from, self.firmware) {
            (BootFrom::DiskAlone | BootFrom::Script | BootFrom::Menu, _) => ",romfile=",
            (BootFrom::Network, Firmware::Bios) => ",bootindex=1",
            (BootFrom::Network, Firmware::Uefi) => "",
        };
        qemu.args(["-netdev", &format!("tap,id=net0,ifname={},script=no,downscript=no", self.tap)]);
        qemu.args(["-device", &format!("virtio-net-pci,netdev=net0,mac={}{boot}", self.mac)]);
    }

    /// Pulls the network cable out, or puts it in again.
    ///
    /// # Errors
    /// The network is gone.
    pub fn plug(&self, network: &Network, plugged: bool) -> Result<()> {
        network.plug(&self.tap, plugged)
    }

    /// Pulls the plug: what the machine has not flushed is lost, or a part of it.
    ///
    /// # Errors
    /// A disk cannot be written.
    pub fn cut_power(&mut self) -> Result<()> {
        self.running = None;
        self.served.iter().try_for_each(|disk| disk.lose_power(&mut self.random))
    }

    /// Ends the machine with everything on its disks that it has written, flushed or not.
    ///
    /// # Errors
    /// QEMU does not answer or does not end.
    pub fn switch_off(&mut self) -> Result<()> {
        Qmp::connect(&self.file("qmp"))?.execute("quit", &json!({}))?;
        self.wait_off(Duration::from_secs(20))
    }

    /// Has the system that runs reboot in order, as Ctrl+Alt+Del on the keyboard does.
    ///
    /// # Errors
    /// QEMU does not answer.
    pub fn press_ctrl_alt_del(&self) -> Result<()> {
        let keys = ["ctrl", "alt", "delete"].map(|key| json!({ "type": "qcode", "data": key }));
        Qmp::connect(&self.file("qmp"))?.execute("send-key", &json!({ "keys": keys })).map(drop)
    }

    /// Waits until one of these texts is on the serial console, after what earlier waits have found, and says which.
    ///
    /// # Errors
    /// It does not come in time, or QEMU has ended; the end of the console is in the error.
    pub fn wait_console(&mut self, texts: &[&str], patience: Duration) -> Result<usize> {
        let (console, from) = (self.console(), self.read_from);
        let Some(running) = self.running.as_mut() else { anyhow::bail!("{} is off", self.name) };
        let found = wait::until(&format!("{texts:?} on the console of {}", self.name), patience, || {
            let log = wait::read_log(&console);
            let rest = log.get(from..).unwrap_or_default();
            let first = texts.iter().enumerate().filter_map(|(n, text)| Some((rest.find(text)? + text.len(), n))).min();
            if first.is_none() {
                running.must_run()?;
            }
            Ok(first)
        });
        let (end, which) = found.map_err(|error| self.with_console(error))?;
        self.read_from = from + end;
        Ok(which)
    }

    fn with_console(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("the console of {} ends with\n{}\n", self.name, wait::last_lines(&self.console(), 30)))
    }

    /// Whether QEMU runs.
    pub fn is_on(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| !running.has_ended())
    }
}
