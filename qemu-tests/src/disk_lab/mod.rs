//! A disk laboratory: a machine with disks of every kind that boots the product's image without firmware or network
//! in a few seconds and runs scripts, so that the disk engine meets a real kernel and real tools.

mod channel;
mod disk;
mod image;

pub use channel::Output;
pub use disk::{Bus, LabDisk};
pub use image::Image;

use crate::{
    child::Process,
    command::{command, output},
    paths,
    power_cut::{Flush, Random, Sector, VolatileDisk},
    qmp::Qmp,
    wait,
};
use anyhow::{Context, Result, ensure};
use channel::Channel;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Emulated, on a busy host: an end to waiting, no measure.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a script may take, unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(120);

/// A machine with its disks; killed and removed when dropped.
#[derive(Debug)]
pub struct DiskLab {
    name: String,
    dir: PathBuf,
    image: Image,
    disks: Vec<LabDisk>,
    // QEMU goes before the disks that it uses.
    running: Option<(Process, Channel)>,
    served: BTreeMap<usize, VolatileDisk>,
    random: Random,
}

impl DiskLab {
    /// Makes the disks and boots with all of them attached, in this order.
    ///
    /// # Errors
    /// Something is missing on this host, or the machine does not come up; the end of its console is in the error.
    pub fn boot(name: &str, disks: &[LabDisk]) -> Result<Self> {
        let all: Vec<usize> = (0..disks.len()).collect();
        Self::boot_with(name, disks, &all)
    }

    /// As [`Self::boot`], with only these of the disks attached, by their index, in this order.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn boot_with(name: &str, disks: &[LabDisk], attached: &[usize]) -> Result<Self> {
        let dir = paths::cache()?.join("runs").join(format!("disk-lab-{name}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let image = image::build(&dir)?;
        let random = Random::of_this_run(name)?;
        let mut lab = DiskLab {
            name: name.to_owned(),
            dir,
            image,
            disks: disks.to_vec(),
            running: None,
            served: BTreeMap::new(),
            random,
        };
        for (index, disk) in disks.iter().enumerate() {
            lab.erase(index)?;
            if disk.volatile {
                let socket = lab.dir.join(format!("{}.nbd", id(index)));
                lab.served
                    .insert(index, VolatileDisk::serve(&lab.image_of(index), &socket, Sector::Logical, Flush::Obeyed)?);
            }
        }
        lab.power_on(attached)?;
        Ok(lab)
    }

    /// Runs a shell script and returns how it ended.
    ///
    /// # Errors
    /// The machine is off or does not answer.
    pub fn run(&mut self, script: &str) -> Result<Output> {
        self.run_for(script, b"", LIMIT)
    }

    /// As [`Self::run`], with standard input and a time after which the script is killed.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_for(&mut self, script: &str, input: &[u8], limit: Duration) -> Result<Output> {
        let channel = self.channel()?;
        let answer = channel.send(script, input, limit).and_then(|()| channel.receive(limit));
        answer.map_err(|error| self.with_console(error)).with_context(|| format!("running {script:?}"))
    }

    /// Standard output of a script that succeeds.
    ///
    /// # Errors
    /// As [`Self::run`], and where its status is not 0.
    pub fn ok(&mut self, script: &str) -> Result<String> {
        self.run(script)?.success().with_context(|| format!("running {script:?}"))
    }

    /// Starts a script whose end nobody waits for: a power cut is next.
    ///
    /// # Errors
    /// The machine is off.
    pub fn start(&mut self, script: &str) -> Result<()> {
        self.channel()?.send(script, b"", LIMIT)
    }

    /// Writes a file inside, with the folders it is in.
    ///
    /// # Errors
    /// As [`Self::ok`].
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let script = format!("mkdir -p \"$(dirname '{path}')\" && cat >'{path}'");
        self.run_for(&script, content, LIMIT)?.success().map(drop).with_context(|| format!("writing {path}"))
    }

    /// Pulls the plug: disks that are volatile lose what was not flushed, or a part of it.
    ///
    /// # Errors
    /// A disk cannot be written.
    pub fn cut_power(&mut self) -> Result<()> {
        self.running = None;
        self.served.values().try_for_each(|disk| disk.lose_power(&mut self.random))
    }

    /// Where cuts, and what they lose, come from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Makes a disk of a machine that is off empty again.
    ///
    /// # Errors
    /// The machine is on, or the file cannot be written.
    pub fn erase(&mut self, index: usize) -> Result<()> {
        ensure!(self.running.is_none(), "{} is on", self.name);
        let path = self.image_of(index);
        let file = fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        file.set_len(self.disk(index)?.mebibytes << 20).with_context(|| format!("sizing {}", path.display()))
    }

    /// Power cut and start with the same disks: nothing but the disks outlives it.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn restart(&mut self) -> Result<()> {
        self.cut_power()?;
        let all: Vec<usize> = (0..self.disks.len()).collect();
        self.power_on(&all)
    }

    /// Starts a machine that is off with these disks, by their index, in this order.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn power_on(&mut self, attached: &[usize]) -> Result<()> {
        ensure!(self.running.is_none(), "{} is on", self.name);
        for file in ["qmp", "port", "console"] {
            let _ = fs::remove_file(self.dir.join(file));
        }
        let mut qemu = command("qemu-system-x86_64", ["-nodefaults", "-display", "none", "-no-user-config"]);
        self.add_platform(&mut qemu);
        let mut modules = vec!["virtio_pci", "virtio_console"];
        let (mut at_boot, mut afterwards) = (0, Vec::new());
        for (position, &index) in attached.iter().enumerate() {
            modules.extend(self.disk(index)?.bus.modules());
            if self.disk(index)?.bus.is_named_by_chance() {
                afterwards.push(index);
                continue;
            }
            at_boot += 1;
            qemu.arg("-blockdev").arg(self.blockdev(index)?.to_string());
            // Where it is on the bus decides its name.
            qemu.arg("-device").arg(self.disk(index)?.device(&id(index), position).to_string());
        }
        let append = format!(
            "console=ttyS0 quiet rdinit=/lab/init panic=-1 usb_storage.delay_use=0 lab.disks={at_boot} cryptomgr.notests lab.modules={}",
            modules.join(",")
        );
        qemu.args(["-append", &append]);
        let mut process = Process::start(&format!("QEMU of {}", self.name), &mut qemu, &self.dir.join("qemu-log"))?;
        let port = self.dir.join("port");
        let stream = wait::until("the port of a disk laboratory", PATIENCE, || {
            process.must_run()?;
            Ok(UnixStream::connect(&port).ok())
        })?;
        self.running = Some((process, Channel::new(stream)));
        self.ok("true").with_context(|| format!("booting {}", self.name))?;
        for index in afterwards {
            let count = self.ok("ls /sys/block | wc -l")?;
            self.plug(index)?;
            self.ok(&format!("until [ $(ls /sys/block | wc -l) -gt {} ]; do sleep 0.05; done", count.trim()))?;
        }
        Ok(())
    }

    fn add_platform(&self, qemu: &mut Command) {
        qemu.args(["-machine", "q35,graphics=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        qemu.args(["-m", "1024", "-no-reboot", "-device", "virtio-rng-pci"]);
        qemu.arg("-kernel").arg(&self.image.kernel).arg("-initrd").arg(&self.image.initrd);
        qemu.args(["-chardev", &format!("file,id=console,path={}", self.console().display())]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.args(["-qmp", &format!("unix:{},server=on,wait=off", self.dir.join("qmp").display())]);
        qemu.args(["-chardev", &format!("socket,id=port,path={},server=on,wait=off", self.dir.join("port").display())]);
        qemu.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,nr=1"]);
        qemu.args(["-device", "virtio-scsi-pci,id=scsi", "-device", "qemu-xhci,id=xhci"]);
        // Only what has a port of its own can be plugged; one more for what comes later.
        for slot in 0..=self.disks.len() {
            qemu.args(["-device", &format!("pcie-root-port,id=port{slot},chassis={slot},slot={slot}")]);
        }
    }

    /// Plugs a disk in while the machine runs; which port it takes is its index.
    ///
    /// # Errors
    /// QEMU refuses it: it is attached already, or a SATA disk.
    pub fn plug(&mut self, index: usize) -> Result<()> {
        let (blockdev, device) = (self.blockdev(index)?, self.disk(index)?.device(&id(index), index));
        let mut qmp = self.qmp()?;
        qmp.execute("blockdev-add", &blockdev)?;
        qmp.execute("device_add", &device).map(drop)
    }

    /// Pulls a disk out while the machine runs, and waits until it is gone.
    ///
    /// # Errors
    /// QEMU refuses it, or the machine does not let go of it.
    pub fn unplug(&mut self, index: usize) -> Result<()> {
        let mut qmp = self.qmp()?;
        qmp.execute("device_del", &json!({ "id": id(index) }))?;
        wait::until(&format!("disk {index} to be gone"), PATIENCE, || {
            let left = qmp.execute("qom-list", &json!({ "path": "/machine/peripheral" }))?;
            let names = left.as_array().map(Vec::as_slice).unwrap_or_default();
            Ok((!names.iter().any(|entry| entry["name"] == *id(index))).then_some(()))
        })?;
        // The device lets go of its image a moment after it is gone itself.
        let image = json!({ "node-name": format!("{}-image", id(index)) });
        wait::until(&format!("the image of disk {index} to be free"), PATIENCE, || {
            Ok(qmp.execute("blockdev-del", &image).ok().map(drop))
        })
    }

    /// Sets a property of a disk's device while the machine runs, such as `smart_critical_warning` of NVMe.
    ///
    /// # Errors
    /// QEMU refuses it.
    pub fn set_property(&mut self, index: usize, property: &str, value: impl Into<Value>) -> Result<()> {
        let path = format!("/machine/peripheral/{}", id(index));
        let arguments = json!({ "path": path, "property": property, "value": value.into() });
        self.qmp()?.execute("qom-set", &arguments).map(drop)
    }

    /// Lets a disk fail, or no longer, from the next power-on.
    ///
    /// # Errors
    /// There is no such disk.
    pub fn set_faults(&mut self, index: usize, blkdebug: Option<&str>) -> Result<()> {
        let disk = self.disks.get_mut(index).with_context(|| format!("disk {index} is not there"))?;
        disk.faults = blkdebug.map(str::to_owned);
        Ok(())
    }

    /// SHA-256 of every disk, attached or not, as the host sees it.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn digests(&self) -> Result<Vec<String>> {
        let digest = |index| {
            let summed = output(command("sha256sum", ["--binary"]).arg(self.image_of(index)))?;
            summed.split_whitespace().next().map(str::to_owned).context("sha256sum says nothing")
        };
        (0..self.disks.len()).map(digest).collect()
    }

    /// The file of a disk.
    pub fn image_of(&self, index: usize) -> PathBuf {
        self.dir.join(format!("{}.raw", id(index)))
    }

    /// The file that the kernel's messages are written to.
    pub fn console(&self) -> PathBuf {
        self.dir.join("console")
    }

    fn disk(&self, index: usize) -> Result<&LabDisk> {
        self.disks.get(index).with_context(|| format!("disk {index} is not there"))
    }

    fn blockdev(&self, index: usize) -> Result<Value> {
        let disk = self.disk(index)?;
        let file = self.dir.join(format!("{}.faults", id(index)));
        if let Some(faults) = &disk.faults {
            fs::write(&file, faults).with_context(|| format!("writing {}", file.display()))?;
        }
        let faults = disk.faults.as_ref().map(|_| file.as_path());
        let in_a_file = || json!({ "driver": "file", "filename": self.image_of(index), "discard": "unmap" });
        let file = self.served.get(&index).map_or_else(in_a_file, VolatileDisk::file);
        Ok(disk.blockdev(&id(index), file, faults))
    }

    fn channel(&mut self) -> Result<&mut Channel> {
        self.running.as_mut().map(|(_, channel)| channel).with_context(|| format!("{} is off", self.name))
    }

    fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.dir.join("qmp"))
    }

    fn with_console(&self, error: anyhow::Error) -> anyhow::Error {
        let console = wait::last_lines(&self.console(), 20);
        let qemu = wait::last_lines(Path::new(&self.dir.join("qemu-log")), 5);
        error.context(format!("the console of {} ends with\n{console}\n{qemu}", self.name))
    }
}

fn id(index: usize) -> String {
    format!("disk{index}")
}

impl Drop for DiskLab {
    fn drop(&mut self) {
        self.running = None;
        if std::thread::panicking() {
            eprintln!("the console of this laboratory is {}", self.console().display());
            for entry in fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok) {
                if entry.file_name() != "console" {
                    let _ = fs::remove_file(entry.path());
                }
            }
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
