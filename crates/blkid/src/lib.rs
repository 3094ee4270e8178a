//! Magic numbers of file systems, arrays, encryption and partition tables, as util-linux's libblkid knows them.
//!
//! The part of the library that looks at one device, by an open file. Reads only.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs to judge them"))]

mod ffi;

use std::{
    ffi::{CStr, c_char, c_int},
    io,
    marker::PhantomData,
    ops::BitOr,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
};

/// The longest value that is handed on; the longest that libblkid makes are labels of a few hundred bytes.
const MOST_BYTES: usize = 4096;

/// What is told of file systems, arrays and encrypted devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblocks(c_int);

impl Superblocks {
    /// `LABEL`, `UUID`, `TYPE` and `SEC_TYPE`.
    pub const DEFAULT: Self = Self(1 << 1 | 1 << 3 | 1 << 5 | 1 << 6);
    /// `USAGE`: `filesystem`, `raid`, `crypto` or `other`.
    pub const USAGE: Self = Self(1 << 7);
    /// `SBMAGIC` and `SBMAGIC_OFFSET`.
    pub const MAGIC: Self = Self(1 << 9);
    /// Also those whose checksum is wrong.
    pub const BADCSUM: Self = Self(1 << 10);
}

impl BitOr for Superblocks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is told of partition tables beside `PTTYPE` and `PTUUID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(c_int);

impl Partitions {
    /// A GPT also where its protective MBR is gone.
    pub const FORCE_GPT: Self = Self(1 << 1);
    /// `PTMAGIC` and `PTMAGIC_OFFSET`.
    pub const MAGIC: Self = Self(1 << 3);
}

impl BitOr for Partitions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Looks at an area of one device, one signature after the other.
#[derive(Debug)]
pub struct Prober<'device> {
    raw: NonNull<ffi::Probe>,
    // libblkid reads through the descriptor and neither duplicates nor closes it.
    device: PhantomData<BorrowedFd<'device>>,
}

impl<'device> Prober<'device> {
    /// A prober for `size` bytes of a device from `start`; a size of 0 is all the rest of it.
    ///
    /// # Errors
    /// Where the device cannot be asked for its size, and where the area is none.
    pub fn new(device: BorrowedFd<'device>, start: u64, size: u64) -> io::Result<Self> {
        let signed = |bytes: u64| i64::try_from(bytes).map_err(|_| io::Error::other("the area is too large"));
        let (start, size) = (signed(start)?, signed(size)?);
        // SAFETY: takes nothing; what it returns is null or ours until it is freed.
        let raw = NonNull::new(unsafe { ffi::blkid_new_probe() }).ok_or_else(io::Error::last_os_error)?;
        let prober = Self { raw, device: PhantomData };
        // SAFETY: the prober is alive, and the descriptor open for as long as it.
        told(unsafe { ffi::blkid_probe_set_device(raw.as_ptr(), device.as_raw_fd(), start, size) })?;
        Ok(prober)
    }

    /// Has it look for file systems, arrays and encrypted devices.
    ///
    /// # Errors
    /// Where libblkid refuses.
    pub fn superblocks(&mut self, tell: Superblocks) -> io::Result<()> {
        // SAFETY: the prober is alive; so below.
        told(unsafe { ffi::blkid_probe_enable_superblocks(self.raw.as_ptr(), 1) })?;
        told(unsafe { ffi::blkid_probe_set_superblocks_flags(self.raw.as_ptr(), tell.0) }).map(drop)
    }

    /// Has it look for partition tables.
    ///
    /// # Errors
    /// Where libblkid refuses.
    pub fn partitions(&mut self, tell: Partitions) -> io::Result<()> {
        // SAFETY: the prober is alive; so below.
        told(unsafe { ffi::blkid_probe_enable_partitions(self.raw.as_ptr(), 1) })?;
        told(unsafe { ffi::blkid_probe_set_partitions_flags(self.raw.as_ptr(), tell.0) }).map(drop)
    }

    /// Goes on to the next signature; false where there is no other.
    ///
    /// # Errors
    /// Where the device cannot be read.
    pub fn probe(&mut self) -> io::Result<bool> {
        // SAFETY: the prober is alive.
        told(unsafe { ffi::blkid_do_probe(self.raw.as_ptr()) }).map(|state| state == ffi::FOUND)
    }

    /// Takes what all of it says together; false where there is no signature, or several that contradict one another.
    ///
    /// # Errors
    /// Where the device cannot be read.
    pub fn probe_whole(&mut self) -> io::Result<bool> {
        // SAFETY: the prober is alive.
        match unsafe { ffi::blkid_do_safeprobe(self.raw.as_ptr()) } {
            ffi::AMBIVALENT => Ok(false),
            state => told(state).map(|state| state == ffi::FOUND),
        }
    }

    /// What is told of the signature that was found last: `TYPE`, `LABEL`, `UUID`, `USAGE`, `PTTYPE` ... `None` where it has
    /// no such value, or one that is no text.
    pub fn value(&self, name: &CStr) -> Option<String> {
        let (mut data, mut length): (*const c_char, usize) = (ptr::null(), 0);
        // SAFETY: the prober is alive, the name ends with a zero byte, and there is room for both answers.
        let found =
            unsafe { ffi::blkid_probe_lookup_value(self.raw.as_ptr(), name.as_ptr(), &raw mut data, &raw mut length) };
        if found < 0 || data.is_null() {
            return None;
        }
        // SAFETY: `data` has `length` bytes, which stay as they are until the next probe, and that takes `&mut self`.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length.min(MOST_BYTES)) };
        text(bytes)
    }
}

impl Drop for Prober<'_> {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has it afterwards.
        unsafe { ffi::blkid_free_probe(self.raw.as_ptr()) }
    }
}

/// libblkid answers with a number below zero where something failed.
fn told(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// The bytes before the first zero, where they are text.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests;
