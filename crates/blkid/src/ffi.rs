//! The functions that are used, as blkid/blkid.h of util-linux 2.24 and later declares them.

use std::ffi::{c_char, c_int};

/// `struct blkid_struct_probe`, which only libblkid knows from inside.
#[repr(C)]
pub struct Probe {
    inside: [u8; 0],
}

/// There is a result. 1 is the end, and less than 0 an error.
pub const FOUND: c_int = 0;
/// `blkid_do_safeprobe`: signatures contradict one another.
pub const AMBIVALENT: c_int = -2;

unsafe extern "C" {
    pub fn blkid_new_probe() -> *mut Probe;
    pub fn blkid_free_probe(probe: *mut Probe);
    // blkid_loff_t is int64_t.
    pub fn blkid_probe_set_device(probe: *mut Probe, fd: c_int, start: i64, size: i64) -> c_int;
    pub fn blkid_probe_enable_superblocks(probe: *mut Probe, enable: c_int) -> c_int;
    pub fn blkid_probe_set_superblocks_flags(probe: *mut Probe, flags: c_int) -> c_int;
    pub fn blkid_probe_enable_partitions(probe: *mut Probe, enable: c_int) -> c_int;
    pub fn blkid_probe_set_partitions_flags(probe: *mut Probe, flags: c_int) -> c_int;
    pub fn blkid_do_probe(probe: *mut Probe) -> c_int;
    pub fn blkid_do_safeprobe(probe: *mut Probe) -> c_int;
    pub fn blkid_probe_lookup_value(
        probe: *mut Probe,
        name: *const c_char,
        data: *mut *const c_char,
        length: *mut usize,
    ) -> c_int;
}
