//! The nodes of devices, once the kernel shows them.

use super::{action::Device, probe};
use protocol::{Code, Failure, failure::Result};
use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

const DEVICE_PATIENCE: Duration = Duration::from_secs(20);

/// The node of a device, once the kernel shows it.
///
/// # Errors
/// `E-DISK-IO` where it does not appear.
pub fn node_of(device: &Device) -> Result<PathBuf> {
    match device {
        Device::Disk { path, .. } => Ok(PathBuf::from(path)),
        Device::Partition(of, number) => {
            let base = node_of(of)?;
            wait(&device.to_string(), || {
                let name = probe::partitions(&kernel_name(&base)?).get(number).cloned()?;
                Some(probe::device_path(&name)).filter(|path| path.exists())
            })
        }
        other => {
            let path = PathBuf::from(other.to_string());
            wait(&other.to_string(), || fs::canonicalize(&path).ok())
        }
    }
}

/// LVM and cryptsetup know devices of the mapper by their names there, not by `dm-3`.
///
/// # Errors
/// As [`node_of`].
pub fn name_for_tools(device: &Device) -> Result<PathBuf> {
    let node = node_of(device)?;
    let named = matches!(device, Device::Mapper(_) | Device::Volume { .. } | Device::Path(_));
    Ok(if named { PathBuf::from(device.to_string()) } else { node })
}

/// `vda1` of `/dev/vda1`, and of a link to it.
pub fn kernel_name(path: &Path) -> Option<String> {
    Some(fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// A number that the kernel shows of a block device.
pub fn sysfs_number(name: &str, file: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/sys/class/block").join(name).join(file)).ok()?.trim().parse().ok()
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
