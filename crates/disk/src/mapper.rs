//! Closes device-mapper devices and md arrays by the kernel's own calls, so that no tool is needed for it.

use super::{
    probe,
    stack::{Kind, Node},
};
use protocol::{Code, Failure, failure::OrFail, failure::Result};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// udev and its like open a new or changed device for a moment.
const PATIENCE: Duration = Duration::from_secs(5);
const CONTROL: &str = "/dev/mapper/control";

/// `struct dm_ioctl` of <linux/dm-ioctl.h>.
#[repr(C)]
struct DmIoctl {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

const DM_SIZE: u32 = 312;
const _: () = assert!(size_of::<DmIoctl>() == DM_SIZE as usize);

nix::ioctl_readwrite!(dm_dev_remove, 0xfd, 4, DmIoctl);
nix::ioctl_none!(stop_array, 9, 0x32);

/// Closes a mapping or stops an array; nothing for any other kind.
///
/// # Errors
/// `E-DISK-NOT-CLEAN` where it is still in use after some seconds.
pub fn close(node: &Node) -> Result<()> {
    let activity = || format!("closing {}", node.label());
    match &node.kind {
        Kind::Mapper { name, .. } => {
            patiently(|| remove(node.number)).or_fail(Code::DiskNotClean, activity)?;
            forget(name, node.number);
        }
        Kind::Array { .. } => patiently(|| stop(&node.name)).or_fail(Code::DiskNotClean, activity)?,
        _ => return Err(Failure::new(Code::DiskNotClean, format!("{}: it is no array or mapping", activity()))),
    }
    Ok(())
}

/// Tries again while something has the device open.
pub fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(50));
            }
            done => return done,
        }
    }
}

/// By number, which no other mapping takes while this one is there; a name may be given to another.
fn remove((major, minor): (u32, u32)) -> io::Result<()> {
    let control = OpenOptions::new().read(true).write(true).open(CONTROL)?;
    let mut request = DmIoctl {
        version: [4, 0, 0],
        data_size: DM_SIZE,
        data_start: DM_SIZE,
        target_count: 0,
        open_count: 0,
        flags: 0,
        event_nr: 0,
        padding: 0,
        dev: libc::makedev(major, minor),
        name: [0; 128],
        uuid: [0; 129],
        data: [0; 7],
    };
    // SAFETY: the structure is of the size that the call's number says and that `data_size` repeats; the kernel
    // writes no further, and it lives until the call returns.
    unsafe { dm_dev_remove(control.as_raw_fd(), &raw mut request) }?;
    Ok(())
}

fn stop(name: &str) -> io::Result<()> {
    let array: File = OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open(probe::device_path(name))?;
    // SAFETY: STOP_ARRAY takes no argument; the descriptor is open for the length of the call.
    unsafe { stop_array(array.as_raw_fd()) }?;
    Ok(())
}

/// Without udev nobody removes the names of a mapping; lvm refuses to make a group whose folder is there.
fn forget(name: &str, (major, minor): (u32, u32)) {
    let path = Path::new("/dev/mapper").join(name);
    let gone = libc::makedev(major, minor);
    let is_node = |found: fs::Metadata| found.file_type().is_block_device() && found.rdev() == gone;
    if fs::symlink_metadata(&path).is_ok_and(is_node) {
        let _ = fs::remove_file(&path);
    }
    let Some((group, _)) = group_and_volume(name) else { return };
    let folder = Path::new("/dev").join(group);
    let links = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for link in links.filter(|link| link.is_symlink() && !link.exists()) {
        let _ = fs::remove_file(link);
    }
    // Only an empty folder goes.
    let _ = fs::remove_dir(folder);
}

/// lvm joins both by a dash, and doubles the dashes in them.
pub fn group_and_volume(name: &str) -> Option<(String, String)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'-', Some(b'-')) => at += 2,
            (b'-', Some(_)) if at > 0 => {
                return Some((name[..at].replace("--", "-"), name[at + 1..].replace("--", "-")));
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_of_a_mapping_tells_group_and_volume() {
        let pair = |group: &str, volume: &str| Some((group.to_owned(), volume.to_owned()));
        assert_eq!(group_and_volume("vg-root"), pair("vg", "root"));
        assert_eq!(group_and_volume("my--vg-my--root"), pair("my-vg", "my-root"));
        assert_eq!(group_and_volume("crypted"), None);
    }

    #[test]
    fn patience_is_for_what_is_busy_alone() {
        let mut tries = 0;
        let done = patiently(|| {
            tries += 1;
            if tries < 3 { Err(io::Error::from_raw_os_error(libc::EBUSY)) } else { Ok(()) }
        });
        assert!(done.is_ok() && tries == 3);
        assert!(patiently(|| Err::<(), _>(io::Error::from_raw_os_error(libc::ENXIO))).is_err());
    }

    proptest! {
        #[test]
        fn any_name_is_split(name in "[a-z\\PC-]{0,20}") {
            let _ = group_and_volume(&name);
        }
    }
}
