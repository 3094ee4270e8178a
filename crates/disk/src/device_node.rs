//! The nodes of devices, once the kernel shows them: on the plan's disks, whoever else may have the same name.

use super::{action::Device, probe, stack::Stack};
use protocol::{Code, Failure, failure::Result};
use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

const DEVICE_PATIENCE: Duration = Duration::from_secs(20);
/// For what should be there since its tool has ended.
const BRIEF_PATIENCE: Duration = Duration::from_secs(3);
const CLASS: &str = "/sys/class/block";

/// Where devices are looked for.
#[derive(Debug)]
pub struct Nodes {
    /// Kernel names of the plan's disks.
    disks: Vec<String>,
    /// The /dev of the tools, where mdadm leaves the names of arrays.
    private: PathBuf,
}

impl Nodes {
    /// On these disks.
    pub fn new(disks: Vec<String>, private: PathBuf) -> Self {
        Self { disks, private }
    }

    /// The kernel's name of a device that is there, and stands on nothing but the plan's disks.
    pub fn find(&self, device: &Device) -> Option<String> {
        let name = self.named(device)?;
        // Of a volume of ZFS the kernel does not show what it stands on.
        let is_own = matches!(device, Device::Zvol { .. }) || {
            let disks: Vec<&str> = self.disks.iter().map(String::as_str).collect();
            Stack::read_from(Path::new("/sys")).stands_on_only(&name, &disks)
        };
        is_own.then_some(name)
    }

    fn named(&self, device: &Device) -> Option<String> {
        match device {
            Device::Disk { path, .. } => Some(kernel_name_of_path(path)),
            Device::Partition(of, number) => probe::partitions(&self.named(of)?).get(number).cloned(),
            Device::Mapper(_) | Device::Volume { .. } => {
                let wanted = mapper_name(device)?;
                let is_it = |name: &String| {
                    let found = fs::read_to_string(Path::new(CLASS).join(name).join("dm/name"));
                    found.is_ok_and(|found| found.trim_end() == wanted)
                };
                let entries = fs::read_dir(CLASS).ok()?.flatten();
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).find(is_it)
            }
            Device::Array(name) => {
                let folders = [self.private.as_path(), Path::new("/dev")];
                let link = folders.iter().find_map(|dev| fs::read_link(dev.join("md").join(name)).ok())?;
                Some(link.file_name()?.to_string_lossy().into_owned())
            }
            Device::Zvol { .. } => kernel_name(Path::new(&device.to_string())),
        }
    }

    /// The same, once the kernel shows it.
    ///
    /// # Errors
    /// `E-DISK-IO` where it does not appear.
    pub fn wait_for(&self, device: &Device) -> Result<String> {
        wait(&device.to_string(), || self.find(device).filter(|name| probe::device_path(name).exists()))
    }

    /// The same for a device that may not come.
    pub fn wait_briefly(&self, device: &Device) -> Option<String> {
        let deadline = Instant::now() + BRIEF_PATIENCE;
        loop {
            let found = self.find(device);
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// The node of a device in the machine's own /dev, once the kernel shows it.
    ///
    /// # Errors
    /// As [`Nodes::wait_for`].
    pub fn node_of(&self, device: &Device) -> Result<PathBuf> {
        self.wait_for(device).map(|name| probe::device_path(&name))
    }
}

/// LVM and cryptsetup know devices of the mapper by their names there, not by `dm-3`.
pub fn name_of(device: &Device, kernel_name: &str) -> PathBuf {
    match device {
        Device::Mapper(_) | Device::Volume { .. } => PathBuf::from(device.to_string()),
        _ => probe::device_path(kernel_name),
    }
}

/// The name of a mapping, as device-mapper has it: lvm joins group and volume by a dash, and doubles the dashes in them.
pub fn mapper_name(device: &Device) -> Option<String> {
    match device {
        Device::Mapper(name) => Some(name.clone()),
        Device::Volume { group, name } => Some(format!("{}-{}", group.replace('-', "--"), name.replace('-', "--"))),
        _ => None,
    }
}

/// Device number, as the kernel counts.
pub fn number_of(name: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string(Path::new(CLASS).join(name).join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// sysfs writes `!` for the `/` in names such as `cciss/c0d0`.
fn kernel_name_of_path(path: &str) -> String {
    path.strip_prefix("/dev/").unwrap_or(path).replace('/', "!")
}

/// `vda1` of `/dev/vda1`, and of a link to it.
pub fn kernel_name(path: &Path) -> Option<String> {
    Some(fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// A number that the kernel shows of a block device.
pub fn sysfs_number(name: &str, file: &str) -> Option<u64> {
    fs::read_to_string(Path::new(CLASS).join(name).join(file)).ok()?.trim().parse().ok()
}

/// What the kernel's `uevent` says of a block device under a key such as `PARTNAME`.
pub fn uevent(name: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new(CLASS).join(name).join("uevent")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

/// Bytes of a logical sector.
pub fn sector_size(path: &Path) -> u64 {
    kernel_name(path).and_then(|name| sysfs_number(&name, "queue/logical_block_size")).unwrap_or(512)
}

/// Waits until something is there.
///
/// # Errors
/// `E-DISK-IO` where it does not appear.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + DEVICE_PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(Code::DiskIo, format!("waiting for {what}: it does not appear")));
        }
        sleep(Duration::from_millis(10));
    }
}
