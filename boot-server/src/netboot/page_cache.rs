//! What of a file the page cache holds: the event loop reads and sends that, and waits for no disk.

use std::{fs::File, io, ops::Range, os::fd::AsRawFd};

/// cachestat(2), Linux 6.5; the same number on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;
const PAGE: u64 = 4096;

/// `struct cachestat_range`.
#[repr(C)]
struct CacheRange {
    offset: u64,
    length: u64,
}

/// `struct cachestat`.
#[repr(C)]
#[derive(Default)]
struct CacheStat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Appends a part of the file to `bytes`, all of it or nothing, if that needs no disk.
pub fn read(file: &File, part: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
    let (before, length) = (bytes.len(), (part.end - part.start) as usize);
    let whole = match read_flagged(file, part.start, length, bytes, libc::RWF_NOWAIT) {
        Ok(read) => read == length,
        // tmpfs knows no RWF_NOWAIT.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) && all_cached(file, part) == Some(true) => {
            read_flagged(file, part.start, length, bytes, 0).is_ok_and(|read| read == length)
        }
        Err(_) => false,
    };
    if !whole {
        bytes.truncate(before);
    }
    whole
}

/// Whether sending this part, which is not empty, needs no disk.
pub fn holds(file: &File, part: &Range<u64>) -> bool {
    // A page that is just being read in counts as cached: the last one tells, as they come in order.
    match (readable_now(file, part.end - 1), all_cached(file, part)) {
        (Some(last), Some(all)) => last && all,
        (None, Some(all)) => all,
        (Some(last), None) => last && readable_now(file, part.start) == Some(true),
        (None, None) => false,
    }
}

/// None where the file system cannot say.
fn readable_now(file: &File, offset: u64) -> Option<bool> {
    match read_flagged(file, offset, 1, &mut Vec::new(), libc::RWF_NOWAIT) {
        Ok(read) => Some(read == 1),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Some(false),
        Err(_) => None,
    }
}

/// None where the kernel is older, or does not tell who may not write the file.
fn all_cached(file: &File, part: &Range<u64>) -> Option<bool> {
    let range = CacheRange { offset: part.start, length: part.end - part.start };
    let mut stat = CacheStat::default();
    // SAFETY: the kernel reads one `CacheRange` and writes one `CacheStat`, both laid out as its own and alive
    // during the call, and the descriptor is open for as long as `file` is borrowed.
    let done = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0) };
    (done == 0).then(|| stat.cached > (part.end - 1) / PAGE - part.start / PAGE)
}

fn read_flagged(file: &File, offset: u64, length: usize, bytes: &mut Vec<u8>, flags: i32) -> io::Result<usize> {
    bytes.reserve(length);
    let room = bytes.spare_capacity_mut();
    let part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: length };
    let offset = libc::off64_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: the one iovec names `length` bytes of capacity that `bytes` owns, and the descriptor is
    // open for as long as `file` is borrowed.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, flags) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written `read <= length` bytes behind the old end, within the capacity.
    unsafe { bytes.set_len(bytes.len() + read) };
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_was_just_written_is_held_and_read_and_nothing_behind_it() {
        for folder in ["/tmp", "/dev/shm"] {
            let file = tempfile::tempfile_in(folder).unwrap();
            let content: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
            file.write_all_at(&content, 0).unwrap();
            let mut bytes = b"head".to_vec();
            // An older kernel cannot say what a tmpfs holds.
            let read_whole = read(&file, &(5..70_000), &mut bytes);
            assert!(read_whole || folder == "/dev/shm");
            assert_eq!(bytes, if read_whole { [b"head", &content[5..70_000]].concat() } else { b"head".to_vec() });
            assert_eq!(holds(&file, &(5..70_000)), read_whole, "{folder}");
            assert!(!holds(&file, &(70_000..90_000)), "{folder}");
            assert!(!read(&file, &(70_000..90_000), &mut bytes), "{folder}");
        }
    }
}
