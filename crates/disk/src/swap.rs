//! Swap space, as `mkswap`, `swapon` and `swapoff` (util-linux) make and use it.

use super::plan::facts::SwapSpace;
use layout::DiscardPolicy;
use nix::libc;
use std::{
    ffi::CString,
    fs::OpenOptions,
    io::{Error, ErrorKind, Result, Seek, SeekFrom, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};
use uuid::Uuid;

/// Page size of this architecture.
const PAGE: usize = 4096;
const LABEL_BYTES: usize = 16;
const PREFER: i32 = 0x8000;
const DISCARD: i32 = 0x10000;
const DISCARD_ONCE: i32 = 0x20000;
const DISCARD_PAGES: i32 = 0x40000;

/// Writes the header (linux/swap.h, version 1).
///
/// # Errors
/// Those of writing; a device of fewer than ten pages.
pub fn make(path: &Path, uuid: Uuid, label: Option<&str>) -> Result<()> {
    let mut device = OpenOptions::new().read(true).write(true).open(path)?;
    let pages = device.seek(SeekFrom::End(0))? / PAGE as u64;
    let last = pages.checked_sub(1).filter(|last| *last >= 9);
    let last = last.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "swap space needs ten pages"))?;
    device.seek(SeekFrom::Start(0))?;
    device.write_all(&header(u32::try_from(last).unwrap_or(u32::MAX), uuid, label))?;
    device.sync_all()
}

/// Boot sector left empty, version, last page, number of bad pages, UUID, label; the mark ends the page.
fn header(last_page: u32, uuid: Uuid, label: Option<&str>) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&last_page.to_le_bytes());
    page[1036..1052].copy_from_slice(uuid.as_bytes());
    let label = label.unwrap_or_default().as_bytes();
    let length = label.len().min(LABEL_BYTES);
    page[1052..1052 + length].copy_from_slice(&label[..length]);
    page[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
    page
}

/// Swaps to it.
///
/// # Errors
/// Those of swapon(2).
pub fn on(path: &Path, swap: &SwapSpace) -> Result<()> {
    let priority = swap.priority.map_or(0, |priority| PREFER | (priority & 0x7fff));
    let discard = match swap.discard {
        None => 0,
        Some(DiscardPolicy::Both) => DISCARD,
        Some(DiscardPolicy::Once) => DISCARD | DISCARD_ONCE,
        Some(DiscardPolicy::Pages) => DISCARD | DISCARD_PAGES,
    };
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that lives as long as the call.
    let result = unsafe { libc::swapon(path.as_ptr(), priority | discard) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Does not swap to it any more.
///
/// # Errors
/// Those of swapoff(2).
pub fn off(path: &Path) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that lives as long as the call.
    let result = unsafe { libc::swapoff(path.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn blkid_knows_the_swap_space_with_its_label_and_uuid() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let uuid = Uuid::from_u128(7);
        make(file.path(), uuid, Some("a-label-that-is-far-too-long")).unwrap();
        let mut prober = blkid::Prober::new(file.as_file().as_fd(), 0, 0).unwrap();
        prober.superblocks(blkid::Superblocks::DEFAULT).unwrap();
        assert!(prober.probe_whole().unwrap());
        assert_eq!(prober.value(c"TYPE").unwrap(), "swap");
        assert_eq!(prober.value(c"UUID").unwrap(), uuid.to_string());
        assert_eq!(prober.value(c"LABEL").unwrap(), "a-label-that-is-");
    }

    #[test]
    fn a_device_of_a_few_pages_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 10).unwrap();
        assert!(make(file.path(), Uuid::nil(), None).is_err());
    }
}
